//! The connection pool, transactions, and what a database fault means.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Duration,
};

use deadpool::managed::PoolError;
use diesel::{ConnectionError, ConnectionResult};
use diesel_async::{
    AsyncConnection, AsyncPgConnection, SimpleAsyncConnection,
    pooled_connection::{
        AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod,
        deadpool::{Object, Pool},
    },
};
use futures_util::FutureExt;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};
use tokio_postgres::{NoTls, config::SslMode, tls::TlsStream};

use super::{
    cause::with_causes,
    readers::{Reader, Readers},
    slow::{Lane, QueryReads, SlowReader},
    stats::{Counter, SharedCounter},
};
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
    /// Connections shared by reads, beside the pool's; none where 0.
    pub readers: usize,
}

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    shared: Arc<Shared>,
    /// The slow reads of the query that this is for; nothing for other work, which does not wait among them.
    query: Option<Arc<QueryReads>>,
}

struct Shared {
    pool: Pool<AsyncPgConnection>,
    readers: Readers,
    lane: Arc<Lane>,
    /// How long a ping may take.
    wait: Duration,
}

/// A connection of the pool; goes back when dropped.
pub type Connection = Object<AsyncPgConnection>;

/// Opens one connection, with TLS where the URL's `sslmode` asks for it.
pub(super) async fn connect(
    url: &str,
    statement_timeout: Option<Duration>,
) -> ConnectionResult<AsyncPgConnection> {
    let config = config(url, "companion")?;
    let mut connection = if config.get_ssl_mode() == SslMode::Disable {
        let (client, connection) = config.connect(NoTls).await.map_err(refused)?;
        AsyncPgConnection::try_from_client_and_connection(client, connection).await?
    } else {
        let (client, connection) = config.connect(tls()?).await.map_err(refused)?;
        AsyncPgConnection::try_from_client_and_connection(client, connection).await?
    };
    set_up(&mut connection, statement_timeout).await?;
    connection.set_instrumentation(Counter::default());
    Ok(connection)
}

/// The same for a connection that is shared; besides, what says why it ended, once it has.
pub(super) async fn connect_shared(
    url: &str,
    statement_timeout: Duration,
) -> ConnectionResult<(AsyncPgConnection, oneshot::Receiver<String>)> {
    // Under a name of their own, so that whoever looks at PostgreSQL can tell them from those of the pool.
    let config = config(url, "companion reads")?;
    let (client, ended) = if config.get_ssl_mode() == SslMode::Disable {
        let (client, connection) = config.connect(NoTls).await.map_err(refused)?;
        (client, drive(connection))
    } else {
        let (client, connection) = config.connect(tls()?).await.map_err(refused)?;
        (client, drive(connection))
    };
    let mut connection = AsyncPgConnection::try_from(client).await?;
    set_up(&mut connection, Some(statement_timeout)).await?;
    connection.set_instrumentation(SharedCounter);
    Ok((connection, ended))
}

fn refused(error: tokio_postgres::Error) -> ConnectionError {
    ConnectionError::BadConnection(with_causes(&error))
}

fn config(url: &str, name: &str) -> ConnectionResult<tokio_postgres::Config> {
    // Without its causes, which may repeat a piece of the address.
    let parsed: Result<tokio_postgres::Config, _> = url.parse();
    let mut config = parsed.map_err(|error| ConnectionError::BadConnection(error.to_string()))?;
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(2));
    }
    // A server that is gone without a word is noticed in seconds, not when TCP gives up after a quarter of an hour.
    config
        .application_name(name)
        .keepalives_idle(Duration::from_secs(10))
        .keepalives_interval(Duration::from_secs(5))
        .keepalives_retries(2)
        .tcp_user_timeout(Duration::from_secs(10));
    Ok(config)
}

async fn set_up(
    connection: &mut AsyncPgConnection,
    statement_timeout: Option<Duration>,
) -> ConnectionResult<()> {
    let Some(timeout) = statement_timeout else {
        return Ok(());
    };
    // Set here and not as a start-up option, which PgBouncer refuses.
    let milliseconds = timeout.as_millis();
    connection
        .batch_execute(&format!(
            // Compiling a plan takes longer than any statement of ours may: where the planner thinks a part of one dear,
            // that part is there for the case that others don't find enough.
            "SET statement_timeout = {milliseconds}; SET idle_in_transaction_session_timeout = '60s'; SET jit = off"
        ))
        .await
        .map_err(ConnectionError::CouldntSetupConfiguration)
}

