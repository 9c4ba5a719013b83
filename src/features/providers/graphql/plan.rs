//! Providers in read plans.

use super::{
    CancellationPolicy, ProviderStatus,
    types::{Provider, ProviderService, average, lowest_price},
};
use crate::{
    db::ids::ProviderId,
    features::{
        catalog::graphql::{Service, plan::city},
        providers::loaders::{PricesOfProvider, ProviderById},
        reviews::graphql::plan::reviews,
        users::graphql::plan::person,
    },
    graphql::{
        money::Money,
        plan::{Read, Readable, Selected, Shape},
    },
};

impl Readable for Provider {
    type Object = Self;

    fn read(field: &Selected<'_>) -> Option<Read<Self>> {
        Some(Read::Leaf(match field.name() {
            "id" => |provider, _, json| json.id(provider.0.id),
            "displayName" => |provider, _, json| json.text(&provider.0.display_name),
            "headline" => |provider, _, json| json.text(&provider.0.headline),
            "bio" => |provider, _, json| json.text(&provider.0.bio),
            "status" => |provider, _, json| json.name(&ProviderStatus::from(provider.0.status)),
            "timeZone" => |provider, _, json| json.text(&provider.0.time_zone),
            "cancellationPolicy" => |provider, _, json| {
                json.name(&CancellationPolicy::from(provider.0.cancellation_policy));
            },
            "rating" => |provider, _, json| {
                json.maybe(average(&provider.0), |json, rating| json.float(rating));
            },
            "ratingCount" => |provider, _, json| json.int(provider.0.rating_count.into()),
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
            "version" => |provider, _, json| json.int(provider.0.version.into()),
            "createdAt" => |provider, _, json| json.time(*provider.0.created_at),
            "updatedAt" => |provider, _, json| json.time(*provider.0.updated_at),
            "user" => return person(field, |provider: &Self| provider.0.user_id),
            "city" => return city(field, |provider: &Self| provider.0.city_id),
            "lowestPrice" => {
                return field.held(
                    Shape::Maybe,
                    |provider: &Self, _, prices: &mut Vec<Money>| {
                        prices.extend(lowest_price(&provider.0)?);
                        Ok(())
                    },
                );
            }
            "services" => {
                return field.loaded(
                    Shape::List,
                    |provider: &Self| Some(provider.0.id),
                    |request| PricesOfProvider(request.app.db.clone()),
                    |provider, prices, request, services| {
                        services.extend(provider.offers(prices, &request.viewer));
                        Ok(())
                    },
                );
            }
            "reviews" => return reviews(field, |provider: &Self| provider.0.id),
            _ => return None,
        }))
    }
}

/// An edge to the profile with this id, in any state.
pub fn any_provider<T: Readable>(
    field: &Selected<'_>,
    id: impl Fn(&T) -> ProviderId + Send + Sync + 'static,
) -> Option<Read<T>> {
    field.loaded(
        Shape::One,
        move |row| Some(id(row)),
        |request| ProviderById(request.app.db.clone()),
        |_, provider, _, providers| {
            providers.extend(provider.clone().map(Provider));
            Ok(())
        },
    )
}

/// An edge to the profile with this id, or `null` where the viewer may not know of it.
pub fn visible_provider<T: Readable>(
    field: &Selected<'_>,
    id: impl Fn(&T) -> ProviderId + Send + Sync + 'static,
) -> Option<Read<T>> {
    field.loaded(
        Shape::Maybe,
        move |row| Some(id(row)),
        |request| ProviderById(request.app.db.clone()),
        |_, provider, request, providers| {
            let visible = provider.clone();
            let visible = visible.filter(|row| row.is_visible_to(&request.viewer));
            providers.extend(visible.map(Provider));
            Ok(())
        },
    )
}

impl Readable for ProviderService {
    type Object = Self;

    fn read(field: &Selected<'_>) -> Option<Read<Self>> {
        Some(Read::Leaf(match field.name() {
            "id" => |offer, _, json| json.id(offer.0.price.id),
            "durationMinutes" => |offer, _, json| json.int(offer.0.price.duration_minutes.into()),
            "active" => |offer, _, json| json.bool(offer.0.price.active),
            "version" => |offer, _, json| json.int(offer.0.price.version.into()),
            "service" => {
                return field.held(Shape::One, |offer: &Self, _, services| {
                    services.push(Service(offer.0.service.clone()));
                    Ok(())
                });
            }
            "price" => {
                return field.held(Shape::One, |offer: &Self, _, prices| {
                    let price = &offer.0.price;
                    prices.push(Money::of(price.price_minor, &price.currency)?);
                    Ok(())
                });
            }
            _ => return None,
        }))
    }
}
