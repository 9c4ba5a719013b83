//! What ties a person to others or to their work here.

use diesel::{dsl::exists, prelude::*};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::db::{
    ids::UserId,
    schema::{bookings, providers, reports, roles, user_blocks, user_roles},
};

/// Whether anything hangs on this account that would be lost with it: a profile, bookings (and with them orders and
/// reviews), reports by or about the person, blocks either way, or a role that an account doesn't come with.
pub async fn in_use(conn: &mut AsyncPgConnection, user: UserId) -> QueryResult<bool> {
    let other_roles = user_roles::table
        .inner_join(roles::table.on(roles::id.eq(user_roles::role_id)))
        .filter(user_roles::user_id.eq(user))
        .filter(roles::name.ne("USER"));
    let profile = providers::table.filter(providers::user_id.eq(user));
    let booked = bookings::table.filter(bookings::client_id.eq(user));
    let reported = reports::table.filter(reports::reporter_id.eq(user));
    let was_reported = reports::table.filter(reports::user_id.eq(user));
    let blocks = user_blocks::table.filter(user_blocks::blocker_id.eq(user));
    let is_blocked = user_blocks::table.filter(user_blocks::blocked_id.eq(user));
    diesel::select(
        exists(profile)
            .or(exists(booked))
            .or(exists(reported))
            .or(exists(was_reported))
            .or(exists(blocks))
            .or(exists(is_blocked))
            .or(exists(other_roles)),
    )
    .get_result(conn)
    .await
}
