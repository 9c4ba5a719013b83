//! Stripe Checkout over `async-stripe`.
//!
//! Its typed requests and its client are used, its typed answers are not: they insist on every
//! field of one API version, and a session that exists at Stripe must not get lost because an
//! unused field changed. Answers are read into small structs whose fields may all be missing.
//!
//! Retries are ours, around [`RequestStrategy::Idempotent`] with the key of the caller's row: the
//! client's own strategies make up a key for each call, which a restart would forget. The client
//! hides response headers, so `Retry-After` and `Stripe-Should-Retry` go unseen; the pauses are
//! fixed instead, and the whole call is bounded by a budget.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use miniserde::Deserialize;
use secrecy::{ExposeSecret, SecretString};
use stripe::{
    ApiErrorsType, Client, ClientBuilder, IdempotencyKey, RequestStrategy, StripeError,
    StripeRequest,
};
use stripe_checkout::{
    CheckoutSessionLocale, CheckoutSessionMode,
    checkout_session::{
        CreateCheckoutSession, CreateCheckoutSessionLineItems,
        CreateCheckoutSessionLineItemsPriceData, CreateCheckoutSessionPaymentIntentData,
        ExpireCheckoutSession, ProductData, RetrieveCheckoutSession,
    },
};
use stripe_core::refund::{CreateRefund, CreateRefundReason};
use tokio::time::Instant;
use url::Url;

use super::{
    CheckoutRequest, CheckoutSession, CheckoutStatus, GatewayError, GatewayRefund,
    GatewayRefundStatus, PaymentGateway, PaymentStatus, RefundReason, RefundRequest,
};

/// Stripe's codes for a 400 that is about the state of an object, not about the request.
const STATE_CODES: [&str; 5] = [
    "charge_already_refunded",
    "charge_disputed",
    "charge_not_refundable",
    "payment_intent_unexpected_state",
    "resource_already_exists",
];

/// The longest id of Stripe's that we put into a path, in bytes.
const MAX_ID_BYTES: usize = 255;

/// How patient a [`StripeGateway`] is.
#[derive(Clone, Debug)]
pub struct StripeOptions {
    /// Where Stripe's API is; the version (`/v1`) is added to its path.
    pub api_base: Url,
    /// How long one attempt may take, its answer's body included.
    pub attempt_timeout: Duration,
    /// How many attempts a call makes at most, the first included.
    pub attempts: u32,
    /// The pause before the second attempt; each further one is four times as long.
    pub first_pause: Duration,
    /// How long a call may take in all. No attempt begins after it, and the last is cut short.
    pub budget: Duration,
}

impl StripeOptions {
    /// The usual patience: 3 attempts of 5 s, after 250 ms and 1 s, in 9 s.
    #[must_use]
    pub fn new(api_base: Url) -> Self {
        Self {
            api_base,
            attempt_timeout: Duration::from_secs(5),
            attempts: 3,
            first_pause: Duration::from_millis(250),
            budget: Duration::from_secs(9),
        }
    }
}

/// [`PaymentGateway`] over Stripe's API.
pub struct StripeGateway {
    client: Client,
    options: StripeOptions,
    livemode: bool,
}

impl StripeGateway {
    /// A gateway that signs in with this secret or restricted key. Makes no call.
    ///
    /// # Errors
    /// [`GatewayError::Unauthorized`] for a key that can't be sent in a header,
    /// [`GatewayError::Unavailable`] where the machine has no root certificates,
    /// [`GatewayError::Protocol`] for an API base that is no `http` or `https` address.
    pub fn new(key: &SecretString, options: StripeOptions) -> Result<Self, GatewayError> {
        let key = key.expose_secret();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(GatewayError::Unauthorized);
        }
        // The client's connector panics without them, even for plain HTTP.
        if rustls_native_certs::load_native_certs().certs.is_empty() {
            return Err(GatewayError::Unavailable(
                "no root certificates found; install ca-certificates".to_owned(),
            ));
        }
        if !matches!(options.api_base.scheme(), "http" | "https") {
            return Err(GatewayError::Protocol("STRIPE_API_BASE".to_owned()));
        }
        // The client puts `v1` right behind it.
        let base = format!("{}/", options.api_base.as_str().trim_end_matches('/'));
        let client = ClientBuilder::new(key)
            .url(base)
            .app_info(
                env!("CARGO_PKG_NAME"),
                Some(env!("CARGO_PKG_VERSION").to_owned()),
                None,
            )
            .timeout(options.attempt_timeout)
            .build()
            .map_err(|error| GatewayError::Protocol(error.to_string()))?;
        Ok(Self {
            client,
            options,
            livemode: key.starts_with("sk_live_") || key.starts_with("rk_live_"),
        })
    }

    /// Sends a request until it is answered, refused for good, or patience is at its end.
    async fn call<R, T>(&self, request: &R, strategy: RequestStrategy) -> Result<T, GatewayError>
    where
        R: StripeRequest + Sync,
        T: Deserialize + Send,
    {
        let started = Instant::now();
        let mut pause = self.options.first_pause;
        let mut attempt = 1;
        loop {
            let left = self.options.budget.saturating_sub(started.elapsed());
            let outcome = request
                .build()
                .customize::<T>()
                .request_strategy(strategy.clone())
                .timeout(self.options.attempt_timeout.min(left))
                .send(&self.client)
                .await;
            let error = match outcome {
                Ok(answer) => return Ok(answer),
                Err(error) => gateway_error(error),
            };
            let over = attempt >= self.options.attempts
                || started.elapsed() + pause >= self.options.budget;
            if !error.is_temporary() || over {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(4);
            attempt += 1;
        }
    }
}

