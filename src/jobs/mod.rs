//! Background work: a queue in PostgreSQL.
//!
//! A job is enqueued in the transaction of what it must follow, is taken by one worker at a time (`SKIP LOCKED` and a
//! lease that a dead worker loses), runs at least once, and is therefore written to do nothing the second time.
//! Deadlines of rows (bookings, checkouts, uploads) are found by sweeps, which are jobs that come back: see
//! [`Kind::sweep_every`]. In a job over many rows each is done by [`row`], so that one that fails keeps no other.

mod model;
pub mod worker;

use std::{fmt::Display, time::Duration};

use diesel_async::AsyncPgConnection;
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    app::App,
    db::{
        Instant,
        ids::{JobId, TypedId},
        retry_conflict,
    },
    error::{Error, Result},
    features::{
        accounts, bookings::service as bookings, limits::service as limits, media::sweep as media,
        payments::jobs as payments,
    },
    text_enum,
};

text_enum! {
    /// What there is to do in the background.
    pub enum Kind {
        /// Forgets idempotency keys after 24 h.
        ForgetIdempotencyKeys = "FORGET_IDEMPOTENCY_KEYS",
        /// Expires bookings and proposals past their deadline.
        ExpireBookings = "EXPIRE_BOOKINGS",
        /// Completes bookings 24 h after their end.
        CompleteBookings = "COMPLETE_BOOKINGS",
        /// Cancels what a suspended provider has ahead (`providerId`).
        CancelBookingsOfProvider = "CANCEL_BOOKINGS_OF_PROVIDER",
        /// Cancels what a suspended, deleted or erased person has ahead (`userId`).
        CancelBookingsOfUser = "CANCEL_BOOKINGS_OF_USER",
        /// Forgets uploads that never came and pictures that nobody uses.
        SweepMedia = "SWEEP_MEDIA",
        /// Removes a forgotten picture's file (its UUID).
        RemoveMediaFile = "REMOVE_MEDIA_FILE",
        /// Brings a refund to the payment gateway.
        CreateRefund = "CREATE_REFUND",
        /// Opens or ends a checkout session at the payment gateway.
        FinishCheckout = "FINISH_CHECKOUT",
        /// Enqueues what crashes left unfinished of checkouts and refunds.
        SweepPayments = "SWEEP_PAYMENTS",
        /// Removes sessions and refresh tokens that ended long ago.
        SweepSessions = "SWEEP_SESSIONS",
        /// Sends a mail.
        SendMail = "SEND_MAIL",
        /// Forgets codes by e-mail that count no longer.
        ForgetEmailCodes = "FORGET_EMAIL_CODES",
        /// Forgets buckets of limits that are full again.
        SweepLimits = "SWEEP_LIMITS",
    }
}

impl Kind {
    /// How often a job of this kind comes back by itself; nothing for one that is enqueued by an operation.
    pub fn sweep_every(self) -> Option<Duration> {
        match self {
            Self::ForgetIdempotencyKeys => Some(Duration::from_secs(3600)),
            Self::ExpireBookings => Some(Duration::from_secs(15)),
            Self::CompleteBookings => Some(Duration::from_secs(60)),
            Self::CancelBookingsOfProvider | Self::CancelBookingsOfUser => None,
            Self::SweepMedia => Some(Duration::from_secs(600)),
            Self::RemoveMediaFile => None,
            Self::SweepPayments => Some(Duration::from_secs(60)),
            Self::SweepSessions => Some(Duration::from_secs(3600)),
            Self::CreateRefund | Self::FinishCheckout => None,
            Self::SendMail => None,
            Self::ForgetEmailCodes => Some(Duration::from_secs(3600)),
            Self::SweepLimits => Some(Duration::from_secs(600)),
        }
    }
}

