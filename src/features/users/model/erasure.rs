//! What is taken out of the tables when a person is deleted.

use diesel::{dsl::exists, prelude::*};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::db::{
    Instant,
    ids::{SessionId, UserId},
    schema::{booking_events, bookings, orders, refunds, sessions, user_blocks, user_roles, users},
};

/// The sides of a booking that are people of their own; the reasons of the others are staff's and the server's.
const PARTIES: [&str; 2] = ["CLIENT", "PROVIDER"];

/// A session as it was: which, when it would have ended, and whether it was ended before.
type Ended = (SessionId, Instant, Option<Instant>);

/// Forgets what signs a person in, and what they typed where only they and one other read it. Answers which sessions
/// ended by it that lived at `now`.
pub async fn erase(
    conn: &mut AsyncPgConnection,
    id: UserId,
    now: Instant,
) -> QueryResult<Vec<SessionId>> {
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
    let gone: Vec<Ended> = diesel::delete(sessions::table.filter(sessions::user_id.eq(id)))
        .returning((sessions::id, sessions::expires_at, sessions::revoked_at))
        .get_results(conn)
        .await?;
    diesel::delete(user_blocks::table.filter(user_blocks::blocker_id.eq(id)))
        .execute(conn)
        .await?;
    diesel::delete(user_roles::table.filter(user_roles::user_id.eq(id)))
        .execute(conn)
        .await?;
    erase_reasons(conn, id).await?;
    let lived = gone.into_iter();
    let lived =
        lived.filter(|(_, expires_at, revoked_at)| *expires_at > now && revoked_at.is_none());
    Ok(lived.map(|(id, ..)| id).collect())
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
