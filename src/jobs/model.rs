//! Rows of `jobs`.

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;

use super::Kind;
use crate::db::{Instant, ids::JobId, schema::jobs};

/// A job that waits or is at work.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = jobs, check_for_backend(diesel::pg::Pg))]
pub(super) struct Job {
    pub id: JobId,
    pub kind: Kind,
    pub dedupe_key: String,
    pub payload: Value,
    pub run_at: Instant,
    pub attempts: i32,
    pub locked_until: Option<Instant>,
    pub last_error: Option<String>,
    pub created_at: Instant,
}

/// Adds a job unless one of its kind and key waits.
pub(super) async fn insert(conn: &mut AsyncPgConnection, job: &Job) -> QueryResult<()> {
    diesel::insert_into(jobs::table)
        .values(job)
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    Ok(())
}

/// Takes the next due job until `lease`; workers pass over what others are taking.
pub(super) async fn take(
    conn: &mut AsyncPgConnection,
    now: Instant,
    lease: Instant,
) -> QueryResult<Option<Job>> {
    let next = diesel::alias!(jobs as next);
    diesel::update(jobs::table)
        .filter(
            jobs::id.eq_any(
                next.filter(next.field(jobs::run_at).le(now))
                    .filter(
                        next.field(jobs::locked_until)
                            .is_null()
                            .or(next.field(jobs::locked_until).le(now)),
                    )
                    .order((next.field(jobs::run_at), next.field(jobs::id)))
                    .limit(1)
                    .for_update()
                    .skip_locked()
                    .select(next.field(jobs::id)),
            ),
        )
        .set((
            jobs::locked_until.eq(lease),
            jobs::attempts.eq(jobs::attempts + 1),
        ))
        .returning(Job::as_returning())
        .get_result(conn)
        .await
        .optional()
}

/// Removes a job that is done, if this lease still holds it.
pub(super) async fn finish(conn: &mut AsyncPgConnection, job: &Job) -> QueryResult<()> {
    diesel::delete(
        jobs::table
            .filter(jobs::id.eq(job.id))
            .filter(jobs::attempts.eq(job.attempts)),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Puts a job back for later, if this lease still holds it.
pub(super) async fn put_back(
    conn: &mut AsyncPgConnection,
    job: &Job,
    run_at: Instant,
    attempts: i32,
    error: Option<&str>,
) -> QueryResult<()> {
    diesel::update(
        jobs::table
            .filter(jobs::id.eq(job.id))
            .filter(jobs::attempts.eq(job.attempts)),
    )
    .set((
        jobs::run_at.eq(run_at),
        jobs::attempts.eq(attempts),
        jobs::locked_until.eq(None::<Instant>),
        jobs::last_error.eq(error),
    ))
    .execute(conn)
    .await?;
    Ok(())
}
