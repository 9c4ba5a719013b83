//! Rows of `jobs`.

use diesel::{
    prelude::*,
    sql_types::{Nullable, Timestamptz},
    upsert::excluded,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use uuid::Uuid;

use super::Kind;
use crate::db::{Instant, ids::JobId, schema::jobs};

diesel::define_sql_function! {
    /// The earlier of two instants.
    fn least(a: Timestamptz, b: Timestamptz) -> Timestamptz;
}
diesel::define_sql_function! {
    /// The later of two instants.
    fn greatest(a: Timestamptz, b: Timestamptz) -> Timestamptz;
}
diesel::define_sql_function! {
    /// The earlier of two instants, of which NULL is none.
    #[sql_name = "least"]
    fn least_known(a: Nullable<Timestamptz>, b: Nullable<Timestamptz>) -> Nullable<Timestamptz>;
}

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
    pub lease: Option<Uuid>,
    pub next_run_at: Option<Instant>,
}

/// Adds a job; where there is one of its kind and key, asks for another run of that one.
///
/// Both ways the row is locked until the caller's transaction ends. A run that began before cannot have seen what the
/// caller wrote, so its end must find the wish; one that begins after finds it done.
pub(super) async fn insert(conn: &mut AsyncPgConnection, job: &Job) -> QueryResult<()> {
    diesel::insert_into(jobs::table)
        .values(job)
        .on_conflict((jobs::kind, jobs::dedupe_key))
        .do_update()
        .set((
            jobs::run_at.eq(least(jobs::run_at, excluded(jobs::run_at))),
            jobs::next_run_at.eq(least_known(
                jobs::next_run_at,
                greatest(jobs::run_at, excluded(jobs::run_at)).nullable(),
            )),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Adds those of these jobs of whose kind and key there is none.
pub(super) async fn insert_missing(conn: &mut AsyncPgConnection, new: &[Job]) -> QueryResult<()> {
    diesel::insert_into(jobs::table)
        .values(new)
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    Ok(())
}

/// Takes the next due job until `until`, under a lease of this name; workers pass over what others are taking, and over
/// kinds of a newer version.
pub(super) async fn take(
    conn: &mut AsyncPgConnection,
    now: Instant,
    until: Instant,
    lease: Uuid,
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
                    .filter(next.field(jobs::kind).eq_any(Kind::ALL))
                    .order((next.field(jobs::run_at), next.field(jobs::id)))
                    .limit(1)
                    .for_update()
                    .skip_locked()
                    .select(next.field(jobs::id)),
            ),
        )
        .set((
            jobs::locked_until.eq(until),
            jobs::lease.eq(lease),
            jobs::attempts.eq(jobs::attempts + 1),
            // This run sees all that was asked for until now.
            jobs::next_run_at.eq(diesel::dsl::case_when(
                jobs::next_run_at.gt(now),
                jobs::next_run_at,
            )),
        ))
        .returning(Job::as_returning())
        .get_result(conn)
        .await
        .optional()
}

/// Keeps a job until `until`; false when the lease has ended and another worker has it, or has done it.
pub(super) async fn renew(
    conn: &mut AsyncPgConnection,
    job: &Job,
    until: Instant,
) -> QueryResult<bool> {
    let renewed = diesel::update(jobs::table.find(job.id).filter(jobs::lease.eq(job.lease)))
        .set(jobs::locked_until.eq(until))
        .execute(conn)
        .await?;
    Ok(renewed == 1)
}

/// Removes a job that is done, if this lease still holds it; one that was asked for again meanwhile waits instead.
pub(super) async fn finish(conn: &mut AsyncPgConnection, job: &Job) -> QueryResult<()> {
    let held = jobs::table.find(job.id).filter(jobs::lease.eq(job.lease));
    let removed = diesel::delete(held.filter(jobs::next_run_at.is_null()))
        .execute(conn)
        .await?;
    if removed == 0 {
        diesel::update(held.filter(jobs::next_run_at.is_not_null()))
            .set((
                jobs::run_at.eq(jobs::next_run_at.assume_not_null()),
                jobs::next_run_at.eq(None::<Instant>),
                jobs::attempts.eq(0),
                jobs::locked_until.eq(None::<Instant>),
                jobs::lease.eq(None::<Uuid>),
                jobs::last_error.eq(None::<String>),
            ))
            .execute(conn)
            .await?;
    }
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
    diesel::update(jobs::table.find(job.id).filter(jobs::lease.eq(job.lease)))
        .set((
            jobs::run_at.eq(run_at),
            jobs::attempts.eq(attempts),
            jobs::locked_until.eq(None::<Instant>),
            jobs::lease.eq(None::<Uuid>),
            jobs::last_error.eq(error),
        ))
        .execute(conn)
        .await?;
    Ok(())
}
