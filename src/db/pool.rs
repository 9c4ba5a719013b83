//! The connection pool, transactions, and what a database fault means.

use std::{
    ops::{Deref, DerefMut},
    time::Duration,
};

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::{
    AsyncConnection, AsyncPgConnection, SimpleAsyncConnection,
    pooled_connection::{
        AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod,
        deadpool::{Object, Pool},
    },
};
use futures_util::FutureExt;

use super::stats::Counter;
use crate::error::{Error, Result};

/// How the pool behaves.
#[derive(Clone, Copy, Debug)]
pub struct PoolOptions {
    /// Connections at most.
    pub size: usize,
    /// How long a caller waits for one before `UNAVAILABLE`.
    pub wait: Duration,
    /// How long a statement may run.
    pub statement_timeout: Duration,
}

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    pool: Pool<AsyncPgConnection>,
}

/// A connection of the pool; goes back when dropped.
pub type Connection = Object<AsyncPgConnection>;

/// Opens one connection, with TLS where the URL's `sslmode` asks for it.
pub(super) async fn connect(
    url: &str,
    statement_timeout: Option<Duration>,
) -> ConnectionResult<AsyncPgConnection> {
    let bad = |error: &dyn std::fmt::Display| ConnectionError::BadConnection(error.to_string());
    let mut config: tokio_postgres::Config = url.parse().map_err(|error| bad(&error))?;
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(2));
    }
    config.application_name("companion");
    let mut connection = if config.get_ssl_mode() == tokio_postgres::config::SslMode::Disable {
        let (client, connection) = config
            .connect(tokio_postgres::NoTls)
            .await
            .map_err(|error| bad(&error))?;
        AsyncPgConnection::try_from_client_and_connection(client, connection).await?
    } else {
        let (client, connection) = config.connect(tls()?).await.map_err(|error| bad(&error))?;
        AsyncPgConnection::try_from_client_and_connection(client, connection).await?
    };
    if let Some(timeout) = statement_timeout {
        // Set here and not as a start-up option, which PgBouncer refuses.
        let milliseconds = timeout.as_millis();
        connection
            .batch_execute(&format!(
                "SET statement_timeout = {milliseconds}; SET idle_in_transaction_session_timeout = '60s'"
            ))
            .await
            .map_err(ConnectionError::CouldntSetupConfiguration)?;
    }
    connection.set_instrumentation(Counter::default());
    Ok(connection)
}

pub(super) fn tls() -> ConnectionResult<tokio_postgres_rustls::MakeRustlsConnect> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls_native_certs::load_native_certs().certs {
        let _ = roots.add(certificate);
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ConnectionError::BadConnection(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(tokio_postgres_rustls::MakeRustlsConnect::new(config))
}

impl Db {
    /// Makes the pool; connects when first used.
    pub fn new(url: &str, options: PoolOptions) -> Result<Self> {
        let mut manager = ManagerConfig::default();
        // The default sends `SELECT 1` before each use; a dead connection shows in the statement itself.
        manager.recycling_method = RecyclingMethod::Fast;
        manager.custom_setup = Box::new(move |url| {
            let url = url.to_owned();
            async move { connect(&url, Some(options.statement_timeout)).await }.boxed()
        });
        let manager = AsyncDieselConnectionManager::new_with_config(url, manager);
        let pool = Pool::builder(manager)
            .max_size(options.size)
            .runtime(deadpool::Runtime::Tokio1)
            .wait_timeout(Some(options.wait))
            .create_timeout(Some(options.wait))
            .build()
            .map_err(Error::internal)?;
        Ok(Self { pool })
    }

    /// A connection for single statements, each its own transaction.
    pub async fn conn(&self) -> Result<Connection> {
        self.pool.get().await.map_err(Error::unavailable)
    }

    /// Begins a transaction (READ COMMITTED); dropping it without [`Transaction::commit`] rolls back.
    pub async fn begin(&self) -> Result<Transaction> {
        let mut conn = self.conn().await?;
        conn.batch_execute("BEGIN").await?;
        Ok(Transaction { conn: Some(conn) })
    }

    /// Whether the database answers a statement.
    pub async fn ping(&self) -> Result<()> {
        self.conn().await?.batch_execute("SELECT 1").await?;
        Ok(())
    }

    /// Connections open and in use, for metrics.
    pub fn connections(&self) -> (usize, usize) {
        let status = self.pool.status();
        (status.size, status.size.saturating_sub(status.available))
    }
}

/// A transaction; derefs to its connection.
pub struct Transaction {
    conn: Option<Connection>,
}

impl Transaction {
    /// Makes everything done in it last.
    ///
    /// An error here can mean either outcome: idempotency keys make a repeat safe.
    pub async fn commit(mut self) -> Result<()> {
        if let Some(mut conn) = self.conn.take() {
            let outcome = conn.batch_execute("COMMIT").await;
            if outcome.is_err() {
                // Its state is unknown: never hand it to the next caller.
                drop(Object::take(conn));
            }
            outcome?;
        }
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = AsyncPgConnection;
    #[expect(
        clippy::expect_used,
        reason = "only `commit` and `drop`, which consume, take it out"
    )]
    fn deref(&self) -> &AsyncPgConnection {
        self.conn
            .as_deref()
            .expect("an open transaction has its connection")
    }
}

impl DerefMut for Transaction {
    #[expect(
        clippy::expect_used,
        reason = "only `commit` and `drop`, which consume, take it out"
    )]
    fn deref_mut(&mut self) -> &mut AsyncPgConnection {
        self.conn
            .as_deref_mut()
            .expect("an open transaction has its connection")
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(mut conn) = self.conn.take() {
            // Its locks must go at once, and the connection back to the pool only when clean. Without a
            // runtime (shutdown) the connection is closed, which rolls back too.
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move {
                    if conn.batch_execute("ROLLBACK").await.is_err() {
                        drop(Object::take(conn));
                    }
                });
            } else {
                drop(Object::take(conn));
            }
        }
    }
}

/// Runs `work`, and once more when it lost against another transaction (deadlock, lock wait, serialization).
///
/// `work` begins its own transaction, so that nothing of the first run is left (security.md, deadlocks).
pub async fn retry_conflict<T, F: Future<Output = Result<T>>>(
    mut work: impl FnMut() -> F,
) -> Result<T> {
    match work().await {
        Err(error) if error.is_lock_conflict() => work().await,
        outcome => outcome,
    }
}
