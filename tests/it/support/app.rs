//! A server for a test: its own database, a clock that the test moves, seeded randomness.

use companion::{app::App, clock::Clock, config::Config, entropy::Entropy};
use diesel_async::{AsyncConnection, AsyncPgConnection};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use tokio::task::JoinHandle;

use super::{Client, TestDatabase};

/// When every test begins: a Saturday noon.
pub const START: &str = "2026-11-21T12:00:00Z";

/// A running server and its database.
pub struct TestApp {
    /// What the server runs on; for the clock and for jobs, not to go around the public face.
    pub app: App,
    /// Where it listens.
    pub base_url: String,
    database: TestDatabase,
    server: JoinHandle<()>,
}

impl TestApp {
    /// Starts with development settings.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts with settings of one's own.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_by(Clock::manual(START.parse().unwrap()), change).await
    }

    /// Starts by a clock that others share, with settings of one's own.
    pub async fn start_by(clock: Clock, change: impl FnOnce(&mut Config)) -> Self {
        let database = TestDatabase::create().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let mut config = Config::development();
        config.database_url = Some(SecretString::from(database.url()));
        config.base_url = base_url.parse().unwrap();
        config.media_dir = std::env::temp_dir().join(format!(
            "companion-media-{}-{}",
            std::process::id(),
            listener.local_addr().unwrap().port()
        ));
        config.mail_dir = config.media_dir.with_extension("mail");
        let config_url = Some(database.url());
        // Tests move the clock by weeks; those about expiry set their own.
        config.access_token_ttl = std::time::Duration::from_secs(400 * 24 * 3600);
        // Nothing comes back while the clock stands; tests about points set their own.
        config.points.user.per_minute = 0;
        config.points.address.per_minute = 0;
        change(&mut config);
        let app = App::new(config, clock, Entropy::seeded(7)).unwrap();
        let own = config_url
            == app
                .config
                .database_url
                .as_ref()
                .map(|url| url.expose_secret().to_owned());
        if own {
            // Statement counts are exact only once rights are kept.
            app.access.ready().await;
        }
        let http = companion::http::Http::new(app.clone()).unwrap();
        let server = tokio::spawn(async move {
            let never = std::future::pending();
            companion::http::run(&http, axum::Router::new(), listener, never)
                .await
                .unwrap();
        });
        Self {
            app,
            base_url,
            database,
            server,
        }
    }

    /// A client that is not signed in.
    pub fn anonymous(&self) -> Client {
        Client::new(&self.base_url, None)
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.app.clock.now()
    }

    /// Moves the clock and does every job that is due then.
    pub async fn advance(&self, by: SignedDuration) {
        self.app.clock.advance(by);
        self.run_jobs().await;
    }

    /// Does every job that is due.
    pub async fn run_jobs(&self) {
        companion::jobs::worker::run_due(&self.app).await.unwrap();
    }

    /// The address of its database.
    pub fn database_url(&self) -> String {
        self.database.url()
    }

    /// The name of its database, for what is done from outside.
    pub fn database_name(&self) -> &str {
        self.database.name()
    }

    /// A connection of the test's own, to set up and to look.
    pub async fn conn(&self) -> AsyncPgConnection {
        AsyncPgConnection::establish(&self.database.url())
            .await
            .unwrap()
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.server.abort();
        let _ = std::fs::remove_dir_all(&self.app.config.media_dir);
        let _ = std::fs::remove_dir_all(&self.app.config.mail_dir);
    }
}
