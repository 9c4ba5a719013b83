//! The lane of slow reads: what no index answers at once waits here and not before the pool.
//!
//! It lets through as many as half of the pool has connections for, so that however many search, who writes finds the
//! other half; and it knows how many queries are in it, which take nothing that other queries need.

use std::{
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use diesel_async::{
    AsyncConnection, AsyncPgConnection, SimpleAsyncConnection, pooled_connection::deadpool::Object,
};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use super::{
    pool::{Connection, too_late},
    stats::Counter,
};
use crate::error::{Error, Result};

/// So many queries may wait for each connection of the lane: at a tenth of a second each, the last of them has its turn in
/// the two seconds for which it waits at most.
const WAITING: usize = 20;
/// So many reads of one query may be sent at once. Its others wait for these, so that a query of twenty searches holds up
/// whoever asks for one no longer than a query of two.
const AT_ONCE: usize = 2;

/// The lane that all queries share.
pub(super) struct Lane {
    /// One for each connection.
    turns: Arc<Semaphore>,
    /// So many queries at most.
    most: usize,
    /// Those in it, whether they read or wait.
    queries: AtomicUsize,
    /// Reads whose turn it is and that have no connection yet.
    before_pool: AtomicUsize,
    wait: Duration,
}

impl Lane {
    /// Half of a pool of so many connections, with a turn after `wait` at the latest.
    pub(super) fn of_pool(connections: usize, wait: Duration) -> Self {
        let turns = (connections / 2).max(1);
        Self {
            turns: Arc::new(Semaphore::new(turns)),
            most: turns * (1 + WAITING),
            queries: AtomicUsize::new(0),
            before_pool: AtomicUsize::new(0),
            wait,
        }
    }

    /// How many queries are in it.
    pub(super) fn queries(&self) -> usize {
        self.queries.load(Relaxed)
    }

    /// How many reads that have their turn may be waiting for the pool.
    pub(super) fn before_pool(&self) -> usize {
        self.before_pool.load(Relaxed)
    }

    /// Counts one more query, unless there are too many.
    fn enter(&self) -> bool {
        let more = |queries| (queries < self.most).then_some(queries + 1);
        self.queries.fetch_update(Relaxed, Relaxed, more).is_ok()
    }

    /// Counts a query that was let in and comes for its next read.
    fn come_back(&self) {
        self.queries.fetch_add(1, Relaxed);
    }

    fn leave(&self) {
        self.queries.fetch_sub(1, Relaxed);
    }
}

/// The slow reads of one query.
pub(super) struct QueryReads {
    lane: Arc<Lane>,
    state: Mutex<State>,
    at_once: Semaphore,
}

#[derive(Default)]
struct State {
    /// Reads in the lane.
    reads: usize,
    /// What became of the first one: who was let in is not refused in the middle, and who was refused does not try again
    /// with the next one.
    let_in: Option<bool>,
}

impl QueryReads {
    pub(super) fn new(lane: Arc<Lane>) -> Arc<Self> {
        Arc::new(Self {
            lane,
            state: Mutex::default(),
            at_once: Semaphore::new(AT_ONCE),
        })
    }

    /// Waits until it is this read's turn.
    ///
    /// Whoever has a turn must not wait for another one: that could be its own.
    pub(super) async fn turn(self: &Arc<Self>) -> Result<Turn> {
        let inside = self.join()?;
        // Not within the time that is waited: else a query would be refused for its own other reads.
        self.at_once
            .acquire()
            .await
            .map_err(Error::internal)?
            .forget();
        let own = OwnTurn(self.clone());
        let until = Instant::now() + self.lane.wait;
        let turn = timeout_at(until, self.lane.turns.clone().acquire_owned()).await;
        let turn = turn
            .map_err(|_| too_late("no turn in the lane of slow reads in time"))?
            .map_err(Error::internal)?;
        Ok(Turn {
            until,
            _turn: turn,
            _own: own,
            inside,
        })
    }

    fn join(self: &Arc<Self>) -> Result<Inside> {
        let mut state = self.state();
        let too_many = || Error::unavailable("too many slow reads at once");
        match state.let_in {
            None => {
                let let_in = self.lane.enter();
                state.let_in = Some(let_in);
                if !let_in {
                    metrics::counter!("companion_requests_shed_total", "kind" => "slow_query")
                        .increment(1);
                    return Err(too_many());
                }
            }
            Some(false) => return Err(too_many()),
            Some(true) if state.reads == 0 => self.lane.come_back(),
            Some(true) => {}
        }
        state.reads += 1;
        drop(state);
        Ok(Inside(self.clone()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A read that is in the lane.
struct Inside(Arc<QueryReads>);

impl Drop for Inside {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.reads -= 1;
        if state.reads == 0 {
            self.0.lane.leave();
        }
    }
}

/// One of the reads that a query may send at once.
struct OwnTurn(Arc<QueryReads>);

impl Drop for OwnTurn {
    fn drop(&mut self) {
        self.0.at_once.add_permits(1);
    }
}

/// A read's turn, until it is dropped.
pub(super) struct Turn {
    /// When it must have its connection.
    until: Instant,
    _turn: OwnedSemaphorePermit,
    _own: OwnTurn,
    inside: Inside,
}

impl Turn {
    /// The connection for which it is this read's turn.
    pub(super) async fn with(
        self,
        connection: impl Future<Output = Result<Connection>>,
    ) -> Result<SlowReader> {
        let waiting = BeforePool::new(&self.inside.0.lane);
        let conn = timeout_at(self.until, connection).await;
        drop(waiting);
        let conn = conn.map_err(|_| too_late("no connection in time"))??;
        Ok(SlowReader::new(conn, Some(self)))
    }
}

struct BeforePool<'a>(&'a Lane);

impl<'a> BeforePool<'a> {
    fn new(lane: &'a Lane) -> Self {
        lane.before_pool.fetch_add(1, Relaxed);
        Self(lane)
    }
}

impl Drop for BeforePool<'_> {
    fn drop(&mut self) {
        self.0.before_pool.fetch_sub(1, Relaxed);
    }
}

/// A connection for a slow read; derefs to it.
pub struct SlowReader {
    /// Until it is dropped.
    held: Option<Held>,
    under_way: Arc<AtomicBool>,
}

struct Held {
    // Goes back before the next one has its turn.
    conn: Connection,
    _turn: Option<Turn>,
}

impl SlowReader {
    fn new(mut conn: Connection, turn: Option<Turn>) -> Self {
        let under_way = Arc::default();
        conn.set_instrumentation(Counter::showing(Arc::clone(&under_way)));
        Self {
            held: Some(Held { conn, _turn: turn }),
            under_way,
        }
    }
}

impl From<Connection> for SlowReader {
    fn from(conn: Connection) -> Self {
        Self::new(conn, None)
    }
}

impl Deref for SlowReader {
    type Target = AsyncPgConnection;

    #[expect(clippy::expect_used, reason = "only `drop` takes it out")]
    fn deref(&self) -> &AsyncPgConnection {
        &self
            .held
            .as_ref()
            .expect("a reader has its connection")
            .conn
    }
}

impl DerefMut for SlowReader {
    #[expect(clippy::expect_used, reason = "only `drop` takes it out")]
    fn deref_mut(&mut self) -> &mut AsyncPgConnection {
        &mut self
            .held
            .as_mut()
            .expect("a reader has its connection")
            .conn
    }
}

impl Drop for SlowReader {
    fn drop(&mut self) {
        if !self.under_way.load(Relaxed) {
            return;
        }
        let Some(held) = self.held.take() else {
            return;
        };
        // Whoever asked has hung up, or its time is over, and PostgreSQL still works: who had the connection next would wait
        // for that, so both come back when it is done. Without a runtime (shutdown) the connection is closed.
        match Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn(held.outlast_statement());
            }
            Err(_) => drop(Object::take(held.conn)),
        }
    }
}

