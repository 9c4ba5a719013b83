//! Payments for development: a pay page of our own, and the events that Stripe would send.
//!
//! A restart loses nothing that matters. A session's id carries its amount, currency and end, and
//! the address of its pay page carries the order; both are signed with the webhook secret. What
//! is only in memory is how far a session got: after a restart an open one is open, one that was
//! paid can be paid again, and since the ids of its events follow from the session's, that
//! payment is the same event once more, which is applied once (rule 9).

mod link;
mod outbox;
mod page;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::Value;
use url::Url;

pub use self::{
    link::SandboxOrder,
    outbox::WebhookSink,
    page::{PayAction, PayAnswer},
};
use self::{
    link::{PaymentIntent, SessionId, Signer},
    outbox::Outbox,
};
use super::{
    CheckoutRequest, CheckoutSession, CheckoutStatus, GatewayError, GatewayRefund,
    GatewayRefundStatus, PaymentGateway, PaymentStatus, RefundRequest,
    events::{
        ChargeObject, EventHead, RefundChange, RefundObject, SessionObject, charge_refunded,
        derived_id, refund_event, session_event,
    },
    webhook_event::SessionChange,
};
use crate::clock::Clock;

/// The sandbox's [`PaymentGateway`]. Cheap to clone; clones share their state.
#[derive(Clone)]
pub struct SandboxGateway {
    shared: Arc<Shared>,
}

struct Shared {
    base_url: Url,
    clock: Clock,
    signer: Signer,
    state: Mutex<State>,
    outbox: Arc<Outbox>,
}

#[derive(Default)]
struct State {
    /// The request of each idempotency key, to notice a key used twice.
    requests: HashMap<String, String>,
    stages: HashMap<String, Stage>,
    orders: HashMap<String, SandboxOrder>,
    refunds: HashMap<String, Vec<GatewayRefund>>,
}

/// How far a session got, as far as this process knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nobody has paid in it.
    Open,
    /// The client chose to pay later; the money is on its way.
    Pending,
    /// Paid, at once or later.
    Paid,
    /// The money that was on its way did not come.
    Failed,
    /// Closed unpaid.
    Expired,
}

impl SandboxGateway {
    /// A sandbox whose pay pages are under `base_url`, signed like its events with `secret`, the
    /// first of the webhook secrets.
    #[must_use]
    pub fn new(base_url: Url, secret: SecretString, clock: Clock) -> Self {
        let outbox = Arc::new(Outbox::new(secret.clone(), clock.clone()));
        let signer = Signer::new(secret);
        let state = Mutex::default();
        Self {
            shared: Arc::new(Shared {
                base_url,
                clock,
                signer,
                state,
                outbox,
            }),
        }
    }

    /// Says where events go; until then they wait. The sink should not keep this gateway alive.
    pub fn connect(&self, sink: Arc<dyn WebhookSink>) {
        self.shared.outbox.connect(Some(sink));
    }

    /// Delivers what waits, in order. True when all of it was accepted.
    pub async fn deliver(&self) -> bool {
        self.shared.outbox.pump().await
    }

    /// What waits for delivery, as Stripe would send it: for tests that have no sink.
    #[must_use]
    pub fn take_events(&self) -> Vec<Value> {
        self.shared.outbox.take()
    }

