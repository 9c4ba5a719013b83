//! What a webhook does, once its signature is checked: the event row and all of its effects in one transaction
//! (rules 7 and 9).

use diesel_async::AsyncPgConnection;
use jiff::Timestamp;

use super::{
    bookings::{self, Kept},
    model::{self, Order, checkouts, events, refunds, refunds::RefundCause},
    settle::{Actor, NewRefund, add_refund, recompute},
};
use crate::{
    app::App,
    db::{Instant, Transaction, ids::OrderId},
    error::{Error, Result},
    features::users::model as users,
    integrations::payments::webhook_event::{EventKind, WebhookEvent},
};

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It is kept, with its effects.
    Applied,
    /// It is kept; nothing of ours is known to it, yet or ever.
    Kept,
    /// It was kept before.
    Duplicate,
}

/// Keeps an event whose signature is checked, and does what follows from it.
///
/// `body` is what came and was signed. An event is applied once; what does not agree with its order is kept and flagged.
/// Errors are those of the database: the gateway sends the event again.
pub async fn receive(
    app: &App,
    body: &[u8],
    event: &WebhookEvent,
    now: Timestamp,
) -> Result<Received> {
    let mut tx = app.db.begin().await?;
    let payment = payment_intent(event);
    let row = events::PaymentEvent {
        id: event.id.clone(),
        kind: event.event_type.clone(),
        order_id: None,
        mismatch: None,
        raw_body: body.to_vec(),
        created_at: Instant(event.created),
        received_at: Instant(now),
        payment_intent: payment.map(str::to_owned),
    };
    if !events::insert(&mut tx, &row).await? {
        return Ok(Received::Duplicate);
    }
    if event.kind == EventKind::Unreadable {
        tracing::error!(event = %event.id, kind = %event.event_type, "unreadable payment event");
    }
    if let Some(payment) = payment {
        events::lock_payment(&mut tx, payment).await?;
    }
    let Some(id) = order_of(&mut tx, event, payment).await? else {
        tx.commit().await?;
        return Ok(Received::Kept);
    };
    let mut order = lock_all(&mut tx, id).await?;
    let tied = events::tie(&mut tx, &event.id, payment, id).await?;
    apply(&mut tx, app, &mut order, tied, now).await?;
    tx.commit().await?;
    Ok(Received::Applied)
}

/// Computes the order anew; a payment that is new confirms the booking or goes back.
async fn apply(
    tx: &mut Transaction,
    app: &App,
    order: &mut Order,
    tied: usize,
    now: Timestamp,
) -> Result<()> {
    let unpaid = order.captured_minor == 0;
    let facts = recompute(tx, app, order, tied, Actor::Gateway, now).await?;
    if facts.payments.is_empty() {
        return Ok(());
    }
    let kept = if unpaid {
        bookings::paid(tx, app, order.booking_id, now).await?
    } else {
        let rows = refunds::of_orders(tx, &[order.id]).await?;
        let late = rows.iter().any(|row| row.cause == RefundCause::LatePayment);
        if late { Kept::No } else { Kept::Yes }
    };
    // All that does not pay for the booking goes back in full, once, without anyone asking.
    let (counts, cause) = match kept {
        Kept::Yes => (1, RefundCause::DuplicatePayment),
        Kept::No => (0, RefundCause::LatePayment),
    };
    let mut grown = 0;
    for payment in facts.payments.iter().skip(counts) {
        let amount_minor = payment.refundable_minor();
        let Some(intent) = &payment.payment_intent else {
            continue;
        };
        if payment.returned || amount_minor == 0 {
            continue;
        }
        let refund = NewRefund {
            payment_intent: intent.clone(),
            amount_minor,
            cause,
            reason: String::new(),
            requested_by: None,
        };
        add_refund(tx, app, order, refund, Actor::Gateway, now).await?;
        grown += 1;
    }
    if grown > 0 {
        recompute(tx, app, order, grown, Actor::Gateway, now).await?;
    }
    Ok(())
}

/// Locks all that a payment may change, in the written order; the ids are read before without a lock.
async fn lock_all(tx: &mut AsyncPgConnection, id: OrderId) -> Result<Order> {
    let gone = || Error::internal("an order or its booking is gone");
    let order = model::by_id(tx, id).await?.ok_or_else(gone)?;
    let booking = model::payable(tx, order.booking_id)
        .await?
        .ok_or_else(gone)?;
    users::lock(tx, booking.client_id).await?;
    model::lock_provider(tx, booking.provider_id).await?;
    model::lock_booking(tx, booking.id).await?;
    model::lock(tx, id).await?.ok_or_else(gone)
}

/// The payment that an event is about.
fn payment_intent(event: &WebhookEvent) -> Option<&str> {
    match &event.kind {
        EventKind::CheckoutSession { session, .. } => session.payment_intent.as_deref(),
        EventKind::ChargeRefunded(charge) => charge.payment_intent.as_deref(),
        EventKind::RefundUpdated(refund) => refund.payment_intent.as_deref(),
        EventKind::Dispute(dispute) => dispute.payment_intent.as_deref(),
        EventKind::Unreadable | EventKind::Other => None,
    }
}

/// The order that an event is about: by what is ours in it, else by its payment.
async fn order_of(
    tx: &mut AsyncPgConnection,
    event: &WebhookEvent,
    payment: Option<&str>,
) -> Result<Option<OrderId>> {
    let mut named = None;
    match &event.kind {
        EventKind::CheckoutSession { session, .. } => {
            if let Some(order) = checkouts::order_of_session(tx, &session.id).await? {
                return Ok(Some(order));
            }
            named = session.order_id.as_deref();
        }
        EventKind::RefundUpdated(refund) => {
            if let Some(Ok(id)) = refund.refund_id.as_deref().map(str::parse)
                && let Some(row) = refunds::by_id(tx, id).await?
            {
                return Ok(Some(row.order_id));
            }
        }
        EventKind::ChargeRefunded(charge) => named = charge.order_id.as_deref(),
        EventKind::Dispute(_) => {}
        EventKind::Unreadable | EventKind::Other => return Ok(None),
    }
    if let Some(payment) = payment {
        if let Some(order) = events::order_of_payment(tx, payment).await? {
            return Ok(Some(order));
        }
        if let Some(order) = refunds::order_of_payment(tx, payment).await? {
            return Ok(Some(order));
        }
    }
    let Some(Ok(id)) = named.map(str::parse::<OrderId>) else {
        return Ok(None);
    };
    Ok(model::by_id(tx, id).await?.map(|order| order.id))
}
