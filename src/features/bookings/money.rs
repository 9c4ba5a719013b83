//! Where a booking moves money: the way to `features::payments`, which owns orders, checkouts and refunds.
//!
//! Every function runs in the booking's transaction with the booking's row locked, and locks the booking's order next
//! (habit 5). None calls the gateway: what must follow is a job enqueued in the same transaction (habit 6).

use diesel_async::AsyncPgConnection;
use jiff::Timestamp;

use super::{change::Actor, machine::State, model::Booking};
use crate::{
    app::App,
    db::Transaction,
    error::{Error, Result},
    features::payments::{
        bookings::{self as payments, GiveBack},
        model::OrderState,
    },
    money::{Currency, Money, RefundShare},
};

pub(super) use crate::features::payments::model::refunds::RefundCause;

/// The booking's price divided by a refund of `percent`: rounded half to even, the remainder stays with the payer.
pub fn share(booking: &Booking, percent: u32) -> Result<RefundShare> {
    let currency = Currency::parse(&booking.currency).map_err(Error::internal)?;
    Money::new(booking.price_minor, currency)
        .and_then(|price| price.refund_share(percent))
        .map_err(Error::internal)
}

/// What of a booking's payment can still be given back, in minor units: 0 before it is paid, and for a free one.
pub(super) async fn left(
    conn: &mut AsyncPgConnection,
    booking: &Booking,
    lock: bool,
) -> Result<i64> {
    if booking.state == State::Confirmed && booking.price_minor > 0 {
        payments::refundable(conn, booking.id, lock).await
    } else {
        Ok(0)
    }
}

/// A CONFIRMED booking ended and `percent` of its price goes back to the client: a refund on its paid order, which a
/// job takes to the gateway. A free booking has no order.
pub(super) async fn refund_due(
    tx: &mut Transaction,
    app: &App,
    booking: &Booking,
    (percent, cause): (u32, RefundCause),
    actor: Actor<'_>,
    now: Timestamp,
) -> Result<()> {
    let reason = booking.reason.as_deref().unwrap_or_default();
    let what = GiveBack {
        percent,
        cause,
        reason,
    };
    payments::give_back(tx, app, booking.id, what, as_payments(actor), now).await?;
    Ok(())
}

/// An ACCEPTED booking ended without being paid: its unpaid order closes, and a job ends its open checkout session at
/// the gateway. A payment that gets through all the same is [`super::paid::confirm_paid`]'s.
pub(super) async fn close_checkout(
    tx: &mut Transaction,
    app: &App,
    booking: &Booking,
    actor: Actor<'_>,
    now: Timestamp,
) -> Result<()> {
    let state = if booking.state == State::Expired {
        OrderState::Expired
    } else {
        OrderState::Cancelled
    };
    payments::close(tx, app, booking.id, state, as_payments(actor), now).await
}

fn as_payments(actor: Actor<'_>) -> payments::Actor<'_> {
    match actor {
        Actor::Person(viewer, _) => payments::Actor::Viewer(viewer),
        Actor::Job => payments::Actor::System,
        Actor::Gateway => payments::Actor::Gateway,
    }
}
