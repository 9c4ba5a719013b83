//! Shared connections for reads: a few, each carrying the statements of many requests one behind the other.
//!
//! A statement that an index answers is over before a pool could hand out a connection, so that sharing (pipelining)
//! beats exclusive ones; a slow one would hold up all behind it and has a lane of its own (`slow`). Each connection has a
//! supervisor that opens a new one when it ends; the pool stands in meanwhile.

use std::{
    ops::Deref,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use diesel::ConnectionError;
use diesel_async::AsyncPgConnection;
use futures_util::future::join_all;
use tokio::{sync::watch, time::timeout};

use super::{
    pool::{Connection, connect_shared},
    slow::SlowReader,
    stats::timed,
};

/// How long a supervisor waits before it tries again.
const RETRY: Duration = Duration::from_millis(200);
/// How long opening one may take.
const OPENING: Duration = Duration::from_secs(5);
/// How long one that is being opened is waited for before the database counts as away.
const PATIENCE: Duration = Duration::from_millis(500);

/// A connection to read with, which others may read with at the same time: no transactions, no session state.
pub enum Reader {
    /// One of the shared ones.
    Shared(Arc<AsyncPgConnection>),
    /// One of the pool, while there is no shared one.
    Pooled(Box<Connection>),
    /// One of the pool for a slow statement, which has waited for its turn.
    Slow(Box<SlowReader>),
}

impl Reader {
    /// Does this work with it and counts the time to the request; a connection of the pool does so itself, a shared one
    /// cannot tell its statements apart.
    pub async fn timed<T>(&self, work: impl Future<Output = T>) -> T {
        match self {
            Self::Shared(_) => timed(work).await,
            Self::Pooled(_) | Self::Slow(_) => work.await,
        }
    }
}

impl Deref for Reader {
    type Target = AsyncPgConnection;

    fn deref(&self) -> &AsyncPgConnection {
        match self {
            Self::Shared(conn) => conn,
            Self::Pooled(conn) => conn,
            Self::Slow(conn) => conn,
        }
    }
}

impl From<Connection> for Reader {
    fn from(conn: Connection) -> Self {
        Self::Pooled(Box::new(conn))
    }
}

impl From<SlowReader> for Reader {
    fn from(conn: SlowReader) -> Self {
        Self::Slow(Box::new(conn))
    }
}

/// The shared connections; opened when first asked for.
pub(super) struct Readers {
    url: String,
    count: usize,
    statement_timeout: Duration,
    slots: OnceLock<Vec<Slot>>,
    next: AtomicUsize,
}

/// The place of one connection, which its supervisor fills.
type Slot = watch::Receiver<Option<Arc<AsyncPgConnection>>>;

impl Readers {
    pub(super) fn new(url: &str, count: usize, statement_timeout: Duration) -> Self {
        Self {
            url: url.to_owned(),
            count,
            statement_timeout,
            slots: OnceLock::new(),
            next: AtomicUsize::new(0),
        }
    }

    fn slots(&self) -> &[Slot] {
        self.slots.get_or_init(|| {
            let open = |_| {
                let (sender, slot) = watch::channel(None);
                tokio::spawn(supervise(sender, self.url.clone(), self.statement_timeout));
                slot
            };
            (0..self.count).map(open).collect()
        })
    }

    /// The next open connection in turn; nothing while none is.
    pub(super) fn get(&self) -> Option<Arc<AsyncPgConnection>> {
        let slots = self.slots();
        let turn = self.next.fetch_add(1, Relaxed);
        (0..slots.len()).find_map(|step| {
            let slot = slots.get(turn.wrapping_add(step) % slots.len())?;
            slot.borrow().clone()
        })
    }

    /// Whether all of them are open, or soon are.
    pub(super) async fn are_open(&self) -> bool {
        let all = self
            .slots()
            .iter()
            .cloned()
            .map(|mut slot| async move { slot.wait_for(Option::is_some).await.is_ok() });
        let opened = timeout(PATIENCE, join_all(all)).await;
        opened.is_ok_and(|opened| opened.into_iter().all(|open| open))
    }
}

/// Keeps one connection open until nobody has the slot any more.
async fn supervise(
    slot: watch::Sender<Option<Arc<AsyncPgConnection>>>,
    url: String,
    statement_timeout: Duration,
) {
    let mut away = false;
    while !slot.is_closed() {
        let opening = connect_shared(&url, statement_timeout);
        let opened = timeout(OPENING, opening).await;
        match opened.unwrap_or_else(|_| Err(ConnectionError::BadConnection("timed out".into()))) {
            Ok((conn, ended)) => {
                away = false;
                slot.send_replace(Some(Arc::new(conn)));
                tokio::select! {
                    cause = ended => {
                        slot.send_replace(None);
                        let cause = cause.unwrap_or_default();
                        tracing::warn!(%cause, "a shared connection to the database ended");
                    }
                    () = slot.closed() => return,
                }
            }
            // Once for an outage, however long it takes.
            Err(error) if !away => {
                away = true;
                tracing::warn!(%error, "no shared connection to the database");
            }
            Err(_) => {}
        }
        tokio::time::sleep(RETRY).await;
    }
}
