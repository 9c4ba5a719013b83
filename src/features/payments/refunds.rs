//! Refunds: staff's decision, and the way of every refund to the gateway.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::json;

use super::{
    model::{
        self,
        refunds::{self, Refund, RefundCause, RefundState},
    },
    service::{find, invalid_state},
    settle::{Actor, NewRefund, add_refund, currency, recompute, record},
};
use crate::{
    app::App,
    auth::viewer::Viewer,
    db::{
        Instant,
        ids::{OrderId, RefundId},
    },
    error::{Error, ErrorCode, Problem, Problems, Result},
    features::{
        audit::Entry,
        idempotency::{self, Begun},
    },
    integrations::payments::{GatewayError, GatewayRefundStatus, RefundReason, RefundRequest},
    money::Money,
    text,
};

/// What staff wants to give back.
#[derive(Clone, Debug)]
pub struct Wish {
    /// In minor units of the order's currency; absent: all that is left.
    pub amount_minor: Option<i64>,
    /// Why, for the client and for staff.
    pub reason: String,
}

/// Gives back a part or all of an order's payment, by staff with `refunds:create`.
///
/// `id` is nothing for an id that can be no order's: the shape of the input is told first.
///
/// Errors: `INVALID_INPUT` (amount, reason, key; beyond what is left with `details.refundableMinor`), `NOT_FOUND`,
/// `INVALID_STATE` when nothing is left or a dispute holds it, `IDEMPOTENCY_KEY_REUSED`.
pub async fn create(
    app: &App,
    viewer: &Viewer,
    id: Option<OrderId>,
    wish: &Wish,
    key: &str,
) -> Result<Refund> {
    let now = app.clock.now();
    let user = viewer.require_user()?;
    let Wish {
        amount_minor,
        reason,
    } = wish;
    let mut problems = Problems::new();
    let reason = problems.take("input.reason", text::multi_line(reason, 1..=2000));
    if amount_minor.is_some_and(|amount| amount < 1) {
        problems.invalid("input.amountMinor", "This must be at least 1.");
    }
    idempotency::check_key(&mut problems, key);
    problems.check()?;
    let id = id.ok_or_else(|| Error::not_found("orderId"))?;
    let reason = reason.unwrap_or_default();
    let input = json!({ "orderId": id, "amountMinor": amount_minor, "reason": reason });
    let begun = idempotency::begin::<RefundId>(app, user, "refundCreate", key, &input, now).await?;
    let (mut tx, ticket) = match begun {
        Begun::Repeat(id) => return load(app, id).await,
        Begun::Fresh(tx, ticket) => (tx, ticket),
    };
    let mut order = model::lock(&mut tx, id)
        .await?
        .ok_or_else(|| Error::not_found("orderId"))?;
    let facts = recompute(&mut tx, app, &mut order, 0, Actor::Viewer(viewer), now).await?;
    let state = order.state.as_str();
    // Money that should have gone back by itself and did not goes before that of the payment that counts.
    let owed = facts
        .payments
        .iter()
        .rfind(|payment| payment.returned && payment.refundable_minor() > 0);
    let payment = owed
        .or_else(|| facts.payments.first())
        .ok_or_else(|| invalid_state("This order is not paid.", state))?;
    if order.disputed_at.is_some() {
        return Err(Problem::new(
            ErrorCode::InvalidState,
            "The payment is disputed: refunds are held.",
        )
        .with(json!({ "state": state, "disputed": true }))
        .into());
    }
    let left = payment.refundable_minor();
    let Some(intent) = payment.payment_intent.clone().filter(|_| left > 0) else {
        return Err(invalid_state("Nothing is left to give back.", state));
    };
    let amount_minor = amount_minor.unwrap_or(left);
    if amount_minor > left {
        return Err(
            Problem::new(ErrorCode::InvalidInput, "is more than what is left")
                .at("input.amountMinor")
                .with(json!({ "refundableMinor": left }))
                .into(),
        );
    }
    Money::new(amount_minor, currency(&order)?)
        .and_then(Money::to_gateway)
        .map_err(|error| {
            Problem::new(ErrorCode::InvalidInput, error.to_string()).at("input.amountMinor")
        })?;
    let new = NewRefund {
        payment_intent: intent,
        amount_minor,
        cause: RefundCause::Staff,
        reason,
        requested_by: Some(user),
    };
    let refund = add_refund(&mut tx, app, &order, new, Actor::Viewer(viewer), now).await?;
    recompute(&mut tx, app, &mut order, 1, Actor::Viewer(viewer), now).await?;
    ticket.keep(&mut tx, &refund).await?;
    tx.commit().await?;
    load(app, refund).await
}

