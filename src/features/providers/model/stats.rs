//! Figures of providers.

use diesel::{dsl::count_star, prelude::*};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::db::{
    ids::ProviderId,
    schema::{bookings, reviews},
};

/// How many bookings a provider has completed.
#[derive(Clone, Debug, Queryable)]
pub struct CompletedBookings {
    /// The provider.
    pub provider_id: ProviderId,
    /// How many.
    pub count: i64,
}

/// How often a provider was given a rating.
#[derive(Clone, Debug, Queryable)]
pub struct RatingCount {
    /// The provider.
    pub provider_id: ProviderId,
    /// 1 to 5.
    pub rating: i32,
    /// How many visible reviews give it.
    pub count: i64,
}

/// The completed bookings of these providers; those without any are left out.
pub async fn completed_bookings(
    mut conn: &AsyncPgConnection,
    providers: &[ProviderId],
) -> QueryResult<Vec<CompletedBookings>> {
    bookings::table
        .filter(bookings::provider_id.eq_any(providers))
        .filter(bookings::state.eq("COMPLETED"))
        .group_by(bookings::provider_id)
        .select((bookings::provider_id, count_star()))
        .load(&mut conn)
        .await
}

/// The visible reviews of these providers by rating, the best first.
pub async fn rating_counts(
    mut conn: &AsyncPgConnection,
    providers: &[ProviderId],
) -> QueryResult<Vec<RatingCount>> {
    reviews::table
        .filter(reviews::provider_id.eq_any(providers))
        .filter(reviews::visible)
        .group_by((reviews::provider_id, reviews::rating))
        .order(reviews::rating.desc())
        .select((reviews::provider_id, reviews::rating, count_star()))
        .load(&mut conn)
        .await
}