#[async_trait]
impl PaymentGateway for StripeGateway {
    async fn create_checkout(
        &self,
        request: &CheckoutRequest,
    ) -> Result<CheckoutSession, GatewayError> {
        let strategy = idempotent(&request.idempotency_key)?;
        let answer: SessionAnswer = self.call(&checkout_params(request), strategy).await?;
        answer.read()
    }

    async fn retrieve_checkout(&self, session_id: &str) -> Result<CheckoutSession, GatewayError> {
        let request = RetrieveCheckoutSession::new(path_id(session_id)?);
        let answer: SessionAnswer = self.call(&request, RequestStrategy::Once).await?;
        answer.read()
    }

    async fn expire_checkout(
        &self,
        session_id: &str,
        idempotency_key: &str,
    ) -> Result<CheckoutSession, GatewayError> {
        let request = ExpireCheckoutSession::new(path_id(session_id)?);
        let outcome: Result<SessionAnswer, _> =
            self.call(&request, idempotent(idempotency_key)?).await;
        match outcome {
            Ok(answer) => answer.read(),
            // The request has no parameters that could be wrong, and Stripe has no code for this.
            Err(GatewayError::Declined { message, .. }) => Err(GatewayError::InvalidState(message)),
            Err(error) => Err(error),
        }
    }

    async fn create_refund(&self, request: &RefundRequest) -> Result<GatewayRefund, GatewayError> {
        let mut metadata: HashMap<_, _> = request.metadata.clone().into_iter().collect();
        metadata.insert("refund_id".to_owned(), request.refund_id.clone());
        let mut params = CreateRefund::new()
            .payment_intent(request.payment_intent.as_str())
            .amount(request.amount)
            .metadata(metadata);
        if let Some(reason) = request.reason {
            params = params.reason(match reason {
                RefundReason::Duplicate => CreateRefundReason::Duplicate,
                RefundReason::RequestedByCustomer => CreateRefundReason::RequestedByCustomer,
            });
        }
        let strategy = idempotent(&request.idempotency_key)?;
        let answer: RefundAnswer = self.call(&params, strategy).await?;
        answer.read()
    }

    fn livemode(&self) -> bool {
        self.livemode
    }
}

fn checkout_params(request: &CheckoutRequest) -> CreateCheckoutSession {
    let mut metadata: HashMap<_, _> = request.metadata.clone().into_iter().collect();
    metadata.insert("order_id".to_owned(), request.order_id.clone());
    // On the payment too, from which the charge takes it: refunds and disputes name the charge.
    let mut payment = CreateCheckoutSessionPaymentIntentData::new();
    payment.metadata = Some(metadata.clone());
    let mut params = CreateCheckoutSession::new()
        .mode(CheckoutSessionMode::Payment)
        .line_items(line_items(request))
        .client_reference_id(request.order_id.as_str())
        .expires_at(request.expires_at.as_second())
        .success_url(request.success_url.as_str())
        .cancel_url(request.cancel_url.as_str())
        .payment_intent_data(payment)
        .metadata(metadata);
    if let Some(email) = &request.customer_email {
        params = params.customer_email(email.as_str());
    }
    if let Some(Ok(locale)) = request.locale.as_deref().map(str::parse) {
        // Stripe refuses a language that it has no page for; its default is the browser's.
        if !matches!(locale, CheckoutSessionLocale::Unknown(_)) {
            params = params.locale(locale);
        }
    }
    params
}

