//! Reading Stripe's events: the few fields in use, tolerantly (security.md, Stripe webhooks 8).
//!
//! Whatever is signed and is an event at all can be read; a field that is absent or has another
//! form than expected is `None`, so that a new version of Stripe's API costs a flag for staff
//! and never a lost event. The signature is checked before, over the raw bytes.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{GatewayRefundStatus, PaymentStatus};

/// The longest text of an event that we keep, in bytes. Stripe's ids are at most 255 long.
const MAX_TEXT_BYTES: usize = 255;

/// The first second after the years in which an event can have been made.
const YEAR_2100: i64 = 4_102_444_800;

/// An event of Stripe's, or of the sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookEvent {
    /// `evt_…`: applied once (rule 9).
    pub id: String,
    /// Stripe's name of it (`checkout.session.completed`).
    pub event_type: String,
    /// When it happened, in whole seconds; two events may share one.
    pub created: Timestamp,
    /// Whether it is about real money; must be [`PaymentGateway::livemode`](super::PaymentGateway::livemode).
    pub livemode: bool,
    /// What happened.
    pub kind: EventKind,
}

/// What an event tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A checkout session went on.
    CheckoutSession {
        /// How.
        change: SessionChange,
        /// The session.
        session: SessionFacts,
    },
    /// Some of a charge was given back; the amount is cumulative.
    ChargeRefunded(ChargeFacts),
    /// A refund was made, went on or failed; its status says which.
    RefundUpdated(RefundFacts),
    /// The client's bank takes the money back, or has decided.
    Dispute(DisputeFacts),
    /// An event of a type that we use without so much as its object's id: for staff to look at.
    Unreadable,
    /// A type that we don't use.
    Other,
}

/// How a checkout session went on (security.md, Stripe webhooks 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionChange {
    /// The client went through it; whether it is paid is in the payment status.
    Completed,
    /// Money that was on its way has arrived.
    AsyncPaymentSucceeded,
    /// Money that was on its way will not arrive.
    AsyncPaymentFailed,
    /// It closed unpaid.
    Expired,
}

/// A checkout session, as far as an event tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionFacts {
    /// `cs_…`
    pub id: String,
    /// Whether the money has arrived.
    pub payment_status: Option<PaymentStatus>,
    /// `pi_…`
    pub payment_intent: Option<String>,
    /// In the gateway's unit.
    pub amount_total: Option<i64>,
    /// ISO 4217 code in lower case.
    pub currency: Option<String>,
    /// Our order's public id, from `metadata.order_id`, else `client_reference_id`.
    pub order_id: Option<String>,
}

/// A charge, as far as an event tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeFacts {
    /// `ch_…`
    pub id: String,
    /// `pi_…`
    pub payment_intent: Option<String>,
    /// What was charged, in the gateway's unit.
    pub amount: Option<i64>,
    /// All that was given back so far, in the gateway's unit.
    pub amount_refunded: Option<i64>,
    /// ISO 4217 code in lower case.
    pub currency: Option<String>,
    /// Our order's public id, from `metadata.order_id`.
    pub order_id: Option<String>,
}

/// A refund, as far as an event tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundFacts {
    /// `re_…`
    pub id: String,
    /// How far it got. `refund.failed` is [`GatewayRefundStatus::Failed`] whatever the object says.
    pub status: Option<GatewayRefundStatus>,
    /// In the gateway's unit.
    pub amount: Option<i64>,
    /// ISO 4217 code in lower case.
    pub currency: Option<String>,
    /// `ch_…`
    pub charge: Option<String>,
    /// `pi_…`
    pub payment_intent: Option<String>,
    /// Our refund's public id, from `metadata.refund_id`; absent for one made at Stripe by hand.
    pub refund_id: Option<String>,
}

/// How far a dispute is; what is decided comes after what is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DisputeStatus {
    /// The bank has not decided.
    Open,
    /// The money stays with us.
    Won,
    /// The bank has given the money back to the client.
    Lost,
}

/// A dispute, as far as an event tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisputeFacts {
    /// `dp_…`
    pub id: String,
    /// How far it is. Open where its end has a word that we don't know: a person will look.
    pub status: DisputeStatus,
    /// `ch_…`
    pub charge: Option<String>,
    /// `pi_…`
    pub payment_intent: Option<String>,
    /// In the gateway's unit.
    pub amount: Option<i64>,
    /// ISO 4217 code in lower case.
    pub currency: Option<String>,
}

/// Why bytes are no event. Either is a 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// No JSON, or nested more than 127 deep.
    #[error("the event is not JSON")]
    NotJson,
    /// JSON without the `id`, `type`, `created` and `livemode` that every event has.
    #[error("the event has no usable {0}")]
    Missing(&'static str),
}

