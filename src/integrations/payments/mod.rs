//! Taking and returning money: what we ask of a payment gateway, and the two that can do it.
//!
//! Rules 9 to 11 shape this room. A call is made from an intent row that is already committed, with
//! an idempotency key derived from that row, never inside a transaction; so every method may be
//! called again with the same arguments until it answers, and answers the same. What the gateway
//! tells by itself comes as webhooks, the same ones from Stripe and from the sandbox.
//!
//! Amounts are integers in the **gateway's** unit of the currency, which is not always ours (ISK,
//! UGX, MGA): whoever calls converts.

pub mod events;
pub mod sandbox;
pub mod stripe;
pub mod webhook_event;

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;

/// Something that can take a payment for an order and give it back.
#[async_trait]
pub trait PaymentGateway: Send + Sync {
    /// Opens a checkout session: a page at the gateway where the client pays.
    ///
    /// The same request again answers the same session; the same key with another request is
    /// [`GatewayError::Protocol`].
    async fn create_checkout(
        &self,
        request: &CheckoutRequest,
    ) -> Result<CheckoutSession, GatewayError>;

    /// The session as the gateway has it now; [`GatewayError::NotFound`] if it has none.
    async fn retrieve_checkout(&self, session_id: &str) -> Result<CheckoutSession, GatewayError>;

    /// Ends an open session, so that nobody can pay in it any more.
    ///
    /// [`GatewayError::InvalidState`] when it is complete, or had expired before: the caller
    /// retrieves it to see which. What was paid meanwhile arrives as a webhook (rule 7).
    async fn expire_checkout(
        &self,
        session_id: &str,
        idempotency_key: &str,
    ) -> Result<CheckoutSession, GatewayError>;

    /// Gives back a part or all of a payment.
    ///
    /// [`GatewayError::Declined`] says that nothing was given back and that the same request
    /// never will be; [`GatewayError::InvalidState`] the same of a charge that is fully refunded
    /// or disputed.
    async fn create_refund(&self, request: &RefundRequest) -> Result<GatewayRefund, GatewayError>;

    /// Whether the money is real. Events with another `livemode` are not ours to apply
    /// (security.md, Stripe webhooks 6).
    fn livemode(&self) -> bool;
}

/// What a checkout session is made from. A repeat under the same key must be equal in every
/// field, `expires_at` included, so all of it is kept with the intent row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutRequest {
    /// Derived from our own row's id; 1 to 255 characters.
    pub idempotency_key: String,
    /// Our order's public id, which events carry back as `client_reference_id` and
    /// `metadata.order_id`.
    pub order_id: String,
    /// What is paid for, at least one line.
    pub lines: Vec<CheckoutLine>,
    /// ISO 4217 code in lower case.
    pub currency: String,
    /// When the session closes by itself, in whole seconds.
    pub expires_at: Timestamp,
    /// Where the client goes after paying.
    pub success_url: String,
    /// Where the client goes without paying.
    pub cancel_url: String,
    /// Filled in for the client where known.
    pub customer_email: Option<String>,
    /// Language of the page (`en`, `pt-BR`); absent: the browser's.
    pub locale: Option<String>,
    /// More for the session's `metadata`; `order_id` is added to it.
    pub metadata: BTreeMap<String, String>,
}

/// One line of a checkout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutLine {
    /// What it is, as the client reads it.
    pub title: String,
    /// Price of one, in the gateway's unit.
    pub amount: i64,
    /// How many, at least 1.
    pub quantity: u32,
}

impl CheckoutRequest {
    /// The sum of the lines in the gateway's unit; `None` when it overflows.
    #[must_use]
    pub fn total(&self) -> Option<i64> {
        self.lines.iter().try_fold(0_i64, |sum, line| {
            sum.checked_add(line.amount.checked_mul(i64::from(line.quantity))?)
        })
    }
}

/// A checkout session as the gateway answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutSession {
    /// The gateway's id (`cs_…`).
    pub id: String,
    /// Where to pay; absent once it is no longer open.
    pub url: Option<String>,
    /// Open, complete or expired.
    pub status: CheckoutStatus,
    /// Whether the money has arrived.
    pub payment_status: PaymentStatus,
    /// The payment behind it (`pi_…`), which a refund names; absent until there is one.
    pub payment_intent: Option<String>,
    /// In the gateway's unit.
    pub amount_total: i64,
    /// ISO 4217 code in lower case.
    pub currency: String,
    /// When it closes by itself.
    pub expires_at: Timestamp,
}

/// Where a checkout session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckoutStatus {
    /// The client may still pay.
    Open,
    /// The client has gone through it; [`PaymentStatus`] says whether the money is there.
    Complete,
    /// Closed unpaid.
    Expired,
}

/// Whether a session's money has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentStatus {
    /// It has.
    Paid,
    /// It has not, or not yet.
    Unpaid,
    /// There was nothing to pay.
    NoPaymentRequired,
}

