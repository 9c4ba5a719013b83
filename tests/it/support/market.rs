//! Builders: providers, services, prices, windows and boundary rules, as rows.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use companion::db::ids::{
    AvailabilityId, ProviderId, ProviderServiceId, ServiceId, TypedId, UserId,
};

use super::{Answer, Client, TestApp};

/// The UUID of a typed id, for SQL.
pub fn uuid<T>(id: &str) -> Uuid
where
    T: TypedId + std::str::FromStr,
{
    id.parse::<T>().unwrap().uuid()
}

impl TestApp {
    /// What `SELECT count(*) FROM …` answers.
    pub async fn count(&self, from: &str) -> i64 {
        self.number(&format!("SELECT count(*) FROM {from}")).await
    }

    fn new_uuid(&self) -> Uuid {
        self.app.entropy.uuid_v7(self.now())
    }

    /// A service of the catalog; answers its id.
    pub async fn service_row(&self, title: &str) -> String {
        let (id, category, now) = (self.new_uuid(), self.new_uuid(), self.now());
        self.sql(&format!(
            "INSERT INTO categories VALUES ('{category}', '{}', 'Test', 0);
             INSERT INTO services VALUES ('{id}', '{category}', '{title}', '', 'ACTIVE', 1, '{now}', '{now}')",
            category.simple()
        ))
        .await;
        ServiceId(id).to_string()
    }

    /// An approved profile of this person; answers its id.
    pub async fn provider_row(&self, owner: &Client, policy: &str) -> String {
        let id = self.make_provider(owner).await;
        self.sql(&format!(
            "UPDATE providers SET cancellation_policy = '{policy}' WHERE id = '{}'",
            id.0
        ))
        .await;
        id.to_string()
    }

    /// A provider's price for a service, in euro cents.
    pub async fn price_row(
        &self,
        provider: &str,
        service: &str,
        minor: i64,
        minutes: i32,
    ) -> String {
        let (id, now) = (self.new_uuid(), self.now());
        self.sql(&format!(
            "INSERT INTO provider_services VALUES ('{id}', '{}', '{}', {minor}, 'EUR', {minutes}, true, 1,
                 '{now}', '{now}')",
            uuid::<ProviderId>(provider),
            uuid::<ServiceId>(service)
        ))
        .await;
        ProviderServiceId(id).to_string()
    }

    /// A bookable window; answers its id.
    pub async fn window_row(&self, provider: &str, from: Timestamp, to: Timestamp) -> String {
        let (id, now) = (self.new_uuid(), self.now());
        self.sql(&format!(
            "INSERT INTO availabilities VALUES ('{id}', '{}', '{from}', '{to}', '{now}')",
            uuid::<ProviderId>(provider)
        ))
        .await;
        AvailabilityId(id).to_string()
    }

    /// Publishes this version of the boundary rules.
    pub async fn boundary_row(&self, version: i32) {
        let now = self.now();
        self.sql(&format!(
            "INSERT INTO boundary_policies VALUES ({version}, 'Be kind.', '{now}', NULL) ON CONFLICT DO NOTHING"
        ))
        .await;
    }

    /// Lets this person acknowledge it.
    pub async fn acknowledge_row(&self, client: &Client, version: i32) {
        let (user, now) = (uuid::<UserId>(&client.user_id), self.now());
        self.sql(&format!(
            "INSERT INTO boundary_acknowledgements VALUES ('{user}', {version}, '{now}') ON CONFLICT DO NOTHING"
        ))
        .await;
    }

    /// A signed-in person who has acknowledged the boundary rules, version 1.
    pub async fn client(&self, name: &str) -> Client {
        let client = self.user(name).await;
        self.acknowledge_row(&client, 1).await;
        client
    }
}

/// A provider with a service, a window tomorrow and a client who may book.
pub struct Market {
    /// The server.
    pub app: TestApp,
    /// The provider's person.
    pub provider: Client,
    /// Their profile.
    pub provider_id: String,
    /// What they offer: an hour for 50 €.
    pub service_id: String,
    /// Somebody who may book it.
    pub client: Client,
    /// Staff with `bookings:*`.
    pub staff: Client,
    /// When the window opens: two days from the start, at noon; it is open for eight hours.
    pub opens: Timestamp,
}

pub const CREATE: &str = "mutation($input: BookingCreateInput!, $key: String!) {
    bookingCreate(input: $input, idempotencyKey: $key) {
        booking { id state version startsAt endsAt price { amountMinor currency } answerDeadline }
        userErrors { code field details } } }";

impl Market {
    /// FLEXIBLE.
    pub async fn open() -> Self {
        Self::open_with("FLEXIBLE", 5000).await
    }

