//! Builders: providers and bookings in any state, written as rows.

use companion::db::ids::{BookingId, ProviderId, UserId};
use diesel_async::SimpleAsyncConnection;
use jiff::Timestamp;

use super::{Client, TestApp};

impl TestApp {
    /// Makes this person an approved provider.
    pub async fn make_provider(&self, person: &Client) -> ProviderId {
        let (provider, city) = (self.uuid(), self.uuid());
        let user = person.user_id.parse::<UserId>().unwrap().0;
        let sql = format!(
            "INSERT INTO cities (id, slug, name, country_code, time_zone)
                 VALUES ('{city}', 'c-{city}', 'Here', 'DE', 'Europe/Berlin');
             INSERT INTO providers (id, user_id, status, display_name, headline, bio, city_id, time_zone,
                 cancellation_policy, applied_at, version, created_at, updated_at)
                 VALUES ('{provider}', '{user}', 'APPROVED', 'Provider', '', '', '{city}', 'Europe/Berlin',
                 'FLEXIBLE', '{now}', 1, '{now}', '{now}');",
            now = self.now()
        );
        self.conn().await.batch_execute(&sql).await.unwrap();
        ProviderId(provider)
    }

    /// A booking of this provider by this client; completed ones need `completed_at`.
    pub async fn make_booking(
        &self,
        provider: ProviderId,
        client: &Client,
        state: &str,
        completed_at: Option<Timestamp>,
    ) -> BookingId {
        let [booking, category, service] = [self.uuid(), self.uuid(), self.uuid()];
        let user = client.user_id.parse::<UserId>().unwrap().0;
        let completed = completed_at.map_or("NULL".to_owned(), |at| format!("'{at}'"));
        let payable = match state {
            "ACCEPTED" => format!("'{}'", self.now()),
            _ => "NULL".to_owned(),
        };
        let absent = match state {
            "NO_SHOW" => "'CLIENT'",
            _ => "NULL",
        };
        let provider = provider.0;
        let sql = format!(
            "INSERT INTO categories (id, slug, title, position) VALUES ('{category}', 'c-{category}', 'C', 1);
             INSERT INTO services (id, category_id, title, description, status, version, created_at, updated_at)
                 VALUES ('{service}', '{category}', 'S', '', 'ACTIVE', 1, '{now}', '{now}');
             INSERT INTO bookings (id, client_id, provider_id, service_id, state, version, starts_at, ends_at, note,
                 price_minor, currency, duration_minutes, cancellation_policy, boundary_version, buffer_before_minutes,
                 buffer_after_minutes, answer_deadline, payment_deadline, absent_side, completed_at, created_at,
                 updated_at)
                 VALUES ('{booking}', '{user}', '{provider}', '{service}', '{state}', 1, '{now}',
                 '{now}'::timestamptz + interval '1 hour', '', 0, 'EUR', 60, 'FLEXIBLE', 1, 0, 0, '{now}',
                 {payable}, {absent}, {completed}, '{now}', '{now}');",
            now = self.now()
        );
        self.conn().await.batch_execute(&sql).await.unwrap();
        BookingId(booking)
    }

    /// A booking that this client completed just now.
    pub async fn make_completed(&self, provider: ProviderId, client: &Client) -> BookingId {
        self.make_booking(provider, client, "COMPLETED", Some(self.now()))
            .await
    }

    /// Runs SQL of the test's own.
    pub async fn sql(&self, sql: &str) {
        self.conn().await.batch_execute(sql).await.unwrap();
    }

    /// The one number that a statement answers.
    pub async fn number(&self, sql: &str) -> i64 {
        #[derive(diesel::QueryableByName)]
        struct Number {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            number: i64,
        }
        let query = diesel::sql_query(format!("SELECT ({sql})::bigint AS number"));
        let row: Number = diesel_async::RunQueryDsl::get_result(query, &mut self.conn().await)
            .await
            .unwrap();
        row.number
    }

    fn uuid(&self) -> uuid::Uuid {
        self.app.entropy.uuid_v7(self.now())
    }
}
