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
    },
    error::Result,
    jobs::{self, Kind},
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
    // Still due after their turn, because they failed or somebody else was faster: left to the next run.
    let mut left = Vec::new();
    loop {
        let now = app.clock.now();
        let mut conn = app.db.conn().await?;
        let due = model::overdue(&mut conn, Instant(now), &left, BATCH).await?;
        drop(conn);
        if due.is_empty() {
            return Ok(());
        }
        for id in due {
            let expired = jobs::row(Kind::ExpireBookings, id, || expire_one(app, id, now)).await?;
            if expired != Some(true) {
                left.push(id);
            }
        }
    }
}

/// Answers whether anything changed.
async fn expire_one(app: &App, id: BookingId, now: Timestamp) -> Result<bool> {
    let mut tx = app.db.begin().await?;
    let Some(booking) = model::lock(&mut tx, id).await? else {
        return Ok(false);
    };
    let version = booking.version;
    let after = expire(&mut tx, app, booking, now).await?;
    tx.commit().await?;
    Ok(after.version != version)
}

/// Completes every booking that ended 24 h ago. A job; the second time it finds nothing.
pub async fn complete_all(app: &App) -> Result<()> {
    let mut left = Vec::new();
    loop {
        let now = app.clock.now();
        let ended = now.checked_sub(SETTLED_AFTER).unwrap_or(Timestamp::MIN);
        let mut conn = app.db.conn().await?;
        let due = model::unsettled(&mut conn, Instant(ended), &left, BATCH).await?;
        drop(conn);
        if due.is_empty() {
            return Ok(());
        }
        for id in due {
            let completed =
                jobs::row(Kind::CompleteBookings, id, || complete_one(app, id, now)).await?;
            if completed != Some(true) {
                left.push(id);
            }
        }
    }
}

/// Answers whether anything changed.
async fn complete_one(app: &App, id: BookingId, now: Timestamp) -> Result<bool> {
    let mut tx = app.db.begin().await?;
    let Some(booking) = model::lock(&mut tx, id).await? else {
        return Ok(false);
    };
    let Ok(permit) = decide(&booking.facts(), Action::Complete, Side::System, now) else {
        return Ok(false);
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
    tx.commit().await?;
    Ok(true)
}