    /// With this cancellation policy and price in cents.
    pub async fn open_with(policy: &str, price_minor: i64) -> Self {
        let app = TestApp::start_with(|config| {
            config.return_origins.push(config.base_url.origin());
        })
        .await;
        app.boundary_row(1).await;
        let provider = app.user("Pia").await;
        let provider_id = app.provider_row(&provider, policy).await;
        let service_id = app.service_row("Walk").await;
        app.price_row(&provider_id, &service_id, price_minor, 60)
            .await;
        let opens = app.now() + SignedDuration::from_hours(48);
        let closes = opens + SignedDuration::from_hours(8);
        app.window_row(&provider_id, opens, closes).await;
        let client = app.client("Cleo").await;
        let staff = app.user_with_permissions("Staff", &["bookings:*"]).await;
        Self {
            app,
            provider,
            provider_id,
            service_id,
            client,
            staff,
            opens,
        }
    }

    /// The window's opening and so many minutes.
    pub fn at(&self, minutes: i64) -> Timestamp {
        self.opens + SignedDuration::from_mins(minutes)
    }

    /// What `bookingCreate` takes for this start.
    pub fn wish(&self, start: Timestamp) -> Value {
        json!({ "providerId": self.provider_id, "serviceId": self.service_id, "startsAt": start })
    }

    /// Asks for this start, with an idempotency key of its own.
    pub async fn ask(&self, client: &Client, start: Timestamp) -> Answer {
        let key = self.app.app.entropy.uuid_v7(self.app.now());
        client
            .post(CREATE, json!({ "input": self.wish(start), "key": key }))
            .await
    }

    /// A booking in REQUESTED, so many minutes after the opening; answers its id.
    pub async fn requested(&self, minutes: i64) -> String {
        let answer = self.ask(&self.client, self.at(minutes)).await;
        answer.payload("bookingCreate")["booking"]["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// One in ACCEPTED (or CONFIRMED when it is free).
    pub async fn accepted(&self, minutes: i64) -> String {
        let id = self.requested(minutes).await;
        act(&self.provider, "Accept", &id, "")
            .await
            .payload("bookingAccept");
        id
    }

    /// One in CONFIRMED, paid on the sandbox's page.
    pub async fn confirmed(&self, minutes: i64) -> String {
        let id = self.accepted(minutes).await;
        self.paid(&id).await;
        id
    }

    /// Pays an accepted booking as its client does; answers its order.
    pub async fn paid(&self, id: &str) -> String {
        let client = &self.client;
        let order = "mutation($id: ID!, $key: String!) {
            orderCreate(bookingId: $id, idempotencyKey: $key) { order { id } userErrors { code } } }";
        let made = client.post(order, json!({ "id": id, "key": id })).await;
        let order = made.payload("orderCreate")["order"]["id"].clone();
        let checkout = "mutation($id: ID!, $url: URL!, $key: String!) {
            checkoutCreate(orderId: $id, input: {successUrl: $url, cancelUrl: $url}, idempotencyKey: $key) {
                checkout { url } userErrors { code } } }";
        let back = format!("{}/health/live", self.app.base_url);
        let variables = json!({ "id": order, "url": back, "key": id });
        let opened = client.post(checkout, variables).await;
        let page = opened.payload("checkoutCreate")["checkout"]["url"].as_str();
        let pressed = client.http().post(page.unwrap()).form(&[("action", "pay")]);
        pressed.send().await.unwrap();
        assert_eq!(self.state(id).await, "CONFIRMED");
        order.as_str().unwrap().to_owned()
    }

    /// Lets a payment arrive.
    pub async fn pay(&self, id: &str) -> companion::features::bookings::service::PaidOutcome {
        use companion::features::bookings::service;
        let mut tx = self.app.app.db.begin().await.unwrap();
        let id = id.parse().unwrap();
        assert!(service::lock_parties(&mut tx, id).await.unwrap());
        let outcome = service::confirm_paid(&mut tx, &self.app.app, id, self.app.now())
            .await
            .unwrap();
        tx.commit().await.unwrap();
        outcome
    }

    /// The state that this booking's client sees.
    pub async fn state(&self, id: &str) -> String {
        let query = format!("{{ booking(id: \"{id}\") {{ state }} }}");
        let answer = self.staff.query(&query).await;
        answer.data()["booking"]["state"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

/// Posts `booking{verb}(id: …, {arguments})`.
pub async fn act(client: &Client, verb: &str, id: &str, arguments: &str) -> Answer {
    let query = format!(
        "mutation {{ booking{verb}(id: \"{id}\", {arguments}) {{
            booking {{ id state version startsAt endsAt closedBy absentSide paymentDeadline reason
                proposal {{ state startsAt answerDeadline proposedBy }} }}
            userErrors {{ code field details }} }} }}"
    );
    client.query(&query).await
}