    /// A session that its client paid at once, and the event of that: for demo data.
    ///
    /// # Errors
    /// Those of [`PaymentGateway::create_checkout`].
    pub async fn pay_at_once(
        &self,
        request: &CheckoutRequest,
    ) -> Result<(CheckoutSession, Value), GatewayError> {
        let session = self.create_checkout(request).await?;
        let session = self.shared.signer.read_session(&session.id);
        let session = session.ok_or(GatewayError::NotFound)?;
        let change = SessionChange::Completed;
        self.advance(&mut self.state(), &session, Stage::Paid, change);
        let event = self.take_events().pop().ok_or(GatewayError::NotFound)?;
        Ok((self.describe(&session, Stage::Paid, None), event))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one assignment, so a thread that died in between left it whole.
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// How far a session got; a look at an open one after its end expires it.
    fn stage(&self, state: &mut State, session: &SessionId) -> Stage {
        let stage = state
            .stages
            .get(&session.text)
            .copied()
            .unwrap_or(Stage::Open);
        if stage == Stage::Open && session.expires_at <= self.shared.clock.now() {
            self.advance(state, session, Stage::Expired, SessionChange::Expired);
            Outbox::kick(&self.shared.outbox);
            return Stage::Expired;
        }
        stage
    }

    fn describe(&self, session: &SessionId, stage: Stage, url: Option<String>) -> CheckoutSession {
        CheckoutSession {
            id: session.text.clone(),
            url: url.filter(|_| stage == Stage::Open),
            status: stage.status(),
            payment_status: stage.payment_status(),
            payment_intent: stage.payment_intent(&self.shared.signer, session),
            amount_total: session.amount,
            currency: session.currency.clone(),
            expires_at: session.expires_at,
        }
    }

    /// Takes a session on and puts the event of it into the outbox.
    fn advance(&self, state: &mut State, session: &SessionId, stage: Stage, change: SessionChange) {
        state.stages.insert(session.text.clone(), stage);
        // Unknown only after a restart: the event then names the session alone.
        let order = state.orders.get(&session.text);
        let object = SessionObject {
            id: session.text.clone(),
            order_id: order
                .map(|order| order.order_id.clone())
                .unwrap_or_default(),
            amount_total: session.amount,
            currency: session.currency.clone(),
            status: stage.status(),
            payment_status: stage.payment_status(),
            payment_intent: stage.payment_intent(&self.shared.signer, session),
            expires_at: session.expires_at,
            customer_email: order.and_then(|order| order.customer_email.clone()),
            success_url: order
                .map(|order| order.success_url.clone())
                .unwrap_or_default(),
            cancel_url: order
                .map(|order| order.cancel_url.clone())
                .unwrap_or_default(),
            metadata: order
                .map(|order| order.metadata.clone())
                .unwrap_or_default(),
        };
        let name = format!("{change:?}");
        let head = EventHead::derived(&[&session.text, &name], b"", self.shared.clock.now());
        self.shared
            .outbox
            .push(session_event(&head, change, &object));
    }

    /// Shows the pay page, or does what its button says: `order` and `signature` are the query of
    /// the page's address. Events are delivered before this answers, so that the page to which
    /// the client goes back finds the order paid; what is refused is delivered again later.
    pub async fn visit(
        &self,
        session_id: &str,
        order: &str,
        signature: &str,
        action: Option<PayAction>,
    ) -> PayAnswer {
        let Some(session) = self.shared.signer.read_session(session_id) else {
            return page::no_such_page();
        };
        let Some(order) = self.shared.signer.read_order(&session, order, signature) else {
            return page::no_such_page();
        };
        let (stage, change) = {
            let mut state = self.state();
            state.orders.insert(session.text.clone(), order.clone());
            let stage = self.stage(&mut state, &session);
            let next = action.and_then(|action| action.applied_to(stage));
            if let Some((next, change)) = next {
                self.advance(&mut state, &session, next, change);
            }
            (
                next.map_or(stage, |(next, _)| next),
                next.map(|(_, change)| change),
            )
        };
        if change.is_some() {
            self.shared.outbox.kick_and_wait().await;
        }
        page::answer(&session, &order, stage, action, change)
    }
}

impl Stage {
    const fn status(self) -> CheckoutStatus {
        match self {
            Self::Open => CheckoutStatus::Open,
            Self::Pending | Self::Paid | Self::Failed => CheckoutStatus::Complete,
            Self::Expired => CheckoutStatus::Expired,
        }
    }

    const fn payment_status(self) -> PaymentStatus {
        match self {
            Self::Paid => PaymentStatus::Paid,
            _ => PaymentStatus::Unpaid,
        }
    }

    fn payment_intent(self, signer: &Signer, session: &SessionId) -> Option<String> {
        (self.status() == CheckoutStatus::Complete).then(|| signer.payment_intent(session))
    }
}

#[async_trait]
impl PaymentGateway for SandboxGateway {
    async fn create_checkout(
        &self,
        request: &CheckoutRequest,
    ) -> Result<CheckoutSession, GatewayError> {
        let now = self.shared.clock.now();
        let amount = request.total().filter(|total| *total > 0);
        let amount = amount.ok_or_else(|| declined("amount_too_small"))?;
        let currency_fits =
            request.currency.len() == 3 && request.currency.bytes().all(|b| b.is_ascii_lowercase());
        if !currency_fits {
            return Err(declined("currency_invalid"));
        }
        for url in [&request.success_url, &request.cancel_url] {
            let fits = Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
            if !fits {
                return Err(declined("url_invalid"));
            }
        }
        let session = self.shared.signer.session(request, amount);
        let order = SandboxOrder::of(request);
        let url = self
            .shared
            .signer
            .pay_url(&self.shared.base_url, &session, &order);
        let mut state = self.state();
        state.check_key(&request.idempotency_key, &url)?;
        // Not a refusal when repeated: the session was made in time.
        let is_new = !state.stages.contains_key(&session.text);
        if is_new && session.expires_at <= now {
            return Err(declined("expires_at_past"));
        }
        state
            .stages
            .entry(session.text.clone())
            .or_insert(Stage::Open);
        state.orders.insert(session.text.clone(), order);
        let stage = self.stage(&mut state, &session);
        Ok(self.describe(&session, stage, Some(url)))
    }

