//! The worker: takes due jobs until told to stop.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::watch;

use super::{model, run, schedule_sweeps};
use crate::{app::App, db::Instant, error::Result};

/// How long a worker may be silent before another takes its job.
const LEASE: SignedDuration = SignedDuration::from_mins(2);
/// A failed job waits 2^attempts seconds, at most this.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(15);

/// Does one due job; false when there is none.
pub async fn run_one(app: &App) -> Result<bool> {
    let now = app.clock.now();
    let taken = model::take(
        &mut *app.db.conn().await?,
        Instant(now),
        Instant(now + LEASE),
    )
    .await?;
    let Some(job) = taken else { return Ok(false) };
    // In a task of its own, so that a panic fails the job and not the worker.
    let (worker_app, kind, payload) = (app.clone(), job.kind, job.payload.clone());
    let outcome = match tokio::spawn(async move { run(&worker_app, kind, &payload).await }).await {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(panic) => Err(panic.to_string()),
    };
    let mut conn = app.db.conn().await?;
    match (outcome, job.kind.sweep_every()) {
        (Ok(()), None) => model::finish(&mut conn, &job).await?,
        (Ok(()), Some(every)) => {
            let every = SignedDuration::try_from(every).unwrap_or(LONGEST_WAIT);
            model::put_back(&mut conn, &job, Instant(now + every), 0, None).await?;
        }
        (Err(error), _) => {
            tracing::error!(job = %job.id, kind = %job.kind, attempts = job.attempts, %error, "job failed");
            metrics::counter!("companion_jobs_failed_total", "kind" => job.kind.as_str())
                .increment(1);
            let exponent = u32::try_from(job.attempts).unwrap_or(0).min(10);
            let wait = SignedDuration::from_secs(1i64 << exponent).min(LONGEST_WAIT);
            model::put_back(
                &mut conn,
                &job,
                Instant(now + wait),
                job.attempts,
                Some(&error),
            )
            .await?;
        }
    }
    Ok(true)
}

/// Does everything that is due now; answers how many jobs that were.
pub async fn run_due(app: &App) -> Result<usize> {
    schedule_sweeps(app).await?;
    let mut done = 0;
    while run_one(app).await? {
        done += 1;
    }
    Ok(done)
}

/// Works until `stop` turns true; a job that is under way is finished first.
pub async fn work(app: App, mut stop: watch::Receiver<bool>) {
    let poll = app.config.worker_poll;
    while !*stop.borrow() {
        let pause = match run_due(&app).await {
            Ok(_) => poll,
            Err(error) => {
                tracing::warn!(%error, "the job queue does not answer");
                poll.max(Duration::from_secs(1))
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.changed() => {}
        }
    }
}
