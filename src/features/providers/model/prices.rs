//! Rows of `provider_services`: a provider's price and duration for a service.

use std::sync::Arc;

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::{
    db::{
        Instant,
        ids::{ProviderId, ProviderServiceId, ServiceId},
        schema::{provider_services, services},
    },
    features::catalog::model::{Service, ServiceCard, ServiceStatus},
};

/// A provider's price for a service.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = provider_services, check_for_backend(diesel::pg::Pg))]
pub struct ProviderService {
    /// Identity.
    pub id: ProviderServiceId,
    /// Who offers it.
    pub provider_id: ProviderId,
    /// What is offered.
    pub service_id: ServiceId,
    /// In the currency's minor unit; 0 is free.
    pub price_minor: i64,
    /// ISO 4217's code.
    pub currency: String,
    /// How long a booking of it is, 15 to 1 440.
    pub duration_minutes: i32,
    /// Whether it can be booked.
    pub active: bool,
    /// Counts the edits.
    pub version: i32,
    /// When it was first set.
    pub created_at: Instant,
    /// When it was last set.
    pub updated_at: Instant,
}

/// What a list shows of a price.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = provider_services, check_for_backend(diesel::pg::Pg))]
pub struct PriceCard {
    /// Identity.
    pub id: ProviderServiceId,
    /// Who offers it.
    pub provider_id: ProviderId,
    /// In the currency's minor unit; 0 is free.
    pub price_minor: i64,
    /// ISO 4217's code.
    pub currency: String,
    /// How long a booking of it is.
    pub duration_minutes: i32,
    /// Whether it can be booked.
    pub active: bool,
}

/// What a list shows of a price with its service.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(check_for_backend(diesel::pg::Pg))]
pub struct PricedCard {
    /// The price.
    #[diesel(embed)]
    pub price: PriceCard,
    /// The service.
    #[diesel(embed)]
    pub service: ServiceCard,
}

impl PricedCard {
    /// As [`PricedService::is_open`].
    pub fn is_open(&self) -> bool {
        is_open(self.price.active, self.service.status)
    }
}

/// A price with its service.
#[derive(Clone, Debug)]
pub struct PricedService {
    /// The price.
    pub price: ProviderService,
    /// The service.
    pub service: Arc<Service>,
}

impl PricedService {
    /// Whether everyone may know of it and book it.
    pub fn is_open(&self) -> bool {
        is_open(self.price.active, self.service.status)
    }

    fn of((price, service): (ProviderService, Service)) -> Self {
        Self {
            price,
            service: Arc::new(service),
        }
    }
}

fn is_open(active: bool, status: ServiceStatus) -> bool {
    active && status == ServiceStatus::Active
}

/// Prices with their services, those of these providers, by the service's title.
#[diesel::dsl::auto_type(no_type_alias)]
fn offered_by<'a>(providers: &'a [ProviderId]) -> _ {
    provider_services::table
        .inner_join(services::table.on(services::id.eq(provider_services::service_id)))
        .filter(provider_services::provider_id.eq_any(providers))
        .order((services::title, provider_services::id))
}

/// What a list shows of [`prices_of`].
pub async fn price_cards_of(
    mut conn: &AsyncPgConnection,
    providers: &[ProviderId],
) -> QueryResult<Vec<Arc<PricedCard>>> {
    let rows: Vec<PricedCard> = offered_by(providers)
        .select(PricedCard::as_select())
        .load(&mut conn)
        .await?;
    Ok(rows.into_iter().map(Arc::new).collect())
}

/// The prices of these providers, inactive ones and those of archived services too, by the service's title.
pub async fn prices_of(
    mut conn: &AsyncPgConnection,
    providers: &[ProviderId],
) -> QueryResult<Vec<Arc<PricedService>>> {
    let rows = offered_by(providers)
        .select((ProviderService::as_select(), Service::as_select()))
        .load(&mut conn)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| Arc::new(PricedService::of(row)))
        .collect())
}

/// The prices with these ids, in no order.
pub async fn priced_by_ids(
    mut conn: &AsyncPgConnection,
    ids: &[ProviderServiceId],
) -> QueryResult<Vec<PricedService>> {
    let rows = provider_services::table
        .inner_join(services::table.on(services::id.eq(provider_services::service_id)))
        .filter(provider_services::id.eq_any(ids))
        .select((ProviderService::as_select(), Service::as_select()))
        .load(&mut conn)
        .await?;
    Ok(rows.into_iter().map(PricedService::of).collect())
}

/// A provider's price for a service, active or not.
pub async fn find_price(
    conn: &mut AsyncPgConnection,
    provider: ProviderId,
    service: ServiceId,
) -> QueryResult<Option<ProviderService>> {
    provider_services::table
        .filter(provider_services::provider_id.eq(provider))
        .filter(provider_services::service_id.eq(service))
        .select(ProviderService::as_select())
        .first(conn)
        .await
        .optional()
}

/// Adds a price, or writes over the provider's one for this service. The provider's row must be locked.
pub async fn save_price(conn: &mut AsyncPgConnection, price: &ProviderService) -> QueryResult<()> {
    diesel::insert_into(provider_services::table)
        .values(price)
        .on_conflict((
            provider_services::provider_id,
            provider_services::service_id,
        ))
        .do_update()
        .set((
            provider_services::price_minor.eq(price.price_minor),
            provider_services::currency.eq(&price.currency),
            provider_services::duration_minutes.eq(price.duration_minutes),
            provider_services::active.eq(price.active),
            provider_services::version.eq(price.version),
            provider_services::updated_at.eq(price.updated_at),
        ))
        .execute(conn)
        .await?;
    Ok(())
}
