//! A small stateful Stripe on the loopback: checkout sessions and refunds, idempotency keys, and
//! the ways in which a network and a payment service fail.
#![allow(dead_code)]

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use companion::{
    clock::Clock,
    integrations::payments::{CheckoutStatus, PaymentStatus, events::SessionObject},
};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use url::{Url, form_urlencoded};

/// The one key that the fake accepts.
pub const SECRET_KEY: &str = "sk_test_fake";

const HALF_AN_HOUR: i64 = 30 * 60;
const A_DAY: i64 = 24 * 60 * 60;

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug)]
pub enum Trouble {
    /// Answers this status with an error of Stripe's form; nothing is done.
    Status(u16),
    /// Answers 502 with a page of HTML, as a proxy in between would; nothing is done.
    Garbage,
    /// Does what was asked and never answers.
    Hang,
    /// Does what was asked and breaks the connection in the middle of the answer.
    LoseAnswer,
}

/// A request as it came in.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub method: String,
    pub path: String,
    pub version: Option<String>,
    pub user_agent: Option<String>,
    pub idempotency_key: Option<String>,
    /// The decoded form, with Stripe's bracketed names (`line_items[0][quantity]`).
    pub form: BTreeMap<String, String>,
}

#[derive(Clone)]
struct Session {
    id: String,
    form: BTreeMap<String, String>,
    amount_total: i64,
    currency: String,
    status: CheckoutStatus,
    payment_status: PaymentStatus,
    payment_intent: Option<String>,
    expires_at: i64,
}

struct Payment {
    amount: i64,
    currency: String,
    refunded: i64,
    disputed: bool,
}

struct Kept {
    path: String,
    form: BTreeMap<String, String>,
    answer: Value,
}

struct Inner {
    clock: Clock,
    sessions: BTreeMap<String, Session>,
    payments: HashMap<String, Payment>,
    keys: HashMap<String, Kept>,
    troubles: VecDeque<Trouble>,
    requests: Vec<Recorded>,
    refund_status: &'static str,
    refunds: u32,
}

/// The running fake; ends when dropped.
pub struct FakeStripe {
    /// For `STRIPE_API_BASE`.
    pub base: Url,
    inner: Arc<Mutex<Inner>>,
    server: JoinHandle<()>,
}

