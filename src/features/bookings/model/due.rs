//! What time does to bookings, in SQL: the state that everyone sees, what is past a deadline, what is ahead.

use diesel::{
    expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping},
    pg::Pg,
    prelude::*,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{Bool, Text, Timestamptz, Uuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{Booking, State};
use crate::db::{
    Instant,
    ids::{BookingId, ProviderId, UserId},
    schema::{bookings, held_times},
};

/// The state that everyone sees at an instant, in SQL: [`Booking::state_at`].
#[derive(Clone, Copy, Debug, QueryId, ValidGrouping)]
pub struct StateAt(pub Instant);

impl Expression for StateAt {
    type SqlType = Text;
}

impl<T> AppearsOnTable<T> for StateAt {}

impl<T> SelectableExpression<T> for StateAt {}

impl QueryFragment<Pg> for StateAt {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("(CASE WHEN bookings.state = 'REQUESTED' AND bookings.answer_deadline <= ");
        out.push_bind_param::<Timestamptz, _>(&self.0)?;
        out.push_sql(" OR bookings.state = 'ACCEPTED' AND bookings.payment_deadline <= ");
        out.push_bind_param::<Timestamptz, _>(&self.0)?;
        out.push_sql(" THEN 'EXPIRED' ELSE bookings.state END)");
        Ok(())
    }
}

/// Whether a row's deadline has passed: its own, or that of its open proposal. Stored states are tested first, so
/// that the indexes on due rows serve.
#[derive(Clone, Copy, Debug, QueryId, ValidGrouping)]
struct Overdue(Instant);

impl Expression for Overdue {
    type SqlType = Bool;
}

impl AppearsOnTable<bookings::table> for Overdue {}

impl QueryFragment<Pg> for Overdue {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("(bookings.state = 'REQUESTED' AND bookings.answer_deadline <= ");
        out.push_bind_param::<Timestamptz, _>(&self.0)?;
        out.push_sql(" OR bookings.state = 'ACCEPTED' AND bookings.payment_deadline <= ");
        out.push_bind_param::<Timestamptz, _>(&self.0)?;
        out.push_sql(
            " OR bookings.id = ANY (ARRAY(SELECT bp.booking_id FROM booking_proposals bp \
             WHERE bp.state = 'OPEN' AND bp.answer_deadline <= ",
        );
        out.push_bind_param::<Timestamptz, _>(&self.0)?;
        out.push_sql(")))");
        Ok(())
    }
}

/// Locks and reads what of these two has passed a deadline (rule 8), by id so that two such never wait for each
/// other. Only bookings that hold time can, so the search starts there.
pub async fn lock_overdue_of(
    conn: &mut AsyncPgConnection,
    client: UserId,
    provider: ProviderId,
    now: Instant,
) -> QueryResult<Vec<Booking>> {
    let theirs = held_times::table
        .filter(
            held_times::client_id
                .eq(client)
                .or(held_times::provider_id.eq(provider)),
        )
        .select(held_times::booking_id);
    bookings::table
        .filter(bookings::id.eq_any(theirs))
        .filter(Overdue(now))
        .order(bookings::id)
        .select(Booking::as_select())
        .for_no_key_update()
        .load(conn)
        .await
}

/// The statement of [`overdue`].
pub fn overdue_query(
    now: Instant,
    except: &[BookingId],
    limit: i64,
) -> impl Query<SqlType = Uuid> + QueryFragment<Pg> + QueryId + Send + 'static {
    bookings::table
        .filter(Overdue(now))
        .filter(bookings::id.ne_all(except.to_vec()))
        .select(bookings::id)
        .limit(limit)
}

/// Some bookings, but not these, whose deadline, or whose proposal's, has passed.
pub async fn overdue(
    conn: &mut AsyncPgConnection,
    now: Instant,
    except: &[BookingId],
    limit: i64,
) -> QueryResult<Vec<BookingId>> {
    overdue_query(now, except, limit).load(conn).await
}

/// Some bookings, but not these, that ended before this and are still CONFIRMED.
pub async fn unsettled(
    conn: &mut AsyncPgConnection,
    ended_before: Instant,
    except: &[BookingId],
    limit: i64,
) -> QueryResult<Vec<BookingId>> {
    bookings::table
        .filter(bookings::state.eq(State::Confirmed))
        .filter(bookings::id.ne_all(except))
        .filter(bookings::ends_at.le(ended_before))
        .order(bookings::ends_at)
        .select(bookings::id)
        .limit(limit)
        .load(conn)
        .await
}

/// The bookings of a person as client, or of a provider, that hold time and start after this.
pub async fn upcoming_of(
    conn: &mut AsyncPgConnection,
    client: Option<UserId>,
    provider: Option<ProviderId>,
    after: Instant,
) -> QueryResult<Vec<BookingId>> {
    let mut query = bookings::table
        .filter(bookings::state.eq_any([State::Requested, State::Accepted, State::Confirmed]))
        .filter(bookings::starts_at.gt(after))
        .order(bookings::id)
        .select(bookings::id)
        .into_boxed();
    if let Some(client) = client {
        query = query.filter(bookings::client_id.eq(client));
    }
    if let Some(provider) = provider {
        query = query.filter(bookings::provider_id.eq(provider));
    }
    query.load(conn).await
}