    async fn retrieve_checkout(&self, session_id: &str) -> Result<CheckoutSession, GatewayError> {
        let session = self
            .shared
            .signer
            .read_session(session_id)
            .ok_or(GatewayError::NotFound)?;
        let stage = self.stage(&mut self.state(), &session);
        Ok(self.describe(&session, stage, None))
    }

    async fn expire_checkout(
        &self,
        session_id: &str,
        idempotency_key: &str,
    ) -> Result<CheckoutSession, GatewayError> {
        let session = self
            .shared
            .signer
            .read_session(session_id)
            .ok_or(GatewayError::NotFound)?;
        let mut state = self.state();
        let is_repeat = state.requests.contains_key(idempotency_key);
        state.check_key(idempotency_key, &session.text)?;
        let stage = self.stage(&mut state, &session);
        if !(stage == Stage::Open || is_repeat && stage == Stage::Expired) {
            state.requests.remove(idempotency_key);
            return Err(GatewayError::InvalidState(format!(
                "the session is {stage:?}"
            )));
        }
        if stage == Stage::Open {
            self.advance(&mut state, &session, Stage::Expired, SessionChange::Expired);
            Outbox::kick(&self.shared.outbox);
        }
        Ok(self.describe(&session, Stage::Expired, None))
    }

    async fn create_refund(&self, request: &RefundRequest) -> Result<GatewayRefund, GatewayError> {
        let intent = self
            .shared
            .signer
            .read_payment_intent(&request.payment_intent);
        let intent = intent.ok_or(GatewayError::NotFound)?;
        let mut metadata = request.metadata.clone();
        metadata.insert("refund_id".to_owned(), request.refund_id.clone());
        let mut state = self.state();
        state.check_key(&request.idempotency_key, &format!("{request:?}"))?;
        let refund = GatewayRefund {
            id: derived_id("re_", &[&request.idempotency_key], b""),
            status: GatewayRefundStatus::Succeeded,
            amount: request.amount,
        };
        let earlier = state.refunds.entry(intent.text.clone()).or_default();
        if earlier.iter().any(|earlier| earlier.id == refund.id) {
            return Ok(refund);
        }
        let refunded: i64 = earlier.iter().map(|refund| refund.amount).sum();
        if refunded >= intent.amount {
            return Err(GatewayError::InvalidState(
                "charge_already_refunded".to_owned(),
            ));
        }
        if request.amount < 1 || request.amount > intent.amount - refunded {
            return Err(declined("amount_too_large"));
        }
        earlier.push(refund.clone());
        drop(state);
        self.tell_refund(&intent, &refund, refunded + request.amount, metadata);
        Ok(refund)
    }

    fn livemode(&self) -> bool {
        false
    }
}

impl SandboxGateway {
    fn tell_refund(
        &self,
        intent: &PaymentIntent,
        refund: &GatewayRefund,
        amount_refunded: i64,
        metadata: BTreeMap<String, String>,
    ) {
        let now: Timestamp = self.shared.clock.now();
        let head = |name: &str| EventHead::derived(&[&refund.id, name], b"", now);
        let object = RefundObject {
            id: refund.id.clone(),
            charge: intent.charge(),
            payment_intent: intent.text.clone(),
            amount: refund.amount,
            currency: intent.currency.clone(),
            status: refund.status,
            metadata,
        };
        let charge = ChargeObject {
            id: intent.charge(),
            payment_intent: intent.text.clone(),
            amount: intent.amount,
            amount_refunded,
            currency: intent.currency.clone(),
            metadata: BTreeMap::new(),
        };
        let outbox = &self.shared.outbox;
        outbox.push(refund_event(
            &head("created"),
            RefundChange::Created,
            &object,
        ));
        outbox.push(charge_refunded(&head("charge"), &charge));
        outbox.push(refund_event(
            &head("updated"),
            RefundChange::Updated,
            &object,
        ));
        Outbox::kick(outbox);
    }
}

impl State {
    fn check_key(&mut self, key: &str, request: &str) -> Result<(), GatewayError> {
        let first = self
            .requests
            .entry(key.to_owned())
            .or_insert_with(|| request.to_owned());
        if first == request {
            Ok(())
        } else {
            Err(GatewayError::Protocol(
                "idempotency key used for another request".to_owned(),
            ))
        }
    }
}

fn declined(code: &str) -> GatewayError {
    GatewayError::Declined {
        code: code.to_owned(),
        message: "refused by the sandbox".to_owned(),
    }
}

#[cfg(test)]
mod tests;
