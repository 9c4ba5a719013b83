//! Rows of `rate_limits`: when a bucket is full again, for all copies of the server.

use diesel::{
    pg::Pg,
    prelude::*,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{Array, BigInt, Binary, Bool, Timestamptz},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::bucket::Charge;
use crate::db::{Instant, schema::rate_limits};

/// How a bucket was found.
#[derive(Clone, Copy, Debug, Queryable)]
pub(super) struct Found {
    /// How far it was from full, in microseconds.
    pub ahead: i64,
    /// Whether all buckets had what was asked of them, and so were taken from.
    pub taken: bool,
}

/// The statement, in one round trip and prepared once for a connection, which `sql_query` is not.
#[derive(Debug, QueryId)]
struct Take {
    keys: Vec<Vec<u8>>,
    costs: Vec<i64>,
    windows: Vec<i64>,
    now: Instant,
}

impl Query for Take {
    type SqlType = (BigInt, Bool);
}

impl QueryFragment<Pg> for Take {
    // Rows that are there are locked first, in the order of their keys, and read as they are then; the numbers of the
    // rows that are written come from that. One that somebody else makes meanwhile was not locked, and stays as it is:
    // then the statement fails as a conflict and takes nothing.
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("WITH wanted AS (SELECT n, key, cost * interval '1 microsecond' AS cost, size * interval '1 microsecond' AS size, now FROM unnest(");
        out.push_bind_param::<Array<Binary>, _>(&self.keys)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.costs)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.windows)?;
        out.push_sql(") WITH ORDINALITY AS t (key, cost, size, n), (SELECT ");
        out.push_bind_param::<Timestamptz, _>(&self.now)?;
        out.push_sql(
            "::timestamptz AS now) AS clock),
            held AS MATERIALIZED (SELECT key, full_at FROM rate_limits WHERE key = ANY (",
        );
        out.push_bind_param::<Array<Binary>, _>(&self.keys)?;
        out.push_sql(
            ") ORDER BY key FOR UPDATE),
            found AS MATERIALIZED (
                SELECT n, key, cost, size, now, least(greatest(coalesce(full_at, now), now), now + size) AS full_at
                FROM wanted LEFT JOIN held USING (key)),
            verdict AS MATERIALIZED (SELECT bool_and(full_at + cost <= now + size) AS fits FROM found),
            taken AS (
                INSERT INTO rate_limits AS kept (key, full_at)
                SELECT key, full_at + cost FROM found, verdict WHERE fits ORDER BY key
                ON CONFLICT (key) DO UPDATE SET full_at = excluded.full_at
                WHERE EXISTS (SELECT FROM held WHERE held.key = kept.key)
                RETURNING key)
            SELECT (extract(epoch FROM found.full_at - now) * 1000000)::bigint,
                CASE WHEN fits AND taken.key IS NULL THEN bucket_made_meanwhile() ELSE fits END
            FROM found CROSS JOIN verdict LEFT JOIN taken USING (key) ORDER BY n",
        );
        Ok(())
    }
}

/// Takes all of it or nothing, at `now`; answers how each bucket was found, in their order. A conflict where one of them was
/// made by another in this very moment.
pub(super) async fn take(
    conn: &mut AsyncPgConnection,
    charges: &[Charge],
    now: Instant,
) -> QueryResult<Vec<Found>> {
    let take = Take {
        keys: charges.iter().map(|charge| charge.key.to_vec()).collect(),
        costs: charges.iter().map(Charge::micros).collect(),
        windows: charges.iter().map(|charge| charge.rate.micros()).collect(),
        now,
    };
    take.load(conn).await
}

/// Forgets buckets that were full before `before`, about `most` of them; answers how many. One that is locked stays.
pub(super) async fn forget(
    conn: &mut AsyncPgConnection,
    before: Instant,
    most: usize,
) -> QueryResult<usize> {
    let full = diesel::alias!(rate_limits as full);
    diesel::delete(
        rate_limits::table.filter(
            rate_limits::key.eq_any(
                full.filter(full.field(rate_limits::full_at).lt(before))
                    .limit(i64::try_from(most).unwrap_or(i64::MAX))
                    .for_update()
                    .skip_locked()
                    .select(full.field(rate_limits::key)),
            ),
        ),
    )
    .execute(conn)
    .await
}
