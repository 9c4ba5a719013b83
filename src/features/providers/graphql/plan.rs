//! Providers in read plans.

use std::sync::Arc;

use super::{
    CancellationPolicy, ProviderStatus,
    types::{Provider, ProviderService, average, lowest_price},
};
use crate::{
    db::ids::ProviderId,
    features::{
        catalog::graphql::{
            Service,
            plan::{ServiceCard, city},
        },
        providers::{
            loaders::{PriceCardsOfProvider, PricesOfProvider, ProviderById, ProviderCardById},
            model,
        },
        reviews::graphql::plan::reviews,
        users::graphql::plan::person,
    },
    graphql::{
        money::Money,
        plan::{Read, Readable, Selected, Shape},
    },
};

/// What a list shows of a [`Provider`].
#[derive(Clone)]
pub struct ProviderCard(pub Arc<model::ProviderCard>);

/// How a field is read of rows that have what a card has.
macro_rules! card_fields {
    ($field:ident) => {{
        let read: Option<Read<Self>> = match $field.name() {
            "id" => Some(Read::Leaf(|row: &Self, _, json| json.id(row.0.id))),
            "displayName" => Some(Read::Leaf(|row, _, json| json.text(&row.0.display_name))),
            "headline" => Some(Read::Leaf(|row, _, json| json.text(&row.0.headline))),
            "status" => Some(Read::Leaf(|row, _, json| {
                json.name(&ProviderStatus::from(row.0.status));
            })),
            "timeZone" => Some(Read::Leaf(|row, _, json| json.text(&row.0.time_zone))),
            "rating" => Some(Read::Leaf(|row, _, json| {
                let rating = average(row.0.rating_sum, row.0.rating_count);
                json.maybe(rating, |json, rating| json.float(rating));
            })),
            "ratingCount" => Some(Read::Leaf(|row, _, json| {
                json.int(row.0.rating_count.into());
            })),
            "createdAt" => Some(Read::Leaf(|row, _, json| json.time(*row.0.created_at))),
            "user" => person($field, |row: &Self| row.0.user_id),
            "city" => city($field, |row: &Self| row.0.city_id),
            "lowestPrice" => $field.held(Shape::Maybe, |row: &Self, _, prices: &mut Vec<Money>| {
                let currency = row.0.lowest_price_currency.as_deref();
                prices.extend(lowest_price(row.0.lowest_price_minor, currency)?);
                Ok(())
            }),
            "services" => $field
                .loaded(
                    Shape::List,
                    |row: &Self| Some(row.0.id),
                    |request| PriceCardsOfProvider(request.app.db.clone()),
                    |loaders, error| loaders.prices.fail(error),
                    |row, prices, request, offers| {
                        let all = row.0.is_open_to(&request.viewer);
                        let seen = prices.iter().filter(|priced| all || priced.is_open());
                        offers.extend(seen.cloned().map(PriceCard));
                        Ok(())
                    },
                )
                .or_else(|| {
                    $field.loaded(
                        Shape::List,
                        |row: &Self| Some(row.0.id),
                        |request| PricesOfProvider(request.app.db.clone()),
                        |loaders, error| loaders.prices.fail(error),
                        |row, prices, request, offers| {
                            let all = row.0.is_open_to(&request.viewer);
                            let seen = prices.iter().filter(|priced| all || priced.is_open());
                            offers.extend(seen.cloned().map(ProviderService));
                            Ok(())
                        },
                    )
                }),
            "reviews" => reviews($field, |row: &Self| row.0.id),
            _ => None,
        };
        read
    }};
}

impl Readable for ProviderCard {
    type Object = Provider;

    fn read(field: &Selected<'_>) -> Option<Read<Self>> {
        card_fields!(field)
    }
}

impl Readable for Provider {
    type Object = Self;