impl Drop for FakeStripe {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl FakeStripe {
    pub async fn start(clock: Clock) -> Self {
        let inner = Arc::new(Mutex::new(Inner {
            clock,
            sessions: BTreeMap::new(),
            payments: HashMap::new(),
            keys: HashMap::new(),
            troubles: VecDeque::new(),
            requests: Vec::new(),
            refund_status: "succeeded",
            refunds: 0,
        }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/", listener.local_addr().unwrap());
        let router = Router::new().fallback(handle).with_state(inner.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            base: base.parse().unwrap(),
            inner,
            server,
        }
    }

    pub fn key(&self) -> SecretString {
        SECRET_KEY.into()
    }

    /// Lets the next `times` requests fail so.
    pub fn trouble(&self, trouble: Trouble, times: usize) {
        self.lock()
            .troubles
            .extend(std::iter::repeat_n(trouble, times));
    }

    /// All requests so far, in the order in which they came.
    pub fn requests(&self) -> Vec<Recorded> {
        self.lock().requests.clone()
    }

    /// The ids of all sessions.
    pub fn sessions(&self) -> Vec<String> {
        self.lock().sessions.keys().cloned().collect()
    }

    /// How many refunds there are.
    pub fn refunds(&self) -> u32 {
        self.lock().refunds
    }

    /// The status that refunds are answered with from now on.
    pub fn set_refund_status(&self, status: &'static str) {
        self.lock().refund_status = status;
    }

    /// The client pays: the session is complete and paid.
    pub fn pay(&self, session_id: &str) -> SessionObject {
        self.complete(session_id, PaymentStatus::Paid)
    }

    /// The client pays by something slow: the session is complete and unpaid. `pay` then lets
    /// the money arrive.
    pub fn pay_later(&self, session_id: &str) -> SessionObject {
        self.complete(session_id, PaymentStatus::Unpaid)
    }

    /// A refund of this payment fails after all: its amount can be refunded again.
    pub fn refund_fails(&self, payment_intent: &str, amount: i64) {
        let mut inner = self.lock();
        inner.payments.get_mut(payment_intent).unwrap().refunded -= amount;
    }

    /// The client's bank disputes the payment.
    pub fn dispute(&self, payment_intent: &str) {
        self.lock()
            .payments
            .get_mut(payment_intent)
            .unwrap()
            .disputed = true;
    }

    /// The session as an event would show it.
    pub fn session(&self, session_id: &str) -> SessionObject {
        self.lock().session(session_id).unwrap().object()
    }

    fn complete(&self, session_id: &str, payment_status: PaymentStatus) -> SessionObject {
        let mut inner = self.lock();
        let intent = format!("pi_{}", session_id.trim_start_matches("cs_test_"));
        let session = inner.session(session_id).unwrap();
        assert_ne!(
            session.status,
            CheckoutStatus::Expired,
            "nobody can pay in it"
        );
        session.status = CheckoutStatus::Complete;
        session.payment_status = payment_status;
        session.payment_intent = Some(intent.clone());
        let object = session.object();
        if payment_status == PaymentStatus::Paid {
            let payment = Payment {
                amount: object.amount_total,
                currency: object.currency.clone(),
                refunded: 0,
                disputed: false,
            };
            inner.payments.entry(intent).or_insert(payment);
        }
        object
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}

impl Session {
    fn field(&self, name: &str) -> String {
        self.form.get(name).cloned().unwrap_or_default()
    }

    fn json(&self) -> Value {
        let open = self.status == CheckoutStatus::Open;
        json!({
            "id": self.id,
            "object": "checkout.session",
            "amount_total": self.amount_total,
            "client_reference_id": self.field("client_reference_id"),
            "currency": self.currency,
            "expires_at": self.expires_at,
            "livemode": false,
            "metadata": metadata(&self.form, "metadata"),
            "payment_intent": self.payment_intent,
            "payment_status": self.payment_status.as_word(),
            "status": match self.status {
                CheckoutStatus::Open => "open",
                CheckoutStatus::Complete => "complete",
                CheckoutStatus::Expired => "expired",
            },
            "url": open.then(|| format!("https://checkout.stripe.test/c/pay/{}", self.id)),
        })
    }

    fn object(&self) -> SessionObject {
        SessionObject {
            id: self.id.clone(),
            order_id: self.field("client_reference_id"),
            amount_total: self.amount_total,
            currency: self.currency.clone(),
            status: self.status,
            payment_status: self.payment_status,
            payment_intent: self.payment_intent.clone(),
            expires_at: Timestamp::from_second(self.expires_at).unwrap(),
            customer_email: self.form.get("customer_email").cloned(),
            success_url: self.field("success_url"),
            cancel_url: self.field("cancel_url"),
            metadata: metadata(&self.form, "metadata"),
        }
    }
}

type Answer = Result<Value, (u16, Value)>;

fn refused(status: u16, kind: &str, code: Option<&str>, message: &str) -> (u16, Value) {
    let mut error = json!({ "type": kind, "message": message });
    if let Some(code) = code {
        error["code"] = json!(code);
    }
    (status, json!({ "error": error }))
}

fn invalid(message: &str) -> (u16, Value) {
    refused(400, "invalid_request_error", None, message)
}

fn missing(what: &str) -> (u16, Value) {
    let message = format!("No such {what}");
    refused(
        404,
        "invalid_request_error",
        Some("resource_missing"),
        &message,
    )
}

impl Inner {
    /// A session, expired first if its time has come.
    fn session(&mut self, id: &str) -> Option<&mut Session> {
        let now = self.clock.now().as_second();
        let session = self.sessions.get_mut(id)?;
        if session.status == CheckoutStatus::Open && session.expires_at <= now {
            session.status = CheckoutStatus::Expired;
        }
        Some(session)
    }

    fn answer(&mut self, request: &Recorded, authorization: Option<&str>) -> Answer {
        if authorization != Some(&format!("Bearer {SECRET_KEY}")) {
            return Err(refused(
                401,
                "invalid_request_error",
                None,
                "Invalid API Key provided",
            ));
        }
        if request.version.is_none() {
            return Err(invalid("no Stripe-Version"));
        }
        if request.method == "POST" {
            let key = request.idempotency_key.as_ref();
            if let Some(kept) = key.and_then(|key| self.keys.get(key)) {
                if kept.path != request.path || kept.form != request.form {
                    let message = "Keys for idempotent requests can only be used with the same \
                                   parameters they were first used with.";
                    return Err(refused(400, "idempotency_error", None, message));
                }
                return Ok(kept.answer.clone());
            }
        }
        let answer = self.route(request)?;
        if let Some(key) = &request.idempotency_key {
            let kept = Kept {
                path: request.path.clone(),
                form: request.form.clone(),
                answer: answer.clone(),
            };
            self.keys.insert(key.clone(), kept);
        }
        Ok(answer)
    }

    fn route(&mut self, request: &Recorded) -> Answer {
        let segments: Vec<_> = request.path.split('/').skip(1).collect();
        match (request.method.as_str(), segments.as_slice()) {
            ("POST", ["v1", "checkout", "sessions"]) => self.create_session(&request.form),
            ("GET", ["v1", "checkout", "sessions", id]) => {
                let session = self
                    .session(id)
                    .ok_or_else(|| missing("checkout.session"))?;
                Ok(session.json())
            }
            ("POST", ["v1", "checkout", "sessions", id, "expire"]) => {
                let session = self
                    .session(id)
                    .ok_or_else(|| missing("checkout.session"))?;
                if session.status != CheckoutStatus::Open {
                    return Err(invalid(
                        "Only Checkout Sessions with a status in [\"open\"] can be expired.",
                    ));
                }
                session.status = CheckoutStatus::Expired;
                Ok(session.json())
            }
            ("POST", ["v1", "refunds"]) => self.create_refund(&request.form),
            _ => Err(refused(
                404,
                "invalid_request_error",
                None,
                "Unrecognized request URL",
            )),
        }
    }

    fn create_session(&mut self, form: &BTreeMap<String, String>) -> Answer {
        let now = self.clock.now().as_second();
        let needed = |name: &str| {
            form.get(name)
                .cloned()
                .ok_or_else(|| invalid(&format!("Missing required param: {name}.")))
        };
        let number = |name: &str| {
            needed(name)?
                .parse::<i64>()
                .map_err(|_| invalid(&format!("Invalid integer: {name}")))
        };
        if needed("mode")? != "payment" {
            return Err(invalid("only payments here"));
        }
        for url in ["success_url", "cancel_url"] {
            if Url::parse(&needed(url)?).is_err() {
                return Err(refused(
                    400,
                    "invalid_request_error",
                    Some("url_invalid"),
                    url,
                ));
            }
        }
        let expires_at = number("expires_at")?;
        if !(now + HALF_AN_HOUR..=now + A_DAY).contains(&expires_at) {
            return Err(invalid(
                "expires_at must be between 30 minutes and 24 hours from now",
            ));
        }
        let mut amount_total = 0;
        let mut currency = None;
        for line in 0.. {
            let at = format!("line_items[{line}]");
            if line > 0 && !form.keys().any(|name| name.starts_with(&at)) {
                break;
            }
            needed(&format!("{at}[price_data][product_data][name]"))?;
            amount_total += number(&format!("{at}[price_data][unit_amount]"))?
                * number(&format!("{at}[quantity]"))?;
            let this = needed(&format!("{at}[price_data][currency]"))?;
            if *currency.get_or_insert_with(|| this.clone()) != this {
                return Err(invalid("all line items must have the same currency"));
            }
        }
        if amount_total < 50 {
            let code = Some("amount_too_small");
            return Err(refused(
                400,
                "invalid_request_error",
                code,
                "below the minimum",
            ));
        }
        let id = format!("cs_test_{:04}", self.sessions.len() + 1);
        let session = Session {
            id: id.clone(),
            form: form.clone(),
            amount_total,
            currency: currency.unwrap_or_default(),
            status: CheckoutStatus::Open,
            payment_status: PaymentStatus::Unpaid,
            payment_intent: None,
            expires_at,
        };
        let answer = session.json();
        self.sessions.insert(id, session);
        Ok(answer)
    }

    fn create_refund(&mut self, form: &BTreeMap<String, String>) -> Answer {
        let intent = form.get("payment_intent").cloned().unwrap_or_default();
        let amount: i64 = form.get("amount").and_then(|a| a.parse().ok()).unwrap_or(0);
        let payment = self
            .payments
            .get_mut(&intent)
            .ok_or_else(|| missing("payment_intent"))?;
        let state = |code| refused(400, "invalid_request_error", Some(code), code);
        if payment.disputed {
            return Err(state("charge_disputed"));
        }
        if payment.refunded == payment.amount {
            return Err(state("charge_already_refunded"));
        }
        if amount < 1 || amount > payment.amount - payment.refunded {
            return Err(invalid(
                "Refund amount is greater than unrefunded amount on charge",
            ));
        }
        if self.refund_status != "failed" {
            payment.refunded += amount;
        }
        self.refunds += 1;
        Ok(json!({
            "id": format!("re_{:04}", self.refunds),
            "object": "refund",
            "amount": amount,
            "charge": intent.replacen("pi_", "ch_", 1),
            "currency": payment.currency,
            "metadata": metadata(form, "metadata"),
            "payment_intent": intent,
            "status": self.refund_status,
        }))
    }
}

fn metadata(form: &BTreeMap<String, String>, name: &str) -> BTreeMap<String, String> {
    let start = format!("{name}[");
    form.iter()
        .filter_map(|(key, value)| {
            let key = key.strip_prefix(&start)?.strip_suffix(']')?;
            Some((key.to_owned(), value.clone()))
        })
        .collect()
}

async fn handle(State(inner): State<Arc<Mutex<Inner>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let header = |name: &str| text(&parts.headers, name);
    let recorded = Recorded {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        version: header("stripe-version"),
        user_agent: header("user-agent"),
        idempotency_key: header("idempotency-key"),
        form: form_urlencoded::parse(&body).into_owned().collect(),
    };
    let (trouble, answer) = {
        let mut inner = inner.lock().unwrap();
        inner.requests.push(recorded.clone());
        let trouble = inner.troubles.pop_front();
        match trouble {
            Some(Trouble::Status(status)) => {
                let kind = if status < 500 {
                    "invalid_request_error"
                } else {
                    "api_error"
                };
                (None, Err(refused(status, kind, None, "as told")))
            }
            Some(Trouble::Garbage) => (trouble, Ok(Value::Null)),
            _ => (
                trouble,
                inner.answer(&recorded, header("authorization").as_deref()),
            ),
        }
    };
    match trouble {
        Some(Trouble::Hang) => std::future::pending().await,
        Some(Trouble::LoseAnswer) => {
            let broken = futures_util::stream::iter([
                Ok(r#"{"id":"#.to_owned()),
                Err(std::io::Error::other("the connection is gone")),
            ]);
            return Body::from_stream(broken).into_response();
        }
        Some(Trouble::Garbage) => {
            return (StatusCode::BAD_GATEWAY, "<h1>Bad gateway</h1>").into_response();
        }
        _ => {}
    }
    let (status, body) = match answer {
        Ok(body) => (200, body),
        Err(refusal) => refusal,
    };
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}