async fn load(app: &App, id: RefundId) -> Result<Refund> {
    refunds::by_id(&mut *app.db.conn().await?, id)
        .await?
        .ok_or_else(|| Error::internal("a refund is gone"))
}

/// Brings a refund to the gateway, again where a crash came in between, and writes the answer. One of a disputed order
/// is held (rule 10).
pub(super) async fn send(app: &App, id: RefundId) -> Result<()> {
    let now = app.clock.now();
    let refund = load(app, id).await?;
    if refund.state != RefundState::Pending || refund.gateway_refund_id.is_some() {
        return Ok(());
    }
    let order = find(app, refund.order_id).await?;
    if order.disputed_at.is_some() {
        return Ok(());
    }
    // Decided before the client's bank took the money back: what is left is for staff to decide anew.
    if order.lost_minor > 0 && is_overdrawn(app, &refund, now).await? {
        tracing::error!(refund = %id, "a refund is more than a lost dispute has left");
        return answered(app, &refund, RefundState::Failed, None, Actor::System, now).await;
    }
    let amount = Money::new(refund.amount_minor, currency(&order)?)
        .and_then(Money::to_gateway)
        .map_err(Error::internal)?;
    let request = RefundRequest {
        idempotency_key: refund.id.to_string(),
        payment_intent: refund.payment_intent.clone(),
        amount,
        refund_id: refund.id.to_string(),
        metadata: BTreeMap::from([("order_id".to_owned(), order.id.to_string())]),
        reason: Some(match refund.cause {
            RefundCause::DuplicatePayment => RefundReason::Duplicate,
            _ => RefundReason::RequestedByCustomer,
        }),
    };
    match app.payments.create_refund(&request).await {
        Ok(answer) => {
            let state = match answer.status {
                GatewayRefundStatus::Succeeded => RefundState::Succeeded,
                GatewayRefundStatus::Failed | GatewayRefundStatus::Canceled => RefundState::Failed,
                GatewayRefundStatus::Pending | GatewayRefundStatus::RequiresAction => {
                    RefundState::Pending
                }
            };
            answered(app, &refund, state, Some(answer.id), Actor::Gateway, now).await
        }
        Err(
            error @ (GatewayError::Declined { .. }
            | GatewayError::InvalidState(_)
            | GatewayError::NotFound),
        ) => {
            tracing::error!(refund = %id, %error, "the gateway refused a refund");
            answered(app, &refund, RefundState::Failed, None, Actor::Gateway, now).await
        }
        // The queue tries again; the key makes sure that it happens once.
        Err(error) => Err(Error::unavailable(error)),
    }
}

/// Whether this refund's payment has less left than all of its refunds come to, this one included.
async fn is_overdrawn(app: &App, refund: &Refund, now: Timestamp) -> Result<bool> {
    let mut tx = app.db.begin().await?;
    let mut order = model::lock(&mut tx, refund.order_id)
        .await?
        .ok_or_else(|| Error::internal("a refund's order is gone"))?;
    let facts = recompute(&mut tx, app, &mut order, 0, Actor::System, now).await?;
    tx.commit().await?;
    Ok(facts.payments.iter().any(|payment| {
        payment.payment_intent.as_ref() == Some(&refund.payment_intent) && payment.is_overdrawn()
    }))
}

/// Writes down what became of a refund and computes the order anew.
async fn answered(
    app: &App,
    refund: &Refund,
    state: RefundState,
    gateway_id: Option<String>,
    actor: Actor<'_>,
    now: Timestamp,
) -> Result<()> {
    let mut tx = app.db.begin().await?;
    let gone = || Error::internal("a refund or its order is gone");
    let mut order = model::lock(&mut tx, refund.order_id)
        .await?
        .ok_or_else(gone)?;
    let mut refund = refunds::by_id(&mut tx, refund.id).await?.ok_or_else(gone)?;
    let before = refund.state;
    // A webhook may have told more already.
    refund.state = state.max(before);
    refund.gateway_refund_id = refund.gateway_refund_id.or(gateway_id);
    refund.updated_at = Instant(now);
    refunds::save(&mut tx, &refund).await?;
    let entry = Entry {
        action: "refund.change",
        target: Some(("ref", refund.id.0)),
        before: Some(json!({ "state": before })),
        after: Some(json!({ "state": refund.state })),
    };
    record(&mut tx, app, actor, now, entry).await?;
    recompute(&mut tx, app, &mut order, 0, actor, now).await?;
    tx.commit().await
}
