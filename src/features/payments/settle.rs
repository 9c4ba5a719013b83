//! Writing down what an order has come to: the one place that changes an order by its events and refunds.

use diesel_async::AsyncPgConnection;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    fold::{OrderFacts, Terms, fold},
    model::{
        self, Order,
        checkouts::{self, Checkout, CheckoutState},
        events,
        refunds::{self, Refund, RefundCause, RefundState},
    },
};
use crate::{
    app::App,
    auth::viewer::Viewer,
    db::{
        Instant,
        ids::{RefundId, UserId},
    },
    error::{Error, Result},
    features::audit::{self, ActorKind, Entry},
    integrations::payments::webhook_event::WebhookEvent,
    jobs::{self, Kind},
    money::{Currency, Money},
};

/// Whose doing a change is, for the audit trail.
#[derive(Clone, Copy)]
pub enum Actor<'a> {
    /// A person's.
    Viewer(&'a Viewer),
    /// A job's.
    System,
    /// The payment gateway's, by a webhook or an answer.
    Gateway,
}

/// Writes an audit row.
pub(super) async fn record(
    conn: &mut AsyncPgConnection,
    app: &App,
    actor: Actor<'_>,
    now: Timestamp,
    entry: Entry,
) -> Result<()> {
    match actor {
        Actor::Viewer(viewer) => audit::record(conn, app, viewer, now, entry).await?,
        Actor::System => {
            audit::record_ours(conn, app, ActorKind::System, now, entry).await?;
        }
        Actor::Gateway => {
            audit::record_ours(conn, app, ActorKind::Gateway, now, entry).await?;
        }
    }
    Ok(())
}

/// An order's currency; one that left the list is our fault.
pub(super) fn currency(order: &Order) -> Result<Currency> {
    Currency::parse(&order.currency).map_err(Error::internal)
}

/// Computes a locked order anew from all of its kept events and our refunds, and writes what changed.
///
/// `grown` is by how many events and refunds the set grew, for the order's version.
pub(super) async fn recompute(
    conn: &mut AsyncPgConnection,
    app: &App,
    order: &mut Order,
    grown: usize,
    actor: Actor<'_>,
    now: Timestamp,
) -> Result<OrderFacts> {
    let rows = refunds::of_orders(conn, &[order.id]).await?;
    let kept = events::of_order(conn, order.id).await?;
    // What was kept could be read then; leaving out what cannot be now would lose money from the sum.
    let parsed = kept.iter().map(|(_, body, _)| WebhookEvent::parse(body));
    let parsed: Vec<WebhookEvent> = parsed.collect::<Result<_, _>>().map_err(Error::internal)?;
    let terms = Terms {
        order: order.id,
        total: Money::new(order.total_minor, currency(order)?).map_err(Error::internal)?,
        livemode: app.payments.livemode(),
    };
    let facts = fold(&terms, &parsed, &rows);
    for (id, _, known) in &kept {
        let found = facts.mismatches.get(id).copied();
        if known.as_deref() != found {
            events::set_mismatch(conn, id, found).await?;
        }
    }
    write_checkouts(conn, app, order, &facts, actor, now).await?;
    write_refunds(conn, app, rows, &facts, actor, now).await?;
    write_order(conn, app, order, &facts, grown, actor, now).await?;
    Ok(facts)
}

async fn write_order(
    conn: &mut AsyncPgConnection,
    app: &App,
    order: &mut Order,
    facts: &OrderFacts,
    grown: usize,
    actor: Actor<'_>,
    now: Timestamp,
) -> Result<()> {
    let before = order.clone();
    // Without a payment the order is pending or closed, which its booking decides.
    order.state = facts.state.unwrap_or(order.state);
    order.captured_minor = facts.captured_minor;
    order.refunded_minor = facts.refunded_minor;
    order.paid_at = facts.paid_at.map(Instant);
    order.disputed_at = facts.disputed_at.map(Instant);
    order.lost_minor = facts.lost_minor;
    order.needs_attention = facts.attention(&order.attention_seen);
    let changed = before != *order;
    if !changed && grown == 0 {
        return Ok(());
    }
    order.version = order
        .version
        .saturating_add(i32::try_from(grown).unwrap_or(i32::MAX));
    order.updated_at = Instant(now);
    model::save(conn, order).await?;
    if !changed {
        return Ok(());
    }
    let action = if before.paid_at.is_none() && order.paid_at.is_some() {
        "order.pay"
    } else if (before.disputed_at, before.lost_minor) != (order.disputed_at, order.lost_minor) {
        "order.dispute"
    } else if before.refunded_minor != order.refunded_minor {
        "order.refund"
    } else {
        "order.flag"
    };
    let entry = Entry {
        action,
        target: Some(("ord", order.id.0)),
        before: Some(told(&before)),
        after: Some(told(order)),
    };
    record(conn, app, actor, now, entry).await
}