fn drive<S>(
    connection: tokio_postgres::Connection<tokio_postgres::Socket, S>,
) -> oneshot::Receiver<String>
where
    S: TlsStream + Unpin + Send + 'static,
{
    let (sender, ended) = oneshot::channel();
    tokio::spawn(async move {
        let cause = match connection.await {
            Ok(()) => "closed".to_owned(),
            Err(error) => with_causes(&error),
        };
        // Nobody listens any more when the process shuts down.
        let _ = sender.send(cause);
    });
    ended
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
        let readers = Readers::new(url, options.readers, options.statement_timeout);
        let shared = Shared {
            pool,
            readers,
            lane: Arc::new(Lane::of_pool(options.size, options.wait)),
            wait: options.wait,
        };
        Ok(Self {
            shared: Arc::new(shared),
            query: None,
        })
    }

    /// The same for one query, whose slow reads wait in their lane. What mutations and jobs read waits for nobody's search.
    #[must_use]
    pub fn for_query(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            query: Some(QueryReads::new(self.shared.lane.clone())),
        }
    }

    /// A connection for single statements, each its own transaction.
    pub async fn conn(&self) -> Result<Connection> {
        self.shared.pool.get().await.map_err(|error| match error {
            PoolError::Timeout(_) => too_late(error),
            _ => Error::unavailable(error),
        })
    }

    /// A connection for reads that an index answers, shared with others; a slow one would hold them up.
    pub async fn reader(&self) -> Result<Reader> {
        match self.shared.readers.get() {
            Some(conn) => Ok(Reader::Shared(conn)),
            // Boxed: it would be a part of the future of everybody who reads, and be moved with it.
            None => Box::pin(self.conn()).await.map(Reader::from),
        }
    }

    /// A connection for reads that no index answers at once. A query's wait for one another and for those of other queries;
    /// whoever has one must not wait for another.
    ///
    /// # Errors
    /// `UNAVAILABLE` at once where too many queries wait, and for what has waited [`PoolOptions::wait`] in vain.
    pub async fn slow_reader(&self) -> Result<SlowReader> {
        // Boxed, as above; beside such a read that is nothing.
        Box::pin(async {
            match &self.query {
                Some(query) => query.turn().await?.with(self.conn()).await,
                None => self.conn().await.map(SlowReader::from),
            }
        })
        .await
    }

    /// Begins a transaction (READ COMMITTED); dropping it without [`Transaction::commit`] rolls back.
    pub async fn begin(&self) -> Result<Transaction> {
        let mut conn = self.conn().await?;
        conn.batch_execute("BEGIN").await?;
        Ok(Transaction { conn: Some(conn) })
    }

    /// Whether the database answers a statement, and the shared connections are open; known after
    /// [`PoolOptions::wait`] at the latest.
    pub async fn ping(&self) -> Result<()> {
        // Of our own, because a database that says nothing does not end its statements either.
        let end = Instant::now() + self.shared.wait;
        let mut conn = timeout_at(end, self.conn())
            .await
            .map_err(|_| Error::unavailable("no connection in time"))??;
        let Ok(answered) = timeout_at(end, conn.batch_execute("SELECT 1")).await else {
            // Whoever had it next would wait for this answer too.
            drop(Object::take(conn));
            return Err(Error::unavailable("no answer in time"));
        };
        answered?;
        if timeout_at(end, self.shared.readers.are_open()).await == Ok(true) {
            Ok(())
        } else {
            Err(Error::unavailable("a shared connection is being opened"))
        }
    }

    /// How many wait for a connection of the pool, slow reads of queries apart: they are few, and no reason to refuse who
    /// writes.
    pub fn waiting(&self) -> usize {
        let waiting = self.shared.pool.status().waiting;
        waiting.saturating_sub(self.shared.lane.before_pool())
    }

    /// How many queries read what no index answers at once, or wait for their turn to.
    pub fn slow_queries(&self) -> usize {
        self.shared.lane.queries()
    }

    /// Connections open and in use, for metrics.
    pub fn connections(&self) -> (usize, usize) {
        let status = self.shared.pool.status();
        (status.size, status.size.saturating_sub(status.available))
    }
}

/// What has waited for a connection in vain.
pub(super) fn too_late(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    metrics::counter!("database_pool_timeouts_total").increment(1);
    Error::unavailable(cause)
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
    // Boxed: a transaction's future has kilobytes, and what holds it is moved several times.
    match Box::pin(work()).await {
        Err(error) if error.is_lock_conflict() => Box::pin(work()).await,
        outcome => outcome,
    }
}
