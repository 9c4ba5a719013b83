//! Making events in Stripe's shape: for the sandbox, and for tests.
//!
//! They carry the fields that we read and those around them which every event of Stripe's has.
//! Ids follow from what they are made from, so that the same event made twice is one event.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    CheckoutStatus, GatewayRefundStatus, PaymentStatus,
    webhook_event::{DisputeStatus, SessionChange},
};

/// The version of Stripe's API that these objects are shaped after.
pub const API_VERSION: &str = "2026-09-30.endive";

/// What every event has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventHead {
    /// `evt_…`
    pub id: String,
    /// When it happened; whole seconds are written.
    pub created: Timestamp,
    /// Whether it is about real money.
    pub livemode: bool,
}

impl EventHead {
    /// A head of no real money whose id follows from `parts` and `nonce`, as [`derived_id`] says.
    #[must_use]
    pub fn derived(parts: &[&str], nonce: &[u8], created: Timestamp) -> Self {
        Self {
            id: derived_id("evt_", parts, nonce),
            created,
            livemode: false,
        }
    }

    fn event(&self, event_type: &str, object: Value) -> Value {
        json!({
            "id": self.id,
            "object": "event",
            "api_version": API_VERSION,
            "created": self.created.as_second(),
            "data": { "object": object },
            "livemode": self.livemode,
            "pending_webhooks": 1,
            "request": { "id": null, "idempotency_key": null },
            "type": event_type,
        })
    }
}

/// An id of Stripe's form: `prefix` and 24 hex digits that follow from `parts` and `nonce`. An
/// empty nonce makes the same id each time; randomness makes a new one.
#[must_use]
pub fn derived_id(prefix: &str, parts: &[&str], nonce: &[u8]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // The length before each keeps ("ab", "c") apart from ("a", "bc").
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(nonce);
    let mut id = format!("{prefix}{}", hex::encode(hash.finalize()));
    id.truncate(prefix.len() + 24);
    id
}

/// A checkout session, as an event shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionObject {
    /// `cs_…`
    pub id: String,
    /// Our order's public id: `client_reference_id` and `metadata.order_id`.
    pub order_id: String,
    /// In the gateway's unit.
    pub amount_total: i64,
    /// ISO 4217 code in lower case.
    pub currency: String,
    /// Where it stands.
    pub status: CheckoutStatus,
    /// Whether the money has arrived.
    pub payment_status: PaymentStatus,
    /// `pi_…`
    pub payment_intent: Option<String>,
    /// When it closes by itself.
    pub expires_at: Timestamp,
    /// What the client gave.
    pub customer_email: Option<String>,
    /// Where the client goes after paying.
    pub success_url: String,
    /// Where the client goes without paying.
    pub cancel_url: String,
    /// More for `metadata`.
    pub metadata: BTreeMap<String, String>,
}

/// `checkout.session.*`
#[must_use]
pub fn session_event(head: &EventHead, change: SessionChange, session: &SessionObject) -> Value {
    let event_type = match change {
        SessionChange::Completed => "checkout.session.completed",
        SessionChange::AsyncPaymentSucceeded => "checkout.session.async_payment_succeeded",
        SessionChange::AsyncPaymentFailed => "checkout.session.async_payment_failed",
        SessionChange::Expired => "checkout.session.expired",
    };
    let status = match session.status {
        CheckoutStatus::Open => "open",
        CheckoutStatus::Complete => "complete",
        CheckoutStatus::Expired => "expired",
    };
    let mut metadata = session.metadata.clone();
    metadata.insert("order_id".to_owned(), session.order_id.clone());
    head.event(
        event_type,
        json!({
            "id": session.id,
            "object": "checkout.session",
            "amount_subtotal": session.amount_total,
            "amount_total": session.amount_total,
            "cancel_url": session.cancel_url,
            "client_reference_id": session.order_id,
            "created": head.created.as_second(),
            "currency": session.currency,
            "customer": null,
            "customer_email": session.customer_email,
            "expires_at": session.expires_at.as_second(),
            "livemode": head.livemode,
            "metadata": metadata,
            "mode": "payment",
            "payment_intent": session.payment_intent,
            "payment_method_types": ["card"],
            "payment_status": session.payment_status.as_word(),
            "status": status,
            "success_url": session.success_url,
            "ui_mode": "hosted_page",
            "url": null,
        }),
    )
}

