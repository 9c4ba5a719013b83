//! Shared connections for reads: a few, each carrying the statements of many requests one behind the other.
//!
//! A statement that an index answers is over before a pool could hand out a connection, so that sharing (pipelining)
//! beats exclusive ones; a slow one would hold up all behind it and belongs in the pool. Each connection has a
//! supervisor that opens a new one when it ends; the pool stands in meanwhile.

use std::{
    ops::Deref,
    sync::{
        Arc, OnceLock, PoisonError, RwLock, Weak,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use diesel_async::AsyncPgConnection;

use super::{
    pool::{Connection, connect_shared},
    stats::timed,
};

/// How long a supervisor waits before it tries again.
const RETRY: Duration = Duration::from_millis(200);

/// A connection to read with, which others read with at the same time: no transactions, no session state.
pub enum Reader {
    /// One of the shared ones.
    Shared(Arc<AsyncPgConnection>),
    /// One of the pool, while there is no shared one.
    Pooled(Connection),
}

impl Reader {
    /// Does this work with it and counts the time to the request; a connection of the pool does so itself, a shared one
    /// cannot tell its statements apart.
    pub async fn timed<T>(&self, work: impl Future<Output = T>) -> T {
        match self {
            Self::Shared(_) => timed(work).await,
            Self::Pooled(_) => work.await,
        }
    }
}

impl Deref for Reader {
    type Target = AsyncPgConnection;

    fn deref(&self) -> &AsyncPgConnection {
        match self {
            Self::Shared(conn) => conn,
            Self::Pooled(conn) => conn,
        }
    }
}

/// The shared connections; opened when first asked for.
pub(super) struct Readers {
    url: String,
    count: usize,
    statement_timeout: Duration,
    slots: OnceLock<Vec<Arc<Slot>>>,
    next: AtomicUsize,
}

/// The place of one connection.
#[derive(Default)]
struct Slot(RwLock<Option<Arc<AsyncPgConnection>>>);

impl Slot {
    fn get(&self) -> Option<Arc<AsyncPgConnection>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, conn: Option<Arc<AsyncPgConnection>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = conn;
    }
}

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

    fn slots(&self) -> &[Arc<Slot>] {
        self.slots.get_or_init(|| {
            let slots: Vec<Arc<Slot>> = (0..self.count).map(|_| Arc::default()).collect();
            for slot in &slots {
                let slot = Arc::downgrade(slot);
                tokio::spawn(supervise(slot, self.url.clone(), self.statement_timeout));
            }
            slots
        })
    }

    /// The next open connection in turn; nothing while none is.
    pub(super) fn get(&self) -> Option<Arc<AsyncPgConnection>> {
        let slots = self.slots();
        let turn = self.next.fetch_add(1, Relaxed);
        (0..slots.len()).find_map(|step| {
            let slot = slots.get(turn.wrapping_add(step) % slots.len())?;
            slot.get()
        })
    }

    /// Whether all of them are open.
    pub(super) fn are_open(&self) -> bool {
        self.slots().iter().all(|slot| slot.get().is_some())
    }
}

/// Keeps one connection open until nobody has the slot any more.
async fn supervise(slot: Weak<Slot>, url: String, statement_timeout: Duration) {
    while slot.strong_count() > 0 {
        match connect_shared(&url, statement_timeout).await {
            Ok((conn, ended)) => {
                if let Some(slot) = slot.upgrade() {
                    slot.set(Some(Arc::new(conn)));
                }
                let cause = ended.await.unwrap_or_default();
                if let Some(slot) = slot.upgrade() {
                    slot.set(None);
                    tracing::warn!(%cause, "a shared connection to the database ended");
                }
            }
            Err(error) => tracing::warn!(%error, "no shared connection to the database"),
        }
        tokio::time::sleep(RETRY).await;
    }
}