/// Does one job. `payload` is what [`enqueue`] was given.
async fn run(app: &App, kind: Kind, payload: &serde_json::Value) -> Result<()> {
    match kind {
        Kind::ExpireBookings => bookings::expire_all(app).await,
        Kind::CompleteBookings => bookings::complete_all(app).await,
        Kind::CancelBookingsOfProvider => {
            bookings::cancel_for_suspended_provider(app, id_in(payload, "providerId")?).await
        }
        Kind::CancelBookingsOfUser => {
            bookings::cancel_for_suspended_user(app, id_in(payload, "userId")?).await
        }
        Kind::SweepMedia => media::sweep(app).await,
        Kind::RemoveMediaFile => media::remove_file(app, payload).await,
        Kind::ForgetIdempotencyKeys => {
            let now = app.clock.now();
            crate::features::idempotency::forget_old(&mut *app.db.conn().await?, now).await?;
            Ok(())
        }
        Kind::CreateRefund => payments::create_refund(app, payload).await,
        Kind::FinishCheckout => payments::finish_checkout(app, payload).await,
        Kind::SweepPayments => payments::sweep(app).await,
        Kind::SweepSessions => accounts::sweep::sweep(app).await,
        Kind::SendMail => accounts::mail::send(app, payload).await,
        Kind::ForgetEmailCodes => accounts::codes::forget_old(app).await,
        Kind::SweepLimits => limits::sweep(app).await,
    }
}

/// The typed id under this name in a job's payload.
fn id_in<T: TypedId>(payload: &serde_json::Value, name: &str) -> Result<T> {
    payload
        .get(name)
        .and_then(serde_json::Value::as_str)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Error::internal(format!("a job without {name}")))
}

/// Enqueues a job in the caller's transaction, to run at `run_at`.
///
/// `dedupe_key` names the work (an id, say). Where a job of this kind and key waits, another is not added, and it runs
/// at `run_at` at the latest; where one runs, it runs once more, because it may not have seen what the caller wrote.
pub async fn enqueue(
    conn: &mut AsyncPgConnection,
    app: &App,
    kind: Kind,
    dedupe_key: &str,
    payload: &impl Serialize,
    run_at: Timestamp,
) -> Result<()> {
    let job = new_job(app, kind, dedupe_key, payload, run_at)?;
    Ok(model::insert(conn, &job).await?)
}

/// Enqueues a job to run now, unless one of this kind and key waits or runs: for sweeps, which look again anyway and
/// must not hurry a job that waits after a failure.
pub async fn ensure(
    conn: &mut AsyncPgConnection,
    app: &App,
    kind: Kind,
    dedupe_key: &str,
    payload: &impl Serialize,
) -> Result<()> {
    let job = new_job(app, kind, dedupe_key, payload, app.clock.now())?;
    Ok(model::insert_missing(conn, &[job]).await?)
}

/// Makes sure that every sweep is in the queue.
pub async fn schedule_sweeps(app: &App) -> Result<()> {
    let now = app.clock.now();
    let sweeps = Kind::ALL
        .iter()
        .filter(|kind| kind.sweep_every().is_some())
        .map(|kind| new_job(app, *kind, "sweep", &serde_json::Value::Null, now))
        .collect::<Result<Vec<_>>>()?;
    Ok(model::insert_missing(&mut *app.db.conn().await?, &sweeps).await?)
}

fn new_job(
    app: &App,
    kind: Kind,
    dedupe_key: &str,
    payload: &impl Serialize,
    run_at: Timestamp,
) -> Result<model::Job> {
    let payload = serde_json::to_value(payload).map_err(Error::internal)?;
    let now = app.clock.now();
    Ok(model::Job {
        id: JobId(app.entropy.uuid_v7(now)),
        kind,
        dedupe_key: dedupe_key.to_owned(),
        payload,
        run_at: Instant(run_at),
        attempts: 0,
        locked_until: None,
        last_error: None,
        created_at: Instant(now),
        lease: None,
        next_run_at: None,
    })
}

/// Does one row of a job over many, again where another transaction was in the way. What fails is logged and counted,
/// and answers nothing: the job goes on with the others.
///
/// Errors: only `UNAVAILABLE`, when no other row would fare better.
pub async fn row<T, F: Future<Output = Result<T>>>(
    kind: Kind,
    row: impl Display,
    work: impl FnMut() -> F,
) -> Result<Option<T>> {
    match retry_conflict(work).await {
        Ok(done) => Ok(Some(done)),
        Err(error @ Error::Unavailable { .. }) => Err(error),
        Err(error) => {
            tracing::error!(%kind, %row, %error, "a row of a job failed");
            metrics::counter!("companion_job_rows_failed_total", "kind" => kind.as_str())
                .increment(1);
            Ok(None)
        }
    }
}