impl WebhookEvent {
    /// Reads the body of a webhook. The caller bounds its length and checks its signature first.
    ///
    /// # Errors
    /// [`EventError`] when it is no event at all.
    pub fn parse(body: &[u8]) -> Result<Self, EventError> {
        let Ok(Value::Object(event)) = serde_json::from_slice(body) else {
            return Err(EventError::NotJson);
        };
        let event_type = text(&event, "type").ok_or(EventError::Missing("type"))?;
        // Within what a column can hold, and far beyond what a gateway sends.
        let created = integer(&event, "created")
            .filter(|at| (0..YEAR_2100).contains(at))
            .and_then(|at| Timestamp::from_second(at).ok())
            .ok_or(EventError::Missing("created"))?;
        let livemode = event
            .get("livemode")
            .and_then(Value::as_bool)
            .ok_or(EventError::Missing("livemode"))?;
        let object = event
            .get("data")
            .and_then(|data| data.get("object"))
            .and_then(Value::as_object);
        Ok(Self {
            id: text(&event, "id").ok_or(EventError::Missing("id"))?,
            kind: kind(&event_type, object),
            event_type,
            created,
            livemode,
        })
    }
}

fn kind(event_type: &str, object: Option<&Map<String, Value>>) -> EventKind {
    let read: fn(&Map<String, Value>) -> Option<EventKind> = match event_type {
        "checkout.session.completed" => |o| session(SessionChange::Completed, o),
        "checkout.session.async_payment_succeeded" => {
            |o| session(SessionChange::AsyncPaymentSucceeded, o)
        }
        "checkout.session.async_payment_failed" => {
            |o| session(SessionChange::AsyncPaymentFailed, o)
        }
        "checkout.session.expired" => |o| session(SessionChange::Expired, o),
        "charge.refunded" => |o| charge(o).map(EventKind::ChargeRefunded),
        // `charge.refund.updated` is the older name, which Stripe still sends beside the newer.
        "refund.created" | "refund.updated" | "charge.refund.updated" => {
            |o| refund(o).map(EventKind::RefundUpdated)
        }
        "refund.failed" => |o| {
            let status = Some(GatewayRefundStatus::Failed);
            refund(o).map(|refund| EventKind::RefundUpdated(RefundFacts { status, ..refund }))
        },
        "charge.dispute.created" => |o| dispute(DisputeStatus::Open, o),
        "charge.dispute.closed" => |o| {
            let status = match text(o, "status").as_deref() {
                Some("won" | "warning_closed") => DisputeStatus::Won,
                Some("lost") => DisputeStatus::Lost,
                _ => DisputeStatus::Open,
            };
            dispute(status, o)
        },
        _ => return EventKind::Other,
    };
    object.and_then(read).unwrap_or(EventKind::Unreadable)
}

fn session(change: SessionChange, object: &Map<String, Value>) -> Option<EventKind> {
    let session = SessionFacts {
        id: text(object, "id")?,
        payment_status: text(object, "payment_status").and_then(|w| PaymentStatus::from_word(&w)),
        payment_intent: reference(object, "payment_intent"),
        amount_total: integer(object, "amount_total"),
        currency: text(object, "currency"),
        order_id: metadata(object, "order_id").or_else(|| text(object, "client_reference_id")),
    };
    Some(EventKind::CheckoutSession { change, session })
}

fn charge(object: &Map<String, Value>) -> Option<ChargeFacts> {
    Some(ChargeFacts {
        id: text(object, "id")?,
        payment_intent: reference(object, "payment_intent"),
        amount: integer(object, "amount"),
        amount_refunded: integer(object, "amount_refunded"),
        currency: text(object, "currency"),
        order_id: metadata(object, "order_id"),
    })
}

fn refund(object: &Map<String, Value>) -> Option<RefundFacts> {
    Some(RefundFacts {
        id: text(object, "id")?,
        status: text(object, "status").and_then(|word| GatewayRefundStatus::from_word(&word)),
        amount: integer(object, "amount"),
        currency: text(object, "currency"),
        charge: reference(object, "charge"),
        payment_intent: reference(object, "payment_intent"),
        refund_id: metadata(object, "refund_id"),
    })
}

fn dispute(status: DisputeStatus, object: &Map<String, Value>) -> Option<EventKind> {
    Some(EventKind::Dispute(DisputeFacts {
        id: text(object, "id")?,
        status,
        charge: reference(object, "charge"),
        payment_intent: reference(object, "payment_intent"),
        amount: integer(object, "amount"),
        currency: text(object, "currency"),
    }))
}

/// A text that can stand in a column: not empty, bounded, without control characters (PostgreSQL
/// takes no NUL).
fn text(object: &Map<String, Value>, name: &str) -> Option<String> {
    let text = object.get(name)?.as_str()?;
    let sane = !text.is_empty() && text.len() <= MAX_TEXT_BYTES && !text.contains(char::is_control);
    sane.then(|| text.to_owned())
}

fn integer(object: &Map<String, Value>, name: &str) -> Option<i64> {
    object.get(name)?.as_i64()
}

/// Another object's id, which Stripe gives as a text or, expanded, as the object.
fn reference(object: &Map<String, Value>, name: &str) -> Option<String> {
    match object.get(name)? {
        Value::Object(expanded) => text(expanded, "id"),
        _ => text(object, name),
    }
}

fn metadata(object: &Map<String, Value>, name: &str) -> Option<String> {
    text(object.get("metadata")?.as_object()?, name)
}

#[cfg(test)]
#[path = "webhook_event_tests.rs"]
mod tests;