    fn read(field: &Selected<'_>) -> Option<Read<Self>> {
        if let Some(read) = card_fields!(field) {
            return Some(read);
        }
        Some(Read::Leaf(match field.name() {
            "bio" => |provider, _, json| json.text(&provider.0.bio),
            "cancellationPolicy" => |provider, _, json| {
                json.name(&CancellationPolicy::from(provider.0.cancellation_policy));
            },
            "appliedAt" => |provider, request, json| {
                let at = provider
                    .0
                    .is_open_to(&request.viewer)
                    .then_some(provider.0.applied_at);
                json.maybe(at, |json, at| json.time(*at));
            },
            "reviewedAt" => |provider, request, json| {
                let at = provider.0.reviewed_at;
                let at = at.filter(|_| provider.0.is_open_to(&request.viewer));
                json.maybe(at, |json, at| json.time(*at));
            },
            "decisionReason" => |provider, request, json| {
                let reason = provider.0.decision_reason.as_deref();
                json.maybe_text(reason.filter(|_| provider.0.is_open_to(&request.viewer)));
            },
            "suspendedWithAccount" => |provider, request, json| {
                let with_account = provider.0.suspended_with_account;
                let seen = request.viewer.may("providers:read").then_some(with_account);
                json.maybe(seen, |json, seen| json.bool(seen));
            },
            "version" => |provider, _, json| json.int(provider.0.version.into()),
            "updatedAt" => |provider, _, json| json.time(*provider.0.updated_at),
            _ => return None,
        }))
    }
}

/// An edge to the profile with this id, in any state.
pub fn any_provider<T: Readable>(
    field: &Selected<'_>,
    id: impl Fn(&T) -> ProviderId + Send + Sync + 'static,
) -> Option<Read<T>> {
    provider(field, Shape::One, id)
}

/// An edge to the profile with this id, or `null` where the viewer may not know of it.
pub fn visible_provider<T: Readable>(
    field: &Selected<'_>,
    id: impl Fn(&T) -> ProviderId + Send + Sync + 'static,
) -> Option<Read<T>> {
    provider(field, Shape::Maybe, id)
}

/// By its card, or by the whole row where more is selected. Where it may be missing, it is what the viewer may not know of.
fn provider<T: Readable>(
    field: &Selected<'_>,
    shape: Shape,
    id: impl Fn(&T) -> ProviderId + Send + Sync + 'static,
) -> Option<Read<T>> {
    let id = Arc::new(id);
    let of_card = id.clone();
    let any = shape == Shape::One;
    field
        .loaded(
            shape,
            move |row| Some(of_card(row)),
            |request| ProviderCardById(request.app.db.clone()),
            |loaders, error| loaders.providers.fail(error),
            move |_, card, request, cards| {
                let seen = card.clone();
                let seen = seen.filter(|card| any || card.is_visible_to(&request.viewer));
                cards.extend(seen.map(ProviderCard));
                Ok(())
            },
        )
        .or_else(|| {
            field.loaded(
                shape,
                move |row| Some(id(row)),
                |request| ProviderById(request.app.db.clone()),
                |loaders, error| loaders.providers.fail(error),
                move |_, row, request, rows| {
                    let seen = row.clone();
                    let seen = seen.filter(|row| any || row.is_visible_to(&request.viewer));
                    rows.extend(seen.map(Provider));
                    Ok(())
                },
            )
        })
}

/// What a list shows of a [`ProviderService`].
struct PriceCard(Arc<model::PricedCard>);

/// How a field is read of rows that have what a price's card has.
macro_rules! price_fields {
    ($field:ident) => {{
        let read: Option<Read<Self>> = match $field.name() {
            "id" => Some(Read::Leaf(|row: &Self, _, json| json.id(row.0.price.id))),
            "durationMinutes" => Some(Read::Leaf(|row, _, json| {
                json.int(row.0.price.duration_minutes.into());
            })),
            "active" => Some(Read::Leaf(|row, _, json| json.bool(row.0.price.active))),
            "price" => $field.held(Shape::One, |row: &Self, _, prices| {
                let price = &row.0.price;
                prices.push(Money::of(price.price_minor, &price.currency)?);
                Ok(())
            }),
            _ => None,
        };
        read
    }};
}

impl Readable for PriceCard {
    type Object = ProviderService;

    fn read(field: &Selected<'_>) -> Option<Read<Self>> {
        match field.name() {
            "service" => field.held(Shape::One, |row: &Self, _, services| {
                services.push(ServiceCard(row.0.service.clone()));
                Ok(())
            }),
            _ => price_fields!(field),
        }
    }
}

impl Readable for ProviderService {
    type Object = Self;

    fn read(field: &Selected<'_>) -> Option<Read<Self>> {
        match field.name() {
            "version" => Some(Read::Leaf(|row, _, json| {
                json.int(row.0.price.version.into());
            })),
            "service" => field.held(Shape::One, |row: &Self, _, services| {
                services.push(Service(row.0.service.clone()));
                Ok(())
            }),
            _ => price_fields!(field),
        }
    }
}
