//! What is taken out of the tables when a person is deleted.

use diesel::{dsl::exists, prelude::*};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::db::{
    ids::UserId,
    schema::{booking_events, bookings, orders, refunds, sessions, user_blocks, user_roles, users},
};

/// The sides of a booking that are people of their own; the reasons of the others are staff's and the server's.
const PARTIES: [&str; 2] = ["CLIENT", "PROVIDER"];

/// Forgets what signs a person in, and what they typed where only they and one other read it.
pub async fn erase(conn: &mut AsyncPgConnection, id: UserId) -> QueryResult<()> {
    diesel::update(users::table.find(id))
        .set((
            users::telegram_id.eq(None::<i64>),
            users::telegram_username.eq(None::<String>),
            users::password_hash.eq(None::<String>),
        ))
        .execute(conn)
        .await?;
    diesel::update(bookings::table.filter(bookings::client_id.eq(id)))
        .set(bookings::note.eq(""))
        .execute(conn)
        .await?;
    diesel::delete(sessions::table.filter(sessions::user_id.eq(id)))
        .execute(conn)
        .await?;
    diesel::delete(user_blocks::table.filter(user_blocks::blocker_id.eq(id)))
        .execute(conn)
        .await?;
    diesel::delete(user_roles::table.filter(user_roles::user_id.eq(id)))
        .execute(conn)
        .await?;
    erase_reasons(conn, id).await
}

/// Takes away why a person called a booking off, rejected it or moved it: from its history, and from the booking and
/// the refund that took the reason over. What happened, and when, stays.
async fn erase_reasons(conn: &mut AsyncPgConnection, id: UserId) -> QueryResult<()> {
    let typed = || {
        booking_events::table
            .filter(booking_events::actor_id.eq(id))
            .filter(booking_events::actor_side.eq_any(PARTIES))
    };
    let of_booking = typed()
        .filter(booking_events::booking_id.eq(bookings::id))
        .filter(booking_events::reason.eq(bookings::reason));
    diesel::update(bookings::table.filter(exists(of_booking)))
        .set(bookings::reason.eq(None::<String>))
        .execute(conn)
        .await?;
    let of_refund = orders::table
        .inner_join(booking_events::table.on(booking_events::booking_id.eq(orders::booking_id)))
        .filter(orders::id.eq(refunds::order_id))
        .filter(booking_events::actor_id.eq(id))
        .filter(booking_events::actor_side.eq_any(PARTIES))
        .filter(booking_events::reason.eq(refunds::reason.nullable()));
    diesel::update(refunds::table.filter(exists(of_refund)))
        .set(refunds::reason.eq(""))
        .execute(conn)
        .await?;
    diesel::update(typed().filter(booking_events::reason.is_not_null()))
        .set(booking_events::reason.eq(None::<String>))
        .execute(conn)
        .await?;
    Ok(())
}
