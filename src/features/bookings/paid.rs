//! What a payment does to its booking, in the webhook's transaction (rule 7).

use jiff::{SignedDuration, Timestamp};

use super::{
    change::{self, Actor, Change},
    deadlines,
    machine::{Action, PAID_BEFORE, Side, State, decide},
    model::{
        self, Booking,
        held::{self, HeldTime},
        parties,
    },
};
use crate::{
    app::App,
    db::{
        Instant, Transaction,
        ids::{BookingId, HeldTimeId},
    },
    error::Result,
    features::{
        blocks::model as blocks,
        providers::model::{self as providers, ProviderStatus},
        users::model::{self as users, UserStatus},
    },
};

/// What became of a booking that a payment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaidOutcome {
    /// It is CONFIRMED now.
    Confirmed,
    /// It was CONFIRMED, or what follows it, before: this payment is a further one unless it is the one that did it.
    AlreadyPaid,
    /// It cannot take place: the payment goes back in full, without anyone asking.
    RefundInFull,
}

/// Locks a booking's client, its provider and the booking, in this order (rule 1); the caller may lock its order
/// next. False when there is no such booking.
pub async fn lock_parties(tx: &mut Transaction, booking: BookingId) -> Result<bool> {
    let Some(seen) = model::by_ids(tx, &[booking]).await?.pop() else {
        return Ok(false);
    };
    users::lock(tx, seen.client_id).await?;
    providers::lock(tx, seen.provider_id).await?;
    Ok(model::lock(tx, booking).await?.is_some())
}

/// Applies a captured payment: ACCEPTED becomes CONFIRMED; EXPIRED takes its time back where rule 7 allows.
///
/// To be called in the transaction that keeps the payment's event, after [`lock_parties`] in the same transaction.
/// It never fails for a reason that lies in the booking: what cannot be is [`PaidOutcome::RefundInFull`].
pub async fn confirm_paid(
    tx: &mut Transaction,
    app: &App,
    booking: BookingId,
    now: Timestamp,
) -> Result<PaidOutcome> {
    let Some(booking) = model::lock(tx, booking).await? else {
        return Ok(PaidOutcome::RefundInFull);
    };
    match booking.state_at(now) {
        State::Accepted => {
            confirm(tx, app, &booking, now).await?;
            Ok(PaidOutcome::Confirmed)
        }
        State::Expired => {
            let (client, provider) = (booking.client_id, booking.provider_id);
            deadlines::expire_overdue_of(tx, app, client, provider, now).await?;
            let Some(booking) = model::lock(tx, booking.id).await? else {
                return Ok(PaidOutcome::RefundInFull);
            };
            if take_back(tx, app, &booking, now).await? {
                confirm(tx, app, &booking, now).await?;
                Ok(PaidOutcome::Confirmed)
            } else {
                Ok(PaidOutcome::RefundInFull)
            }
        }
        State::Confirmed | State::Completed | State::NoShow => Ok(PaidOutcome::AlreadyPaid),
        State::Requested | State::Rejected | State::Cancelled => Ok(PaidOutcome::RefundInFull),
    }
}

async fn confirm(tx: &mut Transaction, app: &App, booking: &Booking, now: Timestamp) -> Result<()> {
    let permit = decide(&booking.facts(), Action::Pay, Side::System, now)
        .map_err(|refusal| crate::error::Error::internal(format!("paid: {refusal:?}")))?;
    let after = Booking {
        state: permit.to,
        closed_by: None,
        ..booking.clone()
    };
    let change = Change {
        action: Action::Pay,
        actor: Actor::Gateway,
        reason: None,
        now,
    };
    change::apply(tx, app, booking, after, change).await?;
    Ok(())
}

/// Holds an expired booking's time again, if all of rule 7 is met; false when something of it is not.
async fn take_back(
    tx: &mut Transaction,
    app: &App,
    booking: &Booking,
    now: Timestamp,
) -> Result<bool> {
    let least: SignedDuration = PAID_BEFORE;
    let too_late = now
        .checked_add(least)
        .is_ok_and(|earliest| *booking.starts_at < earliest);
    // Without a payment deadline nobody ever accepted it.
    if too_late || booking.payment_deadline.is_none() {
        return Ok(false);
    }
    let client = users::by_id(tx, booking.client_id).await?;
    let provider_user = booking.provider_user_id;
    let both_active = client.is_some_and(|client| client.status == UserStatus::Active)
        && parties::is_active(tx, provider_user).await?
        && providers::lock(tx, booking.provider_id)
            .await?
            .is_some_and(|provider| provider.status == ProviderStatus::Approved);
    if !both_active || blocks::exists_between(tx, booking.client_id, provider_user).await? {
        return Ok(false);
    }
    let (start, end) = (booking.starts_at, booking.ends_at);
    let window = parties::window_around(tx, booking.provider_id, start, end).await?;
    let id = HeldTimeId(app.entropy.uuid_v7(now));
    let (Some(_), Some(held)) = (window, HeldTime::of(id, booking, None, *start, *end)) else {
        return Ok(false);
    };
    if held::clash(tx, &held).await?.is_some() {
        return Ok(false);
    }
    // Under the locks nobody can have come between; if somebody has, the whole transaction is tried again.
    match held::take(tx, &held).await? {
        Ok(()) => Ok(true),
        Err(clash) => Err(crate::error::Error::internal(format!(
            "a time was taken under its locks: {clash:?}"
        ))),
    }
}

/// Whether an order for this booking may be made and paid now: ACCEPTED and within its payment deadline.
pub fn awaits_payment(booking: &Booking, now: Timestamp) -> Option<Instant> {
    if booking.state_at(now) == State::Accepted {
        booking.payment_deadline
    } else {
        None
    }
}
