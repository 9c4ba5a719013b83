//! Builders of what payments need: an accepted, priced booking, and the gateway's signed events.

use companion::{
    clock::Clock,
    config::Payments,
    db::ids::BookingId,
    integrations::{
        payments::{
            events::{EventHead, SessionObject, session_event},
            webhook_event::SessionChange,
        },
        stripe_signature::sign,
    },
};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{Client, START, TestApp, fake_stripe::FakeStripe};

/// An accepted booking, its sides, and Stripe.
pub struct Shop {
    pub app: TestApp,
    pub stripe: FakeStripe,
    pub client: Client,
    pub provider: Client,
    pub staff: Client,
    pub booking: BookingId,
}

impl Shop {
    /// 50 EUR, to be paid within two hours, beginning in a day.
    pub async fn open() -> Self {
        let clock = Clock::manual(START.parse().unwrap());
        let stripe = FakeStripe::start(clock.clone()).await;
        let (base, key) = (stripe.base.clone(), stripe.key());
        let app = TestApp::start_by(clock, |config| {
            config.payments = Payments::Stripe;
            config.stripe_api_base = base;
            config.stripe_secret_key = key;
        })
        .await;
        let client = app.user("Carl").await;
        let provider = app.user("Paula").await;
        let staff = app.user_with_roles("Stella", &["USER", "ADMIN"]).await;
        let profile = app.make_provider(&provider).await;
        let booking = app.make_booking(profile, &client, "ACCEPTED", None).await;
        let (id, provider_id) = (booking.0, profile.0);
        let start = app.now() + SignedDuration::from_hours(24);
        let end = start + SignedDuration::from_hours(1);
        let deadline = app.now() + SignedDuration::from_hours(2);
        let held = app.app.entropy.uuid_v7(app.now());
        let window = app.app.entropy.uuid_v7(app.now());
        app.sql(&format!(
            "UPDATE bookings SET version = 2, price_minor = 5000, starts_at = '{start}', ends_at = '{end}', payment_deadline = '{deadline}'
                 WHERE id = '{id}';
             INSERT INTO availabilities (id, provider_id, starts_at, ends_at, created_at)
                 VALUES ('{window}', '{provider_id}', '{start}', '{end}', '{now}');
             INSERT INTO held_times (id, booking_id, provider_id, client_id, during, exact)
                 SELECT '{held}', id, provider_id, client_id, tstzrange(starts_at, ends_at), tstzrange(starts_at, ends_at)
                 FROM bookings WHERE id = '{id}';",
            now = app.now()
        ))
        .await;
        Self {
            app,
            stripe,
            client,
            provider,
            staff,
            booking,
        }
    }

    /// The order of the booking, made by its client.
    pub async fn order(&self) -> String {
        let answer = self
            .client
            .post(
                ORDER_CREATE,
                json!({ "id": self.booking.to_string(), "key": "order" }),
            )
            .await;
        answer.payload("orderCreate")["order"]["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// An order that is paid, and its session.
    pub async fn paid(&self) -> (String, SessionObject) {
        let order = self.order().await;
        let session = self.session(&order).await;
        let object = self.stripe.pay(&session);
        let event = session_event(&self.head(1), SessionChange::Completed, &object);
        assert_eq!(self.tell(&event).await, 200);
        (order, object)
    }

    /// The id of the only order.
    pub async fn order_id(&self) -> String {
        let answer = self
            .client
            .query("{ me { orders { nodes { id } } } }")
            .await;
        answer.data()["me"]["orders"]["nodes"][0]["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Asks for a checkout of an order.
    pub async fn ask_checkout(&self, order: &str, key: &str) -> super::Answer {
        self.client
            .post(
                CHECKOUT_CREATE,
                json!({ "id": order, "url": RETURN_URL, "key": key }),
            )
            .await
    }

    /// The session at Stripe of a new checkout.
    pub async fn session(&self, order: &str) -> String {
        let answer = self.ask_checkout(order, "checkout").await;
        assert_eq!(
            answer.payload("checkoutCreate")["checkout"]["state"],
            "OPEN"
        );
        self.stripe.sessions().pop().unwrap()
    }

    /// The head of the event with this number, a second after the one before.
    pub fn head(&self, number: i64) -> EventHead {
        EventHead {
            id: format!("evt_{number}"),
            created: self.app.now() + SignedDuration::from_secs(number),
            livemode: false,
        }
    }

    /// Posts an event with a good signature; answers the status.
    pub async fn tell(&self, event: &Value) -> u16 {
        let body = event.to_string();
        let secret = &self.app.app.config.stripe_webhook_secrets[0];
        let signature = sign(secret, self.app.now().as_second(), body.as_bytes());
        self.post_event(body, &signature).await
    }

    /// Posts a body with this signature; answers the status.
    pub async fn post_event(&self, body: String, signature: &str) -> u16 {
        let response = self
            .client
            .http()
            .post(self.client.url("/v1/payments/webhook"))
            .header("stripe-signature", signature)
            .body(body)
            .send()
            .await
            .unwrap();
        response.status().as_u16()
    }

    /// What staff see of an order.
    pub async fn seen(&self, order: &str) -> Value {
        let answer = self
            .staff
            .post(
                "query($id: ID!) { order(id: $id) { state captured { amountMinor } refunded { amountMinor } lost { amountMinor } paidAt disputedAt
                 needsAttention booking { state } checkout { state } refunds { amount { amountMinor } state cause } } }",
                json!({ "id": order }),
            )
            .await;
        answer.data()["order"].clone()
    }

    /// Asks for a refund by staff.
    pub async fn ask_refund(&self, order: &str, amount: Option<i64>, key: &str) -> super::Answer {
        let variables = json!({ "id": order, "amount": amount, "key": key });
        self.staff.post(REFUND_CREATE, variables).await
    }
}

/// Where checkout may send people back to.
pub const RETURN_URL: &str = "http://localhost:3000/back";
pub const ORDER_CREATE: &str = "mutation($id: ID!, $key: String!) { orderCreate(bookingId: $id, idempotencyKey: $key)
    { order { id state total { amountMinor currency } lines { title amount { amountMinor } } } userErrors { code field details } } }";
pub const CHECKOUT_CREATE: &str = "mutation($id: ID!, $url: URL!, $key: String!) {
    checkoutCreate(orderId: $id, input: { successUrl: $url, cancelUrl: $url }, idempotencyKey: $key)
    { checkout { id state url expiresAt } userErrors { code field details } } }";
pub const REFUND_CREATE: &str = "mutation($id: ID!, $amount: Int64, $key: String!) {
    refundCreate(orderId: $id, input: { amountMinor: $amount, reason: \"Sorry\" }, idempotencyKey: $key)
    { refund { id amount { amountMinor } state cause reason } userErrors { code field details } } }";