/// A charge, as an event shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeObject {
    /// `ch_…`
    pub id: String,
    /// `pi_…`
    pub payment_intent: String,
    /// What was charged, in the gateway's unit.
    pub amount: i64,
    /// All that was given back so far, in the gateway's unit.
    pub amount_refunded: i64,
    /// ISO 4217 code in lower case.
    pub currency: String,
    /// As of the payment: `order_id`, where it is known.
    pub metadata: BTreeMap<String, String>,
}

/// `charge.refunded`
#[must_use]
pub fn charge_refunded(head: &EventHead, charge: &ChargeObject) -> Value {
    head.event(
        "charge.refunded",
        json!({
            "id": charge.id,
            "object": "charge",
            "amount": charge.amount,
            "amount_captured": charge.amount,
            "amount_refunded": charge.amount_refunded,
            "captured": true,
            "created": head.created.as_second(),
            "currency": charge.currency,
            "disputed": false,
            "livemode": head.livemode,
            "metadata": charge.metadata,
            "paid": true,
            "payment_intent": charge.payment_intent,
            "refunded": charge.amount_refunded >= charge.amount,
            "status": "succeeded",
        }),
    )
}

/// Which event tells of a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundChange {
    /// `refund.created`
    Created,
    /// `refund.updated`
    Updated,
    /// `refund.failed`
    Failed,
}

/// A refund, as an event shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundObject {
    /// `re_…`
    pub id: String,
    /// `ch_…`
    pub charge: String,
    /// `pi_…`
    pub payment_intent: String,
    /// In the gateway's unit.
    pub amount: i64,
    /// ISO 4217 code in lower case.
    pub currency: String,
    /// How far it got.
    pub status: GatewayRefundStatus,
    /// Our refund's public id is `refund_id`.
    pub metadata: BTreeMap<String, String>,
}

/// `refund.*`
#[must_use]
pub fn refund_event(head: &EventHead, change: RefundChange, refund: &RefundObject) -> Value {
    let event_type = match change {
        RefundChange::Created => "refund.created",
        RefundChange::Updated => "refund.updated",
        RefundChange::Failed => "refund.failed",
    };
    let failed = refund.status == GatewayRefundStatus::Failed;
    head.event(
        event_type,
        json!({
            "id": refund.id,
            "object": "refund",
            "amount": refund.amount,
            "charge": refund.charge,
            "created": head.created.as_second(),
            "currency": refund.currency,
            "failure_reason": failed.then_some("lost_or_stolen_card"),
            "metadata": refund.metadata,
            "payment_intent": refund.payment_intent,
            "reason": null,
            "status": refund.status.as_word(),
        }),
    )
}

/// A dispute, as an event shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisputeObject {
    /// `dp_…`
    pub id: String,
    /// `ch_…`
    pub charge: String,
    /// `pi_…`
    pub payment_intent: String,
    /// In the gateway's unit.
    pub amount: i64,
    /// ISO 4217 code in lower case.
    pub currency: String,
}

/// `charge.dispute.created` of an open dispute, `charge.dispute.closed` of a decided one.
#[must_use]
pub fn dispute_event(head: &EventHead, status: DisputeStatus, dispute: &DisputeObject) -> Value {
    let (name, status) = match status {
        DisputeStatus::Open => ("charge.dispute.created", "needs_response"),
        DisputeStatus::Won => ("charge.dispute.closed", "won"),
        DisputeStatus::Lost => ("charge.dispute.closed", "lost"),
    };
    head.event(
        name,
        json!({
            "id": dispute.id,
            "object": "dispute",
            "amount": dispute.amount,
            "charge": dispute.charge,
            "created": head.created.as_second(),
            "currency": dispute.currency,
            "is_charge_refundable": false,
            "livemode": head.livemode,
            "metadata": {},
            "payment_intent": dispute.payment_intent,
            "reason": "fraudulent",
            "status": status,
        }),
    )
}
