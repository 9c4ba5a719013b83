//! `bookingAccept`, `bookingReject`, `bookingComplete`: changes that need no more than the booking's own row.

use super::{
    change::{self, Actor, Change, acting_side, permit},
    machine::{self, Action, State},
    model::{self, Booking},
};
use crate::{
    app::App,
    auth::viewer::Viewer,
    db::{Instant, ids::BookingId},
    error::{Error, Problems, Result},
    text,
};

/// The provider says yes: ACCEPTED until it is paid, or CONFIRMED when it is free.
pub async fn accept(
    app: &App,
    viewer: &Viewer,
    id: Option<BookingId>,
    expected_version: Option<i32>,
) -> Result<Booking> {
    change_one(app, viewer, id, expected_version, Action::Accept, None).await
}

/// The provider says no, with a reason of at most 2 000 characters.
pub async fn reject(
    app: &App,
    viewer: &Viewer,
    id: Option<BookingId>,
    reason: &str,
    expected_version: Option<i32>,
) -> Result<Booking> {
    let mut problems = Problems::new();
    let reason = problems.take("input.reason", text::multi_line(reason, 1..=2000));
    problems.check()?;
    change_one(app, viewer, id, expected_version, Action::Reject, reason).await
}

/// It took place, says the client from its start or the provider from its end.
pub async fn complete(
    app: &App,
    viewer: &Viewer,
    id: Option<BookingId>,
    expected_version: Option<i32>,
) -> Result<Booking> {
    change_one(app, viewer, id, expected_version, Action::Complete, None).await
}

async fn change_one(
    app: &App,
    viewer: &Viewer,
    id: Option<BookingId>,
    expected_version: Option<i32>,
    action: Action,
    reason: Option<String>,
) -> Result<Booking> {
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    let id = id.ok_or_else(|| Error::not_found("id"))?;
    let booking = model::lock(&mut tx, id)
        .await?
        .filter(|booking| booking.is_visible_to(viewer))
        .ok_or_else(|| Error::not_found("id"))?;
    let side = acting_side(&booking, viewer)?;
    let permit = permit(
        &booking,
        &booking.facts(),
        action,
        side,
        expected_version,
        now,
    )?;
    let mut after = Booking {
        state: permit.to,
        ..booking.clone()
    };
    match after.state {
        State::Accepted => {
            after.payment_deadline =
                Some(Instant(machine::payment_deadline(now, *booking.starts_at)));
        }
        State::Rejected => {
            after.closed_by = Some(side);
            after.reason.clone_from(&reason);
        }
        State::Completed => {
            after.closed_by = Some(side);
            after.completed_at = Some(Instant(now));
        }
        _ => {}
    }
    let change = Change {
        action,
        actor: Actor::Person(viewer, side),
        reason,
        now,
    };
    let after = change::apply(&mut tx, app, &booking, after, change).await?;
    tx.commit().await?;
    Ok(after)
}