/// What of an order the audit trail tells.
pub(super) fn told(order: &Order) -> Value {
    json!({
        "state": order.state,
        "capturedMinor": order.captured_minor,
        "refundedMinor": order.refunded_minor,
        "disputedAt": order.disputed_at,
        "lostMinor": order.lost_minor,
        "needsAttention": order.needs_attention,
    })
}

async fn write_checkouts(
    conn: &mut AsyncPgConnection,
    app: &App,
    order: &Order,
    facts: &OrderFacts,
    actor: Actor<'_>,
    now: Timestamp,
) -> Result<()> {
    if facts.sessions.is_empty() {
        return Ok(());
    }
    for mut checkout in checkouts::of_order(conn, order.id).await? {
        let state = checkout
            .gateway_session_id
            .as_ref()
            .and_then(|session| facts.sessions.get(session));
        if let Some(state) = state.copied()
            && checkout.state != state
        {
            set_checkout(conn, app, &mut checkout, state, actor, now).await?;
        }
    }
    Ok(())
}

/// Moves a checkout of a locked order on.
pub(super) async fn set_checkout(
    conn: &mut AsyncPgConnection,
    app: &App,
    checkout: &mut Checkout,
    state: CheckoutState,
    actor: Actor<'_>,
    now: Timestamp,
) -> Result<()> {
    let before = checkout.state;
    checkout.state = state;
    checkout.updated_at = Instant(now);
    if state != CheckoutState::Open {
        checkout.url = None;
    }
    checkouts::save(conn, checkout).await?;
    let entry = Entry {
        action: "checkout.change",
        target: Some(("chk", checkout.id.0)),
        before: Some(json!({ "state": before })),
        after: Some(json!({ "state": state })),
    };
    record(conn, app, actor, now, entry).await
}

async fn write_refunds(
    conn: &mut AsyncPgConnection,
    app: &App,
    rows: Vec<Refund>,
    facts: &OrderFacts,
    actor: Actor<'_>,
    now: Timestamp,
) -> Result<()> {
    for mut refund in rows {
        let Some((state, gateway_id)) = facts.refunds.get(&refund.id) else {
            continue;
        };
        if refund.state == *state && refund.gateway_refund_id == *gateway_id {
            continue;
        }
        let before = refund.state;
        refund.state = *state;
        refund.gateway_refund_id.clone_from(gateway_id);
        refund.updated_at = Instant(now);
        refunds::save(conn, &refund).await?;
        let entry = Entry {
            action: "refund.change",
            target: Some(("ref", refund.id.0)),
            before: Some(json!({ "state": before })),
            after: Some(json!({ "state": state })),
        };
        record(conn, app, actor, now, entry).await?;
    }
    Ok(())
}

/// A refund that is decided.
pub(super) struct NewRefund {
    /// Of which payment.
    pub payment_intent: String,
    /// How much, in minor units; at most what is left of the payment.
    pub amount_minor: i64,
    /// Why, as a word.
    pub cause: RefundCause,
    /// Why, in words.
    pub reason: String,
    /// Who of staff decided it.
    pub requested_by: Option<UserId>,
}

/// Adds a refund to a locked order and enqueues its way to the gateway. The caller has checked the cap under the lock
/// and computes the order anew afterwards.
pub(super) async fn add_refund(
    conn: &mut AsyncPgConnection,
    app: &App,
    order: &Order,
    new: NewRefund,
    actor: Actor<'_>,
    now: Timestamp,
) -> Result<RefundId> {
    let NewRefund {
        payment_intent,
        amount_minor,
        cause,
        reason,
        requested_by,
    } = new;
    let refund = Refund {
        id: RefundId(app.entropy.uuid_v7(now)),
        order_id: order.id,
        payment_intent,
        amount_minor,
        state: RefundState::Pending,
        cause,
        reason,
        requested_by,
        gateway_refund_id: None,
        created_at: Instant(now),
        updated_at: Instant(now),
    };
    refunds::insert(conn, &refund).await?;
    // Other reasons are what a side of the booking typed.
    let by_staff = (cause == RefundCause::Staff).then_some(&refund.reason);
    let entry = Entry {
        action: "refund.create",
        target: Some(("ref", refund.id.0)),
        before: None,
        after: Some(json!({
            "order": order.id.to_string(),
            "amountMinor": amount_minor,
            "currency": order.currency,
            "cause": cause,
            "reason": by_staff,
        })),
    };
    record(conn, app, actor, now, entry).await?;
    let key = refund.id.to_string();
    jobs::enqueue(conn, app, Kind::CreateRefund, &key, &key, now).await?;
    Ok(refund.id)
}