impl Held {
    /// Gives both back when PostgreSQL is done with the connection's statement. Takes all of it: a block that names the
    /// connection would take that alone, and the turn would come back at once.
    async fn outlast_statement(mut self) {
        // Answered after all that was sent before it.
        if self.conn.batch_execute("SELECT 1").await.is_err() {
            drop(Object::take(self.conn));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use futures_util::FutureExt;

    use super::*;

    fn lane(connections: usize) -> Arc<Lane> {
        Arc::new(Lane::of_pool(connections, Duration::from_secs(60)))
    }

    /// A read of this query that has come for its turn.
    fn asked(query: &Arc<QueryReads>) -> Pin<Box<dyn Future<Output = Result<Turn>>>> {
        let query = query.clone();
        let mut turn = Box::pin(async move { query.turn().await });
        assert!((&mut turn).now_or_never().is_none());
        turn
    }

    #[tokio::test]
    async fn who_gives_up_waiting_leaves_the_lane() {
        let lane = lane(2);
        let turn = QueryReads::new(lane.clone()).turn().await.ok();
        let other = QueryReads::new(lane.clone());
        let waiting = asked(&other);
        assert_eq!(lane.queries(), 2);
        drop(waiting);
        assert_eq!(lane.queries(), 1);
        drop(turn);
        assert_eq!(lane.queries(), 0);
        assert!(other.turn().await.is_ok());
    }

    #[tokio::test]
    async fn a_query_is_one_however_much_it_reads_and_refused_as_a_whole() {
        let lane = lane(2);
        let query = QueryReads::new(lane.clone());
        let turn = query.turn().await.ok();
        let others: Vec<_> = (0..WAITING)
            .map(|_| asked(&QueryReads::new(lane.clone())))
            .collect();
        let more: Vec<_> = (0..WAITING).map(|_| asked(&query)).collect();
        assert_eq!(lane.queries(), 1 + WAITING);
        let refused = QueryReads::new(lane.clone());
        assert!(refused.turn().await.is_err());
        drop((turn, more));
        // What it would read next is of no use to it, though there is room now.
        assert_eq!(lane.queries(), WAITING);
        assert!(refused.turn().await.is_err());
        // Who was let in comes back, though there is none.
        let another = asked(&QueryReads::new(lane.clone()));
        let next = asked(&query);
        assert_eq!(lane.queries(), 2 + WAITING);
        drop((others, another));
        assert!(next.await.is_ok());
    }

    #[tokio::test]
    async fn a_query_of_many_reads_leaves_turns_to_others() {
        let lane = lane(20);
        let greedy = QueryReads::new(lane.clone());
        let turns = [greedy.turn().await.ok(), greedy.turn().await.ok()];
        let third = asked(&greedy);
        assert!(QueryReads::new(lane.clone()).turn().await.is_ok());
        drop(turns);
        assert!(third.await.is_ok());
    }
}
