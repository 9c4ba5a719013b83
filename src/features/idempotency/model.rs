//! Rows of `idempotency_keys`, and the advisory lock of a key.

use diesel::{prelude::*, sql_types::BigInt};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;

use crate::db::{Instant, ids::UserId, schema::idempotency_keys};

/// What an operation did under a key.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = idempotency_keys, check_for_backend(diesel::pg::Pg))]
pub(super) struct KeptOutcome {
    pub actor_id: UserId,
    pub operation: String,
    pub key: String,
    pub input_sha256: Vec<u8>,
    pub outcome: Value,
    pub created_at: Instant,
}

diesel::define_sql_function! {
    fn pg_try_advisory_xact_lock(number: BigInt) -> Bool;
}

/// Takes the lock until the transaction ends; false when another has it.
pub(super) async fn try_lock(conn: &mut AsyncPgConnection, number: i64) -> QueryResult<bool> {
    diesel::select(pg_try_advisory_xact_lock(number))
        .get_result(conn)
        .await
}

/// What was kept since `oldest`.
pub(super) async fn find(
    conn: &mut AsyncPgConnection,
    actor: UserId,
    operation: &str,
    key: &str,
    oldest: Instant,
) -> QueryResult<Option<KeptOutcome>> {
    idempotency_keys::table
        .find((actor, operation, key))
        .filter(idempotency_keys::created_at.gt(oldest))
        .select(KeptOutcome::as_select())
        .first(conn)
        .await
        .optional()
}

/// Keeps an outcome, over one that is too old to count.
pub(super) async fn upsert(conn: &mut AsyncPgConnection, kept: &KeptOutcome) -> QueryResult<()> {
    diesel::insert_into(idempotency_keys::table)
        .values(kept)
        .on_conflict((
            idempotency_keys::actor_id,
            idempotency_keys::operation,
            idempotency_keys::key,
        ))
        .do_update()
        .set((
            idempotency_keys::input_sha256.eq(&kept.input_sha256),
            idempotency_keys::outcome.eq(&kept.outcome),
            idempotency_keys::created_at.eq(kept.created_at),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Deletes what is older.
pub(super) async fn delete_before(
    conn: &mut AsyncPgConnection,
    before: Instant,
) -> QueryResult<usize> {
    diesel::delete(idempotency_keys::table.filter(idempotency_keys::created_at.le(before)))
        .execute(conn)
        .await
}
