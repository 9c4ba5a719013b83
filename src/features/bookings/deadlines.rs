//! What happens by itself: expiry of what nobody answered or paid, and completion 24 h after the end (rule 8).

use jiff::Timestamp;

use super::{
    change::{self, Actor, Change},
    machine::{Action, SETTLED_AFTER, Side, State, decide},
    model::{self, Booking, ProposalState, held},
};
use crate::{
    app::App,
    db::{
        Instant, Transaction,
        ids::{BookingId, ProviderId, UserId},
        retry_conflict,
    },
    error::Result,
};

/// Bookings that a sweep reads at a time; each is changed in a transaction of its own.
const BATCH: i64 = 100;

/// Expires a booking past its deadline, or its open proposal; the row is locked. Answers the row as it is then, and
/// does nothing to one that is not due.
pub(super) async fn expire(
    tx: &mut Transaction,
    app: &App,
    booking: Booking,
    now: Timestamp,
) -> Result<Booking> {
    let proposal = model::latest_proposal(tx, booking.id)
        .await?
        .filter(|proposal| proposal.state == ProposalState::Open);
    let facts = booking.facts_with(proposal.as_ref());
    let change = |action| Change {
        action,
        actor: Actor::Job,
        reason: None,
        now,
    };
    if let Ok(permit) = decide(&facts, Action::Expire, Side::System, now) {
        let after = Booking {
            state: permit.to,
            closed_by: Some(Side::System),
            ..booking.clone()
        };
        return change::apply(tx, app, &booking, after, change(Action::Expire)).await;
    }
    if decide(&facts, Action::RescheduleExpire, Side::System, now).is_ok() {
        held::free_proposal(tx, booking.id).await?;
        model::end_proposal(tx, booking.id, ProposalState::Expired, Instant(now)).await?;
        let after = booking.clone();
        return change::apply(tx, app, &booking, after, change(Action::RescheduleExpire)).await;
    }
    Ok(booking)
}

/// Expires what of these two is overdue, in a transaction that is about to take time (rule 8). Both are locked.
/// Answers what was overdue, as it is then.
pub(super) async fn expire_overdue_of(
    tx: &mut Transaction,
    app: &App,
    client: UserId,
    provider: ProviderId,
    now: Timestamp,
) -> Result<Vec<Booking>> {
    let mut expired = Vec::new();
    for booking in model::lock_overdue_of(tx, client, provider, Instant(now)).await? {
        expired.push(expire(tx, app, booking, now).await?);
    }
    Ok(expired)
}

/// Expires every booking and every proposal whose deadline has passed. A job; the second time it finds nothing.
pub async fn expire_all(app: &App) -> Result<()> {
    loop {
        let now = app.clock.now();
        let due = model::overdue(&mut *app.db.conn().await?, Instant(now), BATCH).await?;
        if due.is_empty() {
            return Ok(());
        }
        for id in due {
            retry_conflict(|| expire_one(app, id, now)).await?;
        }
    }
}

async fn expire_one(app: &App, id: BookingId, now: Timestamp) -> Result<()> {
    let mut tx = app.db.begin().await?;
    if let Some(booking) = model::lock(&mut tx, id).await? {
        expire(&mut tx, app, booking, now).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Completes every booking that ended 24 h ago. A job; the second time it finds nothing.
pub async fn complete_all(app: &App) -> Result<()> {
    loop {
        let now = app.clock.now();
        let ended = now.checked_sub(SETTLED_AFTER).unwrap_or(Timestamp::MIN);
        let due = model::unsettled(&mut *app.db.conn().await?, Instant(ended), BATCH).await?;
        if due.is_empty() {
            return Ok(());
        }
        for id in due {
            retry_conflict(|| complete_one(app, id, now)).await?;
        }
    }
}

async fn complete_one(app: &App, id: BookingId, now: Timestamp) -> Result<()> {
    let mut tx = app.db.begin().await?;
    let Some(booking) = model::lock(&mut tx, id).await? else {
        return Ok(());
    };
    let Ok(permit) = decide(&booking.facts(), Action::Complete, Side::System, now) else {
        return Ok(());
    };
    debug_assert_eq!(permit.to, State::Completed);
    let after = Booking {
        state: permit.to,
        closed_by: Some(Side::System),
        completed_at: Some(Instant(now)),
        ..booking.clone()
    };
    let change = Change {
        action: Action::Complete,
        actor: Actor::Job,
        reason: None,
        now,
    };
    change::apply(&mut tx, app, &booking, after, change).await?;
    tx.commit().await
}
