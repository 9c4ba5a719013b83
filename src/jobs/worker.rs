//! The worker: takes due jobs until told to stop.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    model::{self, Job},
    run, schedule_sweeps,
};
use crate::{app::App, db::Instant, error::Result};

/// A failed job waits 2^attempts seconds, at most this.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(15);
/// A failed sweep waits no longer than this, or than its own rhythm: others wait for what it does.
const LONGEST_SWEEP_WAIT: SignedDuration = SignedDuration::from_mins(1);
/// After so many attempts, which take a day, a job is parked.
const MOST_ATTEMPTS: i32 = 100;
/// A parked job is tried this often, and when somebody asks for it anew.
const PARKED: SignedDuration = SignedDuration::from_hours(24);
/// How often a worker makes sure that every sweep is in the queue.
const SCHEDULE_EVERY: SignedDuration = SignedDuration::from_mins(1);
/// How long jobs that were cut off may take to be put back.
const PUT_BACK: Duration = Duration::from_secs(2);

/// How a worker goes about its work.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How many jobs it does at once.
    pub lanes: usize,
    /// How long it may be silent about a job before another worker takes it.
    pub lease: SignedDuration,
    /// How often it says that it is still at a job; several times a lease.
    pub renew: Duration,
    /// How long it waits for the next job when none is due.
    pub poll: Duration,
    /// How long jobs that run when it is told to stop may go on.
    pub grace: Duration,
}

impl Pace {
    /// That of the settings. A stop ends before a service manager loses its patience, 40 s in what we deliver.
    pub fn of(app: &App) -> Self {
        Self {
            lanes: 4,
            lease: SignedDuration::from_mins(2),
            renew: Duration::from_secs(30),
            poll: app.config.worker_poll,
            grace: Duration::from_secs(25),
        }
    }
}

/// What became of a job's run.
enum Outcome {
    Done,
    Failed(String),
    /// The worker stops and waits no longer.
    CutOff,
    /// The lease ended, and another worker has the job.
    Lost,
}

async fn take(app: &App, pace: Pace) -> Result<Option<Job>> {
    let now = app.clock.now();
    let until = Instant(now + pace.lease);
    let lease = app.entropy.uuid_v7(now);
    let mut conn = app.db.conn().await?;
    Ok(model::take(&mut conn, Instant(now), until, lease).await?)
}

/// Runs a job in a task of its own, so that a panic fails the job and not the worker, and keeps its lease meanwhile.
async fn carry_out(
    app: &App,
    job: &Job,
    pace: Pace,
    cut_off: &mut watch::Receiver<bool>,
) -> Outcome {
    // A set aborts what is in it when it is dropped.
    let mut task = JoinSet::new();
    let (worker_app, kind, payload) = (app.clone(), job.kind, job.payload.clone());
    task.spawn(async move { run(&worker_app, kind, &payload).await });
    loop {
        tokio::select! {
            Some(ended) = task.join_next() => return match ended {
                Ok(Ok(())) => Outcome::Done,
                Ok(Err(error)) => Outcome::Failed(error.to_string()),
                Err(panic) => Outcome::Failed(panic.to_string()),
            },
            () = turned(cut_off) => {
                task.shutdown().await;
                return Outcome::CutOff;
            }
            () = sleep(pace.renew) => match renew(app, job, pace).await {
                Ok(true) => {}
                Ok(false) => {
                    task.shutdown().await;
                    return Outcome::Lost;
                }
                Err(error) => tracing::warn!(job = %job.id, %error, "a job's lease was not renewed"),
            },
        }
    }
}

async fn renew(app: &App, job: &Job, pace: Pace) -> Result<bool> {
    let until = Instant(app.clock.now() + pace.lease);
    Ok(model::renew(&mut *app.db.conn().await?, job, until).await?)
}

/// Writes down what became of a job.
async fn settle(app: &App, job: &Job, outcome: Outcome) -> Result<()> {
    let now = app.clock.now();
    let (run_at, attempts, error) = match outcome {
        Outcome::Done => match job.kind.sweep_every() {
            None => return Ok(model::finish(&mut *app.db.conn().await?, job).await?),
            Some(every) => (now + rhythm(every), 0, None),
        },
        Outcome::Failed(error) => (now + wait_after(job, &error), job.attempts, Some(error)),
        Outcome::CutOff => {
            tracing::warn!(job = %job.id, kind = %job.kind, "a job was cut off by the stop");
            (now, job.attempts.saturating_sub(1), None)
        }
        Outcome::Lost => {
            tracing::warn!(job = %job.id, kind = %job.kind, "another worker has this job");
            return Ok(());
        }
    };
    let mut conn = app.db.conn().await?;
    let error = error.as_deref();
    Ok(model::put_back(&mut conn, job, Instant(run_at), attempts, error).await?)
}

