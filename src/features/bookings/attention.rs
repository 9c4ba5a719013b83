//! `bookingAttentionClear`: staff have settled what needed a person.

use super::{
    change::{Actor, Change, acting_side, apply_noted, refuse},
    machine::{Action, Refusal, decide},
    model::{self, Booking},
};
use crate::{
    app::App,
    auth::viewer::Viewer,
    db::ids::BookingId,
    error::{Error, Problems, Result},
    patch::expect_version,
    text,
};

/// Takes a booking off the staff's list. What has happened stays: a contested booking stays contested.
///
/// The note is for staff and goes to the audit trail alone, since both sides read the booking's history.
pub async fn clear(
    app: &App,
    viewer: &Viewer,
    id: Option<BookingId>,
    note: Option<&str>,
    expected_version: Option<i32>,
) -> Result<Booking> {
    let now = app.clock.now();
    let mut problems = Problems::new();
    let note = note
        .and_then(|note| problems.take("input.note", text::multi_line(note, 0..=2000)))
        .filter(|note| !note.is_empty());
    problems.check()?;
    let missing = || Error::not_found("id");
    let id = id.ok_or_else(missing)?;
    let mut tx = app.db.begin().await?;
    let booking = model::lock(&mut tx, id)
        .await?
        .filter(|booking| booking.is_visible_to(viewer))
        .ok_or_else(missing)?;
    let side = acting_side(&booking, viewer)?;
    let action = Action::Settle;
    let decision = decide(&booking.facts(), action, side, now);
    if decision != Err(Refusal::NotAllowed) {
        expect_version(expected_version, booking.version)?;
    }
    decision.map_err(refuse)?;
    let after = Booking {
        needs_attention: None,
        ..booking.clone()
    };
    let change = Change {
        action,
        actor: Actor::Person(viewer, side),
        reason: None,
        now,
    };
    let after = apply_noted(&mut tx, app, &booking, after, change, note).await?;
    tx.commit().await?;
    Ok(after)
}