impl PaymentStatus {
    /// From the word in Stripe's API; `None` for a new one.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "paid" => Some(Self::Paid),
            "unpaid" => Some(Self::Unpaid),
            "no_payment_required" => Some(Self::NoPaymentRequired),
            _ => None,
        }
    }

    /// The word in Stripe's API.
    #[must_use]
    pub const fn as_word(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Unpaid => "unpaid",
            Self::NoPaymentRequired => "no_payment_required",
        }
    }

    /// Whether an order counts as paid (security.md, Stripe webhooks 5).
    #[must_use]
    pub const fn settles(self) -> bool {
        matches!(self, Self::Paid | Self::NoPaymentRequired)
    }
}

/// What a refund is made from; equal in every field when repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundRequest {
    /// Derived from our refund row's id; 1 to 255 characters.
    pub idempotency_key: String,
    /// The payment given back (`pi_…`).
    pub payment_intent: String,
    /// In the gateway's unit, above 0.
    pub amount: i64,
    /// Our refund's public id, which events carry back as `metadata.refund_id`.
    pub refund_id: String,
    /// More for the refund's `metadata`; `refund_id` is added to it.
    pub metadata: BTreeMap<String, String>,
    /// Why, in the words that Stripe knows.
    pub reason: Option<RefundReason>,
}

/// Why money goes back, as far as Stripe has a word for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundReason {
    /// Paid twice.
    Duplicate,
    /// The client wanted it.
    RequestedByCustomer,
}

/// A refund as the gateway answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayRefund {
    /// The gateway's id (`re_…`).
    pub id: String,
    /// How far it got.
    pub status: GatewayRefundStatus,
    /// In the gateway's unit.
    pub amount: i64,
}

/// How far a refund got. Even a succeeded one can fail later (rule 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayRefundStatus {
    /// On its way.
    Pending,
    /// Given back.
    Succeeded,
    /// Came back to us; the amount is open again.
    Failed,
    /// Waits for something from the client.
    RequiresAction,
    /// Called off.
    Canceled,
}

impl GatewayRefundStatus {
    /// From the word in Stripe's API; `None` for a new one.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "pending" => Some(Self::Pending),
            "succeeded" => Some(Self::Succeeded),
            "failed" => Some(Self::Failed),
            "requires_action" => Some(Self::RequiresAction),
            "canceled" => Some(Self::Canceled),
            _ => None,
        }
    }

    /// The word in Stripe's API.
    #[must_use]
    pub const fn as_word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::RequiresAction => "requires_action",
            Self::Canceled => "canceled",
        }
    }
}

/// A gateway that makes no calls: whoever listens to events alone knows by it whether the money is real.
#[derive(Clone, Copy, Debug)]
pub struct NoGateway {
    /// Whether the money is real.
    pub livemode: bool,
}

#[async_trait]
impl PaymentGateway for NoGateway {
    async fn create_checkout(&self, _: &CheckoutRequest) -> Result<CheckoutSession, GatewayError> {
        Err(no_gateway())
    }

    async fn retrieve_checkout(&self, _: &str) -> Result<CheckoutSession, GatewayError> {
        Err(no_gateway())
    }

    async fn expire_checkout(&self, _: &str, _: &str) -> Result<CheckoutSession, GatewayError> {
        Err(no_gateway())
    }

    async fn create_refund(&self, _: &RefundRequest) -> Result<GatewayRefund, GatewayError> {
        Err(no_gateway())
    }

    fn livemode(&self) -> bool {
        self.livemode
    }
}

fn no_gateway() -> GatewayError {
    GatewayError::Unavailable("this part makes no calls".to_owned())
}

/// Why a gateway did not do what it was asked. The texts are for logs, never for users.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// Refused for good: nothing happened there, and the same request never will be accepted.
    #[error("refused by the gateway: {code}: {message}")]
    Declined {
        /// The gateway's word for the reason (`card_declined`, `amount_too_small`).
        code: String,
        /// What it said about it; for logs alone.
        message: String,
    },
    /// It has no such object.
    #[error("the gateway has no such object")]
    NotFound,
    /// The object's state does not allow it: a session that is no longer open, a charge that is
    /// fully refunded or disputed.
    #[error("the object's state at the gateway does not allow this: {0}")]
    InvalidState(String),
    /// No answer that could be used, after bounded retries. It may have happened nevertheless;
    /// the same request with the same key finds out.
    #[error("the gateway is unavailable: {0}")]
    Unavailable(String),
    /// It does not accept our key.
    #[error("the gateway does not accept our key")]
    Unauthorized,
    /// An answer that makes no sense to us, or a key used for two different requests.
    #[error("the gateway's answer makes no sense: {0}")]
    Protocol(String),
}

impl GatewayError {
    /// Whether the same request may succeed later, so that a job should try again.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}