/// Tells of a failure, and answers when to try again.
fn wait_after(job: &Job, error: &str) -> SignedDuration {
    let (kind, attempts) = (job.kind, job.attempts);
    tracing::error!(job = %job.id, %kind, attempts, %error, "job failed");
    metrics::counter!("companion_jobs_failed_total", "kind" => kind.as_str()).increment(1);
    let exponent = u32::try_from(attempts).unwrap_or(0).min(10);
    let wait = SignedDuration::from_secs(1i64 << exponent);
    if let Some(every) = kind.sweep_every() {
        return wait.min(rhythm(every).max(LONGEST_SWEEP_WAIT));
    }
    if attempts >= MOST_ATTEMPTS {
        tracing::error!(job = %job.id, %kind, "job parked: it is tried once a day from now on");
        metrics::counter!("companion_jobs_parked_total", "kind" => kind.as_str()).increment(1);
        return PARKED;
    }
    wait.min(LONGEST_WAIT)
}

fn rhythm(every: Duration) -> SignedDuration {
    SignedDuration::try_from(every).unwrap_or(LONGEST_WAIT)
}

async fn do_one(app: App, job: Job, pace: Pace, mut cut_off: watch::Receiver<bool>) {
    let outcome = carry_out(&app, &job, pace, &mut cut_off).await;
    // Where this fails the lease ends by itself, and the job is done again.
    if let Err(error) = settle(&app, &job, outcome).await {
        tracing::error!(job = %job.id, kind = %job.kind, %error, "a job's end was not written");
    }
}

/// Does everything that is due now, one after the other; answers how many jobs that were.
pub async fn run_due(app: &App) -> Result<usize> {
    let pace = Pace::of(app);
    let (never, cut_off) = watch::channel(false);
    schedule_sweeps(app).await?;
    let mut done = 0;
    while let Some(job) = take(app, pace).await? {
        do_one(app.clone(), job, pace, cut_off.clone()).await;
        done += 1;
    }
    drop(never);
    Ok(done)
}

/// Works until `stop` turns true. Then takes no more jobs, lets those that run finish for a while, and puts back what
/// does not: see [`Pace::grace`].
pub async fn work(app: App, stop: watch::Receiver<bool>) {
    let pace = Pace::of(&app);
    work_at(app, stop, pace).await;
}

/// The same at a pace of one's own.
pub async fn work_at(app: App, mut stop: watch::Receiver<bool>, pace: Pace) {
    let (cut, cut_off) = watch::channel(false);
    let mut running = JoinSet::new();
    let mut schedule_at = app.clock.now();
    while !*stop.borrow() {
        let now = app.clock.now();
        let more = async {
            if now >= schedule_at {
                schedule_sweeps(&app).await?;
                schedule_at = now + SCHEDULE_EVERY;
            }
            if running.len() >= pace.lanes {
                return Ok(None);
            }
            take(&app, pace).await
        };
        let pause = match more.await {
            Ok(Some(job)) => {
                running.spawn(do_one(app.clone(), job, pace, cut_off.clone()));
                continue;
            }
            Ok(None) => pace.poll,
            Err(error) => {
                tracing::warn!(%error, "the job queue does not answer");
                pace.poll.max(Duration::from_secs(1))
            }
        };
        tokio::select! {
            () = sleep(pause) => {}
            // A lane is free.
            Some(_) = running.join_next() => {}
            () = turned(&mut stop) => {}
        }
        // Those that ended before their lane was needed.
        while running.try_join_next().is_some() {}
    }
    if timeout(pace.grace, finish(&mut running)).await.is_err() {
        cut.send_replace(true);
        if timeout(PUT_BACK, finish(&mut running)).await.is_err() {
            tracing::error!(
                "stopped with jobs still running: others do them when their leases end"
            );
        }
    }
}

/// Ready when the flag is true; never when nobody holds it any more.
async fn turned(flag: &mut watch::Receiver<bool>) {
    let turned = flag.wait_for(|flag| *flag).await.is_ok();
    if !turned {
        std::future::pending().await
    }
}

async fn finish(running: &mut JoinSet<()>) {
    while running.join_next().await.is_some() {}
}
