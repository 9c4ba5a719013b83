//! Rows of `boundary_policies` and `boundary_acknowledgements`.

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::db::{
    Instant,
    ids::UserId,
    schema::{boundary_acknowledgements, boundary_policies},
};

/// A published version of the rules; never changes.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = boundary_policies, check_for_backend(diesel::pg::Pg))]
pub struct BoundaryPolicy {
    /// 1, 2, 3, …
    pub version: i32,
    /// The text, 1 to 20 000 characters.
    pub body: String,
    /// When it came into force.
    pub published_at: Instant,
    /// Who of staff published it; nobody for the one that came with the installation.
    pub published_by: Option<UserId>,
}

/// The version in force.
pub async fn current(mut conn: &AsyncPgConnection) -> QueryResult<Option<BoundaryPolicy>> {
    boundary_policies::table
        .order(boundary_policies::version.desc())
        .select(BoundaryPolicy::as_select())
        .first(&mut conn)
        .await
        .optional()
}

/// The version in force, and when this person acknowledged it.
pub async fn current_for(
    mut conn: &AsyncPgConnection,
    user: UserId,
) -> QueryResult<Option<(BoundaryPolicy, Option<Instant>)>> {
    let theirs = boundary_acknowledgements::version
        .eq(boundary_policies::version)
        .and(boundary_acknowledgements::user_id.eq(user));
    boundary_policies::table
        .left_join(boundary_acknowledgements::table.on(theirs))
        .order(boundary_policies::version.desc())
        .select((
            BoundaryPolicy::as_select(),
            boundary_acknowledgements::acknowledged_at.nullable(),
        ))
        .first(&mut conn)
        .await
        .optional()
}

/// Notes that a person acknowledged a version; false when they had before.
pub async fn acknowledge(
    conn: &mut AsyncPgConnection,
    user: UserId,
    version: i32,
    now: Instant,
) -> QueryResult<bool> {
    let inserted = diesel::insert_into(boundary_acknowledgements::table)
        .values((
            boundary_acknowledgements::user_id.eq(user),
            boundary_acknowledgements::version.eq(version),
            boundary_acknowledgements::acknowledged_at.eq(now),
        ))
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    Ok(inserted == 1)
}

/// Adds a version; a second one of the same number violates `boundary_policies_pkey`.
pub async fn insert(conn: &mut AsyncPgConnection, policy: &BoundaryPolicy) -> QueryResult<()> {
    diesel::insert_into(boundary_policies::table)
        .values(policy)
        .execute(conn)
        .await?;
    Ok(())
}
