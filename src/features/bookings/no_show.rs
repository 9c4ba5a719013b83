//! `bookingNoShow`: a side says that the other did not come; the other may say the contrary.

use super::{
    change::{self, Actor, Change, acting_side, permit, refuse},
    machine::{Action, Party, Refusal, State},
    model::Booking,
    money::{self, RefundCause},
    reschedule::lock_with_parties,
};
use crate::{
    app::App,
    auth::viewer::Viewer,
    db::ids::BookingId,
    error::{Problems, Result},
    features::reviews::service as reviews,
    text,
};

const CONTESTED: &str = "Each side says that the other did not come.";
const HIDDEN: &str = "The client says that the provider did not come.";

/// Says that the other side did not come, from start + 15 min to end + 24 h. A client gets everything back at once; a
/// contrary claim changes nothing but that staff look at it.
pub async fn no_show(
    app: &App,
    viewer: &Viewer,
    id: Option<BookingId>,
    reason: Option<&str>,
    expected_version: Option<i32>,
) -> Result<Booking> {
    let now = app.clock.now();
    let mut problems = Problems::new();
    let reason = reason
        .and_then(|reason| problems.take("input.reason", text::multi_line(reason, 0..=2000)))
        .filter(|reason| !reason.is_empty());
    problems.check()?;
    let mut tx = app.db.begin().await?;
    // The provider's row too, whose rating changes when the review is hidden.
    let (booking, _) = lock_with_parties(&mut tx, viewer, id).await?;
    let side = acting_side(&booking, viewer)?;
    let party = Party::of(side).ok_or_else(|| refuse(Refusal::NotAllowed))?;
    let facts = booking.facts();
    let action = Action::NoShow;
    permit(&booking, &facts, action, side, expected_version, now)?;
    let contrary = booking.state == State::NoShow;
    let after = if contrary {
        Booking {
            needs_attention: Some(CONTESTED.to_owned()),
            contested: true,
            ..booking.clone()
        }
    } else {
        Booking {
            state: State::NoShow,
            closed_by: Some(side),
            absent_side: Some(party.other()),
            reason: reason.clone(),
            ..booking.clone()
        }
    };
    let change = Change {
        action,
        actor: Actor::Person(viewer, side),
        reason,
        now,
    };
    let after = change::apply(&mut tx, app, &booking, after, change).await?;
    if !contrary && after.absent_side == Some(Party::Provider) {
        if after.price_minor > 0 {
            let (what, actor) = ((100, RefundCause::NoShow), Actor::Person(viewer, side));
            money::refund_due(&mut tx, app, &after, what, actor, now).await?;
        }
        reviews::hide_of_booking(&mut tx, app, viewer, after.id, HIDDEN, now).await?;
    }
    tx.commit().await?;
    Ok(after)
}
