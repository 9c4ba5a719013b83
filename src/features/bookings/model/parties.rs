//! What a booking needs to know of its two persons, the service and the windows, in one statement each.

use diesel::{dsl::exists, prelude::*};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::{
    db::{
        Instant,
        ids::{ProviderId, ServiceId, UserId},
        schema::{availabilities, provider_services, providers, services, users},
    },
    features::{
        catalog::model::ServiceStatus, providers::model::ProviderStatus, users::model::UserStatus,
    },
};

/// Whether a person is ACTIVE.
pub async fn is_active(conn: &mut AsyncPgConnection, user: UserId) -> QueryResult<bool> {
    diesel::select(exists(
        users::table
            .filter(users::id.eq(user))
            .filter(users::status.eq(UserStatus::Active)),
    ))
    .get_result(conn)
    .await
}

/// A provider's price for a service that can be booked.
#[derive(Clone, Debug, Queryable)]
pub struct Price {
    /// Who offers it.
    pub provider_id: ProviderId,
    /// What.
    pub service_id: ServiceId,
    /// In the currency's minor unit; 0 is free.
    pub price_minor: i64,
    /// ISO 4217's code.
    pub currency: String,
    /// How long a booking of it is.
    pub duration_minutes: i32,
}

/// The prices of these providers for these services that can be booked: an active price of an active service by an
/// approved provider whose person is ACTIVE.
pub async fn bookable_prices(
    conn: &mut AsyncPgConnection,
    of: &[ProviderId],
    services: &[ServiceId],
) -> QueryResult<Vec<Price>> {
    provider_services::table
        .inner_join(services::table.on(services::id.eq(provider_services::service_id)))
        .inner_join(providers::table.on(providers::id.eq(provider_services::provider_id)))
        .inner_join(users::table.on(users::id.eq(providers::user_id)))
        .filter(provider_services::provider_id.eq_any(of))
        .filter(provider_services::service_id.eq_any(services))
        .filter(provider_services::active)
        .filter(services::status.eq(ServiceStatus::Active))
        .filter(providers::status.eq(ProviderStatus::Approved))
        .filter(users::status.eq(UserStatus::Active))
        .select((
            provider_services::provider_id,
            provider_services::service_id,
            provider_services::price_minor,
            provider_services::currency,
            provider_services::duration_minutes,
        ))
        .load(conn)
        .await
}

/// The start of the provider's window in which this time lies wholly; nothing when there is none (rule 3).
pub async fn window_around(
    conn: &mut AsyncPgConnection,
    provider: ProviderId,
    start: Instant,
    end: Instant,
) -> QueryResult<Option<Instant>> {
    availabilities::table
        .filter(availabilities::provider_id.eq(provider))
        .filter(availabilities::starts_at.le(start))
        .filter(availabilities::ends_at.ge(end))
        .select(availabilities::starts_at)
        .first(conn)
        .await
        .optional()
}

/// Whether a provider is approved and its person ACTIVE.
pub async fn takes_bookings(
    conn: &mut AsyncPgConnection,
    provider: ProviderId,
) -> QueryResult<bool> {
    diesel::select(exists(
        providers::table
            .inner_join(users::table.on(users::id.eq(providers::user_id)))
            .filter(providers::id.eq(provider))
            .filter(providers::status.eq(ProviderStatus::Approved))
            .filter(users::status.eq(UserStatus::Active)),
    ))
    .get_result(conn)
    .await
}

/// The profile of a person, if there is one.
pub async fn provider_of(
    conn: &mut AsyncPgConnection,
    user: UserId,
) -> QueryResult<Option<ProviderId>> {
    providers::table
        .filter(providers::user_id.eq(user))
        .select(providers::id)
        .first(conn)
        .await
        .optional()
}
