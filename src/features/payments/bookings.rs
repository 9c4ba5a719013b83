//! Where payments and bookings meet: a payment confirms a booking; a booking that ends closes its order or gives
//! money back. The caller of what is here holds the booking's lock; the order is locked here.

use diesel_async::AsyncPgConnection;
use jiff::Timestamp;

use super::{
    model::{self, Order, OrderState, checkouts, checkouts::CheckoutState, refunds::RefundCause},
    settle::{self, NewRefund, add_refund, recompute, set_checkout},
};
use crate::{
    app::App,
    db::{Instant, Transaction, ids::BookingId},
    error::{Error, Result},
    features::{
        audit::Entry,
        bookings::service::{self as bookings, PaidOutcome},
    },
    jobs::{self, Kind},
    money::Money,
};

pub use super::settle::Actor;

/// Whether a payment pays for its booking, or goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The booking is confirmed by it.
    Yes,
    /// The booking can't be kept (rule 7): refunded in full.
    No,
}

/// Tells a booking that it is paid. User, provider, booking and order are locked.
pub(super) async fn paid(
    tx: &mut Transaction,
    app: &App,
    booking: BookingId,
    now: Timestamp,
) -> Result<Kept> {
    Ok(match bookings::confirm_paid(tx, app, booking, now).await? {
        PaidOutcome::Confirmed => Kept::Yes,
        // Another order's payment did it, or the time is gone.
        PaidOutcome::AlreadyPaid | PaidOutcome::RefundInFull => Kept::No,
    })
}

/// Closes the unpaid order of a booking that expired (`OrderState::Expired`) or was cancelled
/// (`OrderState::Cancelled`), and has its open checkout session ended at the gateway after the commit.
pub async fn close(
    tx: &mut AsyncPgConnection,
    app: &App,
    booking: BookingId,
    state: OrderState,
    actor: Actor<'_>,
    now: Timestamp,
) -> Result<()> {
    for mut order in model::lock_of_booking(tx, booking).await? {
        if order.state == OrderState::Pending {
            let before = settle::told(&order);
            order.state = state;
            order.version = order.version.saturating_add(1);
            order.updated_at = Instant(now);
            model::save(tx, &order).await?;
            let entry = Entry {
                action: "order.close",
                target: Some(("ord", order.id.0)),
                before: Some(before),
                after: Some(settle::told(&order)),
            };
            settle::record(tx, app, actor, now, entry).await?;
        }
        close_checkouts(tx, app, &order, actor, now).await?;
    }
    Ok(())
}

/// Marks what is open of a locked order's checkouts as to be ended, and enqueues that.
pub(super) async fn close_checkouts(
    tx: &mut AsyncPgConnection,
    app: &App,
    order: &Order,
    actor: Actor<'_>,
    now: Timestamp,
) -> Result<()> {
    for mut checkout in checkouts::of_order(tx, order.id).await? {
        if matches!(
            checkout.state,
            CheckoutState::Creating | CheckoutState::Open
        ) {
            set_checkout(tx, app, &mut checkout, CheckoutState::Expiring, actor, now).await?;
            let id = checkout.id.to_string();
            jobs::enqueue(
                tx,
                app,
                Kind::FinishCheckout,
                &format!("{id}:close"),
                &id,
                now,
            )
            .await?;
        }
    }
    Ok(())
}

/// What goes back of a booking's payment, and why.
#[derive(Clone, Copy, Debug)]
pub struct GiveBack<'a> {
    /// How much of what was paid, 0 to 100; never more than what is left of it (rule 10).
    pub percent: u32,
    /// Why, as a word.
    pub cause: RefundCause,
    /// Why, in words.
    pub reason: &'a str,
}

/// What of a booking's payment can still be given back, in minor units; 0 without one. Locked, it stays so until the
/// transaction ends.
pub async fn refundable(
    conn: &mut AsyncPgConnection,
    booking: BookingId,
    lock: bool,
) -> Result<i64> {
    let orders = if lock {
        model::lock_of_booking(conn, booking).await?
    } else {
        model::of_booking(conn, booking).await?
    };
    let paid = orders.iter().find(|order| order.captured_minor > 0);
    Ok(paid.map_or(0, |order| {
        let gone = order.refunded_minor.saturating_add(order.lost_minor);
        let left = order.captured_minor.saturating_sub(gone);
        // Of a second payment, which goes back by itself, nothing is counted.
        left.clamp(0, order.total_minor)
    }))
}

/// Gives back a share of what a booking's payment was. The remainder of rounding stays with the payer.
///
/// Answers what goes back; nothing where nothing was paid.
pub async fn give_back(
    tx: &mut AsyncPgConnection,
    app: &App,
    booking: BookingId,
    what: GiveBack<'_>,
    actor: Actor<'_>,
    now: Timestamp,
) -> Result<Option<Money>> {
    let GiveBack {
        percent,
        cause,
        reason,
    } = what;
    for mut order in model::lock_of_booking(tx, booking).await? {
        if order.captured_minor == 0 {
            continue;
        }
        let facts = recompute(tx, app, &mut order, 0, actor, now).await?;
        let Some(payment) = facts.payments.first() else {
            continue;
        };
        let currency = settle::currency(&order)?;
        let share = Money::new(payment.captured_minor, currency)
            .and_then(|whole| whole.refund_share(percent))
            .map_err(Error::internal)?;
        let amount_minor = share
            .refunded
            .amount_minor()
            .min(payment.refundable_minor());
        let Some(intent) = &payment.payment_intent else {
            continue;
        };
        if amount_minor > 0 {
            let refund = NewRefund {
                payment_intent: intent.clone(),
                amount_minor,
                cause,
                reason: reason.chars().take(2000).collect(),
                requested_by: None,
            };
            add_refund(tx, app, &order, refund, actor, now).await?;
            recompute(tx, app, &mut order, 1, actor, now).await?;
        }
        return Money::new(amount_minor, currency)
            .map(Some)
            .map_err(Error::internal);
    }
    Ok(None)
}