fn line_items(request: &CheckoutRequest) -> Vec<CreateCheckoutSessionLineItems> {
    request
        .lines
        .iter()
        .map(|line| {
            let currency = request
                .currency
                .parse()
                .unwrap_or_else(|never| match never {});
            let price = CreateCheckoutSessionLineItemsPriceData {
                currency,
                product: None,
                product_data: Some(ProductData::new(line.title.as_str())),
                recurring: None,
                tax_behavior: None,
                unit_amount: Some(line.amount),
                unit_amount_decimal: None,
            };
            let mut item = CreateCheckoutSessionLineItems::new();
            item.price_data = Some(price);
            item.quantity = Some(u64::from(line.quantity));
            item
        })
        .collect()
}

fn idempotent(key: &str) -> Result<RequestStrategy, GatewayError> {
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(GatewayError::Protocol("idempotency key".to_owned()));
    }
    IdempotencyKey::new(key)
        .map(RequestStrategy::Idempotent)
        .map_err(|error| GatewayError::Protocol(error.to_string()))
}

/// Lets through only what can be nothing but one segment of a path.
fn path_id(id: &str) -> Result<&str, GatewayError> {
    let sane = !id.is_empty()
        && id.len() <= MAX_ID_BYTES
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if sane {
        Ok(id)
    } else {
        Err(GatewayError::NotFound)
    }
}

fn gateway_error(error: StripeError) -> GatewayError {
    let (error, status) = match error {
        StripeError::Stripe(error, status) => (error, status),
        StripeError::Timeout => return GatewayError::Unavailable("timeout".to_owned()),
        // Not even JSON, whatever its status: something between us and Stripe answered.
        StripeError::JSONDeserialize(text) | StripeError::ClientError(text) => {
            return GatewayError::Unavailable(text);
        }
        StripeError::ConfigError(text) => return GatewayError::Protocol(text),
    };
    let message = error.message.unwrap_or_default();
    let code = error.code.map(|code| code.as_str().to_owned());
    match status {
        401 | 403 => GatewayError::Unauthorized,
        404 => GatewayError::NotFound,
        // 409: the first request with this key is still being worked on.
        409 | 424 | 429 | 500.. => GatewayError::Unavailable(format!("status {status}")),
        400 if error.type_ == ApiErrorsType::IdempotencyError => {
            GatewayError::Protocol("idempotency key used for another request".to_owned())
        }
        400 if code
            .as_deref()
            .is_some_and(|code| STATE_CODES.contains(&code)) =>
        {
            GatewayError::InvalidState(code.unwrap_or_default())
        }
        400 | 402 => GatewayError::Declined {
            code: error
                .decline_code
                .or(code)
                .unwrap_or_else(|| error.type_.as_str().to_owned()),
            message,
        },
        _ => GatewayError::Protocol(format!("status {status}")),
    }
}

/// A checkout session, as far as we read it.
#[derive(Deserialize)]
struct SessionAnswer {
    id: Option<String>,
    url: Option<String>,
    status: Option<String>,
    payment_status: Option<String>,
    payment_intent: Option<String>,
    amount_total: Option<i64>,
    currency: Option<String>,
    expires_at: Option<i64>,
}

impl SessionAnswer {
    fn read(self) -> Result<CheckoutSession, GatewayError> {
        let status = match self.status.as_deref() {
            Some("open") => Some(CheckoutStatus::Open),
            Some("complete") => Some(CheckoutStatus::Complete),
            Some("expired") => Some(CheckoutStatus::Expired),
            _ => None,
        };
        let payment_status = self
            .payment_status
            .as_deref()
            .and_then(PaymentStatus::from_word);
        let expires_at = self
            .expires_at
            .and_then(|at| Timestamp::from_second(at).ok());
        Ok(CheckoutSession {
            id: needed(self.id.filter(|id| path_id(id).is_ok()), "id")?,
            url: self.url,
            status: needed(status, "status")?,
            payment_status: needed(payment_status, "payment_status")?,
            payment_intent: self.payment_intent,
            amount_total: needed(self.amount_total, "amount_total")?,
            currency: needed(self.currency, "currency")?,
            expires_at: needed(expires_at, "expires_at")?,
        })
    }
}

/// A refund, as far as we read it.
#[derive(Deserialize)]
struct RefundAnswer {
    id: Option<String>,
    status: Option<String>,
    amount: Option<i64>,
}

impl RefundAnswer {
    fn read(self) -> Result<GatewayRefund, GatewayError> {
        let status = self
            .status
            .as_deref()
            .and_then(GatewayRefundStatus::from_word);
        Ok(GatewayRefund {
            id: needed(self.id.filter(|id| path_id(id).is_ok()), "id")?,
            status: needed(status, "status")?,
            amount: needed(self.amount, "amount")?,
        })
    }
}

fn needed<T>(field: Option<T>, name: &str) -> Result<T, GatewayError> {
    field.ok_or_else(|| GatewayError::Protocol(format!("answer without a usable `{name}`")))
}
