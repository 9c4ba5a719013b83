//! Rows of `user_blocks`.

use diesel::{
    pg::Pg,
    prelude::*,
    sql_types::{Timestamptz, Uuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::{
    cursor::{LARGEST_COUNT, Page},
    db::{Instant, ids::UserId, keyset::Limited, schema::user_blocks},
    keyset,
};

/// That one person blocks another.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = user_blocks, check_for_backend(diesel::pg::Pg))]
pub struct UserBlock {
    /// Who blocks.
    pub blocker_id: UserId,
    /// Who is blocked.
    pub blocked_id: UserId,
    /// Since when.
    pub created_at: Instant,
}

/// The block in this direction.
pub async fn find(
    conn: &mut AsyncPgConnection,
    blocker: UserId,
    blocked: UserId,
) -> QueryResult<Option<UserBlock>> {
    user_blocks::table
        .find((blocker, blocked))
        .select(UserBlock::as_select())
        .first(conn)
        .await
        .optional()
}

/// Whether one of the two blocks the other.
pub async fn exists_between(
    conn: &mut AsyncPgConnection,
    one: UserId,
    other: UserId,
) -> QueryResult<bool> {
    let either = user_blocks::table.filter(
        (user_blocks::blocker_id
            .eq(one)
            .and(user_blocks::blocked_id.eq(other)))
        .or(user_blocks::blocker_id
            .eq(other)
            .and(user_blocks::blocked_id.eq(one))),
    );
    diesel::select(diesel::dsl::exists(either))
        .get_result(conn)
        .await
}

/// Adds a block.
pub async fn insert(conn: &mut AsyncPgConnection, block: &UserBlock) -> QueryResult<()> {
    diesel::insert_into(user_blocks::table)
        .values(block)
        .execute(conn)
        .await?;
    Ok(())
}

/// Takes a block back; false when there was none.
pub async fn delete(
    conn: &mut AsyncPgConnection,
    blocker: UserId,
    blocked: UserId,
) -> QueryResult<bool> {
    let deleted = diesel::delete(user_blocks::table.find((blocker, blocked)))
        .execute(conn)
        .await?;
    Ok(deleted == 1)
}

/// The values of a cursor of [`of_blocker`]: since when, and who.
pub type BlockKey = (Instant, UserId);

/// The statement of a list of blocks.
pub type ListQuery = Limited<
    user_blocks::BoxedQuery<
        'static,
        Pg,
        diesel::helper_types::SqlTypeOf<diesel::helper_types::AsSelect<UserBlock, Pg>>,
    >,
>;

/// The statement of [`of_blocker`].
pub fn of_blocker_query(blocker: UserId, page: &Page<BlockKey>) -> ListQuery {
    let query = user_blocks::table
        .filter(user_blocks::blocker_id.eq(blocker))
        .select(UserBlock::as_select())
        .into_boxed();
    keyset!(query, page, true, |(at, id)| (
        user_blocks::created_at: Timestamptz = at,
        user_blocks::blocked_id: Uuid = id,
    ))
}

/// Whom a person blocks, the newest first.
pub async fn of_blocker(
    conn: &mut AsyncPgConnection,
    blocker: UserId,
    page: &Page<BlockKey>,
) -> QueryResult<Vec<UserBlock>> {
    of_blocker_query(blocker, page).load(conn).await
}

/// How many a person blocks, up to one more than is told.
pub async fn count_of_blocker(conn: &mut AsyncPgConnection, blocker: UserId) -> QueryResult<i64> {
    let ids: Vec<UserId> = user_blocks::table
        .filter(user_blocks::blocker_id.eq(blocker))
        .select(user_blocks::blocked_id)
        .limit(LARGEST_COUNT + 1)
        .load(conn)
        .await?;
    Ok(i64::try_from(ids.len()).unwrap_or(i64::MAX))
}
