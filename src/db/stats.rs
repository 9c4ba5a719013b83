//! What a request costs in SQL: a counter that travels with the task.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use diesel::connection::{Instrumentation, InstrumentationEvent};

tokio::task_local! {
    /// The counter of the request that runs in this task; spawn with [`tokio::task::futures::TaskLocalFuture`]
    /// (`SQL_STATS.scope(stats, future)`) to count the work of another task to it.
    pub static SQL_STATS: Arc<SqlStats>;
}

/// Statements sent and the time they took; how many values read plans have written.
#[derive(Debug, Default)]
pub struct SqlStats {
    statements: AtomicU32,
    micros: AtomicU64,
    plans: AtomicU32,
}

impl SqlStats {
    /// How many statements were sent (`BEGIN` and `COMMIT` are not counted).
    pub fn statements(&self) -> u32 {
        self.statements.load(Relaxed)
    }

    /// How many values read plans have written (`graphql::plan`); their resolvers answered the others.
    pub fn plans(&self) -> u32 {
        self.plans.load(Relaxed)
    }

    /// How long they took together; more than the request's own time where they ran side by side.
    pub fn time(&self) -> Duration {
        Duration::from_micros(self.micros.load(Relaxed))
    }
}

/// Counts a value that a read plan has written to the request of this task.
pub fn plan_written() {
    let _ = SQL_STATS.try_with(|stats| stats.plans.fetch_add(1, Relaxed));
}

/// Reports a connection's statements to the task that sends them.
#[derive(Default)]
pub(super) struct Counter {
    started: Option<Instant>,
    under_way: Arc<AtomicBool>,
}

impl Counter {
    /// One that shows here whether a statement is under way; it still is where nobody waits for its end any more.
    pub(super) fn showing(under_way: Arc<AtomicBool>) -> Self {
        Self {
            started: None,
            under_way,
        }
    }
}

fn is_transaction_control(sql: &str) -> bool {
    ["BEGIN", "COMMIT", "ROLLBACK"]
        .iter()
        .any(|word| sql.starts_with(word))
}

impl Instrumentation for Counter {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartQuery { .. } => {
                self.under_way.store(true, Relaxed);
                self.started = Some(Instant::now());
            }
            InstrumentationEvent::FinishQuery { query, .. } => {
                self.under_way.store(false, Relaxed);
                let Some(started) = self.started.take() else {
                    return;
                };
                // Formatting costs more than counting, so it is done only where somebody counts.
                let _ = SQL_STATS.try_with(|stats| {
                    if !is_transaction_control(&query.to_string()) {
                        stats.statements.fetch_add(1, Relaxed);
                        let micros =
                            u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
                        stats.micros.fetch_add(micros, Relaxed);
                    }
                });
            }
            _ => {}
        }
    }
}

/// Counts the statements of a shared connection, on which there are no transactions; their time is [`timed`].
pub(super) struct SharedCounter;

impl Instrumentation for SharedCounter {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if let InstrumentationEvent::FinishQuery { .. } = event {
            let _ = SQL_STATS.try_with(|stats| stats.statements.fetch_add(1, Relaxed));
        }
    }
}

/// Counts the time of work on a shared connection, which knows of no statement's beginning and end.
pub(super) async fn timed<T>(work: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let outcome = work.await;
    let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let _ = SQL_STATS.try_with(|stats| stats.micros.fetch_add(micros, Relaxed));
    outcome
}
