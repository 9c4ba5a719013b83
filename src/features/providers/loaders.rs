//! Loaders of providers. Who may see a row is the reader's to check.

use std::sync::Arc;

use super::model::{
    self, CompletedBookings, PricedCard, PricedService, Provider, ProviderCard, RatingCount,
};
use crate::{
    db::ids::{ProviderId, ProviderServiceId, UserId},
    row_loader, rows_loader,
};

row_loader! {
    /// A profile by id, in any state.
    ProviderById: ProviderId => Provider, model::by_ids, |provider| provider.id
}

row_loader! {
    /// A profile's card by id, in any state.
    ProviderCardById: ProviderId => ProviderCard, model::cards_by_ids, |provider| provider.id
}

row_loader! {
    /// A person's profile, in any state.
    ProviderOfUser: UserId => Provider, model::by_user_ids, |provider| provider.user_id
}

row_loader! {
    /// A price by id, active or not.
    PriceById: ProviderServiceId => PricedService, model::priced_by_ids, |priced| priced.price.id
}

rows_loader! {
    /// A provider's prices with their services, active or not, by title.
    PricesOfProvider: ProviderId => Arc<PricedService>, model::prices_of, |priced| priced.price.provider_id
}

rows_loader! {
    /// What a list shows of a provider's prices, active or not, by title.
    PriceCardsOfProvider: ProviderId => Arc<PricedCard>, model::price_cards_of, |priced| priced.price.provider_id
}

row_loader! {
    /// How many bookings a provider has completed; nothing for none.
    CompletedOfProvider: ProviderId => CompletedBookings, model::completed_bookings, |row| row.provider_id, slow
}

rows_loader! {
    /// A provider's visible reviews by rating, the best first.
    RatingsOfProvider: ProviderId => RatingCount, model::rating_counts, |row| row.provider_id, slow
}
