//! Rows of `availabilities`.

use diesel::{dsl::exists, prelude::*};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use jiff::Timestamp;

use crate::{
    db::{
        Instant,
        ids::{AvailabilityId, ProviderId, UserId},
        schema::{availabilities, booking_proposals, bookings, held_times, providers},
    },
    error::violated_constraint,
    features::bookings::model::{State, StateAt, held::span},
};

/// A stretch of time in which a provider can be booked.
#[derive(Clone, Debug, PartialEq, Queryable, Selectable, Insertable)]
#[diesel(table_name = availabilities, check_for_backend(diesel::pg::Pg))]
pub struct Availability {
    /// Identity.
    pub id: AvailabilityId,
    /// Whose.
    pub provider_id: ProviderId,
    /// From when.
    pub starts_at: Instant,
    /// Until when.
    pub ends_at: Instant,
    /// When it was made.
    pub created_at: Instant,
}

/// A provider's profile as far as windows need it.
#[derive(Clone, Debug, Queryable)]
pub struct Owner {
    /// Identity.
    pub id: ProviderId,
    /// How far the application is.
    pub status: String,
}

/// Locks this person's profile and reads it.
pub async fn lock_owner(conn: &mut AsyncPgConnection, user: UserId) -> QueryResult<Option<Owner>> {
    providers::table
        .filter(providers::user_id.eq(user))
        .select((providers::id, providers::status))
        .for_no_key_update()
        .first(conn)
        .await
        .optional()
}

/// The windows of these providers that overlap `[from, to)`, by start.
pub async fn between(
    conn: &mut AsyncPgConnection,
    of: &[ProviderId],
    from: Timestamp,
    to: Timestamp,
) -> QueryResult<Vec<Availability>> {
    availabilities::table
        .filter(availabilities::provider_id.eq_any(of))
        .filter(availabilities::ends_at.gt(Instant(from)))
        .filter(availabilities::starts_at.lt(Instant(to)))
        .order((availabilities::starts_at, availabilities::id))
        .select(Availability::as_select())
        .load(conn)
        .await
}

/// The windows with these ids, in no order.
pub async fn by_ids(
    mut conn: &AsyncPgConnection,
    ids: &[AvailabilityId],
) -> QueryResult<Vec<Availability>> {
    availabilities::table
        .filter(availabilities::id.eq_any(ids))
        .select(Availability::as_select())
        .load(&mut conn)
        .await
}

/// A window of this provider.
pub async fn find_of(
    conn: &mut AsyncPgConnection,
    provider: ProviderId,
    id: AvailabilityId,
) -> QueryResult<Option<Availability>> {
    availabilities::table
        .find(id)
        .filter(availabilities::provider_id.eq(provider))
        .select(Availability::as_select())
        .first(conn)
        .await
        .optional()
}

/// Adds windows; false when one overlaps another, after which the transaction is spent.
pub async fn insert(conn: &mut AsyncPgConnection, windows: &[Availability]) -> QueryResult<bool> {
    let outcome = diesel::insert_into(availabilities::table)
        .values(windows)
        .execute(conn)
        .await;
    match outcome {
        Ok(_) => Ok(true),
        Err(error) if violated_constraint(&error) == Some("availabilities_no_overlap") => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether something that is not past its deadline (rule 8) holds time in this window.
pub async fn is_booked(
    conn: &mut AsyncPgConnection,
    window: &Availability,
    now: Timestamp,
) -> QueryResult<bool> {
    diesel::select(exists(
        held_times::table
            .inner_join(bookings::table.on(bookings::id.eq(held_times::booking_id)))
            .left_join(
                booking_proposals::table
                    .on(booking_proposals::id.nullable().eq(held_times::proposal_id)),
            )
            .filter(held_times::provider_id.eq(window.provider_id))
            .filter(held_times::exact.overlaps_with(span(*window.starts_at, *window.ends_at)))
            .filter(StateAt(Instant(now)).ne(State::Expired))
            .filter(
                held_times::proposal_id
                    .is_null()
                    .or(booking_proposals::answer_deadline
                        .gt(Instant(now))
                        .assume_not_null()),
            ),
    ))
    .get_result(conn)
    .await
}

/// Removes a window.
pub async fn delete(conn: &mut AsyncPgConnection, id: AvailabilityId) -> QueryResult<()> {
    diesel::delete(availabilities::table.find(id))
        .execute(conn)
        .await?;
    Ok(())
}
