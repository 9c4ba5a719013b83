//! What operations on providers take.

use async_graphql::{Enum, ID, InputObject, MaybeUndefined};
use uuid::Uuid;

use super::types::CancellationPolicy;
use crate::{
    db::ids::{CategoryId, CityId, ServiceId},
    features::providers::{model, service},
    graphql::{
        args,
        scalars::{CurrencyCode, DateTime, Int64, TimeZone},
    },
};

/// How to sort providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "service::Sort")]
pub enum ProviderSort {
    /// The best rated first, then who was rated most often; who has no rating comes last.
    Rating,
    /// By `lowestPrice`: by its currency's code and then its amount, the cheapest first; who has no price comes last.
    /// A filter of prices does not change that.
    Price,
    /// Who applied first most recently comes first.
    Newest,
}

/// Prices between two amounts of one currency.
#[derive(InputObject)]
pub struct ProviderPriceInput {
    /// The currency.
    pub currency: CurrencyCode,
    /// At least this, in the currency's minor unit.
    pub min_minor: Option<Int64>,
    /// At most this, in the currency's minor unit.
    pub max_minor: Option<Int64>,
}

/// A stretch of time of at most 31 days.
#[derive(InputObject)]
pub struct TimeRangeInput {
    /// From when.
    pub from: DateTime,
    /// Until when, later than `from`.
    pub to: DateTime,
}

/// Which providers to find; every condition given must hold. `serviceId`, `categoryId`, `price` and `free` are about one
/// and the same price that can be booked. What makes no sense answers `BAD_REQUEST`.
#[derive(InputObject, Default)]
pub struct ProviderFilter {
    /// Offering this service (`srv_…`).
    pub service_id: Option<ID>,
    /// Offering a service of this category (`cat_…`).
    pub category_id: Option<ID>,
    /// In this city (`cty_…`).
    pub city_id: Option<ID>,
    /// With this text in name, headline or bio, in any case; at most 100 characters.
    pub text: Option<String>,
    /// Rated at least this on average, 1 to 5, read to the hundredth. Who has no rating is not found.
    pub min_rating: Option<f64>,
    /// At such a price.
    pub price: Option<ProviderPriceInput>,
    /// With a bookable time that lies wholly between these: inside a window of the provider, at one of its steps, far
    /// enough ahead, long enough for the service, and held by nobody.
    pub free: Option<TimeRangeInput>,
}

impl From<ProviderFilter> for service::Search {
    fn from(filter: ProviderFilter) -> Self {
        let ProviderFilter {
            service_id,
            category_id,
            city_id,
            text,
            min_rating,
            price,
            free,
        } = filter;
        // What cannot be an id finds what a missing object finds: nothing.
        let nil = Uuid::nil();
        Self {
            service_id: service_id.map(|id| args::maybe_id(&id).unwrap_or(ServiceId(nil))),
            category_id: category_id.map(|id| args::maybe_id(&id).unwrap_or(CategoryId(nil))),
            city_id: city_id.map(|id| args::maybe_id(&id).unwrap_or(CityId(nil))),
            text,
            min_rating,
            price: price.map(|range| {
                let ProviderPriceInput {
                    currency,
                    min_minor,
                    max_minor,
                } = range;
                model::PriceRange {
                    currency: currency.0,
                    min_minor: min_minor.map(|amount| amount.0),
                    max_minor: max_minor.map(|amount| amount.0),
                }
            }),
            free: free.map(|TimeRangeInput { from, to }| (from.0, to.0)),
        }
    }
}

/// An application.
#[derive(InputObject)]
pub struct ProviderApplyInput {
    /// The name in lists, one line of 1 to 100 characters.
    pub display_name: String,
    /// One line of at most 160 characters.
    #[graphql(default)]
    pub headline: String,
    /// What you say of yourself, at most 4 000 characters; may have several lines.
    #[graphql(default)]
    pub bio: String,
    /// Where you work (`cty_…`).
    pub city_id: ID,
    /// The zone of your clock; the city's without.
    pub time_zone: Option<TimeZone>,
    /// What new bookings freeze.
    #[graphql(default_with = "CancellationPolicy::Flexible")]
    pub cancellation_policy: CancellationPolicy,
}

impl From<ProviderApplyInput> for service::Application {
    fn from(input: ProviderApplyInput) -> Self {
        let ProviderApplyInput {
            display_name,
            headline,
            bio,
            city_id,
            time_zone,
            cancellation_policy,
        } = input;
        Self {
            display_name,
            headline,
            bio,
            city_id: args::maybe_id(&city_id),
            time_zone: time_zone.map(|zone| zone.0),
            cancellation_policy: cancellation_policy.into(),
        }
    }
}

/// What to change of a profile; what is left out stays.
#[derive(InputObject)]
pub struct ProviderUpdateInput {
    /// The name in lists, one line of 1 to 100 characters.
    pub display_name: MaybeUndefined<String>,
    /// One line of at most 160 characters; null empties it.
    pub headline: MaybeUndefined<String>,
    /// What you say of yourself, at most 4 000 characters; null empties it.
    pub bio: MaybeUndefined<String>,
    /// Where you work (`cty_…`).
    pub city_id: MaybeUndefined<ID>,
    /// The zone of your clock; null takes the city's.
    pub time_zone: MaybeUndefined<TimeZone>,
    /// What new bookings freeze; bookings made keep theirs.
    pub cancellation_policy: MaybeUndefined<CancellationPolicy>,
}

impl From<ProviderUpdateInput> for service::Change {
    fn from(input: ProviderUpdateInput) -> Self {
        let ProviderUpdateInput {
            display_name,
            headline,
            bio,
            city_id,
            time_zone,
            cancellation_policy,
        } = input;
        Self {
            display_name: display_name.into(),
            headline: headline.into(),
            bio: bio.into(),
            city_id: city_id.map_value(|id| args::maybe_id(&id)).into(),
            time_zone: time_zone.map_value(|zone| zone.0).into(),
            cancellation_policy: cancellation_policy.map_value(Into::into).into(),
        }
    }
}

/// What staff say to an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "service::Decision")]
pub enum ApplicationDecision {
    /// The provider can be found and booked, and gets the role PROVIDER.
    Approve,
    /// The person is told why and may apply again.
    Reject,
}

/// A decision on an application.
#[derive(InputObject)]
pub struct ProviderApplicationReviewInput {
    /// Yes or no.
    pub decision: ApplicationDecision,
    /// Why, 1 to 2 000 characters; needed for REJECT, which shows it to the person. It is kept in the audit trail for
    /// good: write no personal data into it.
    pub reason: Option<String>,
}

/// A suspension.
#[derive(InputObject)]
pub struct ProviderSuspendInput {
    /// Why, 1 to 2 000 characters; the person sees it. It is kept in the audit trail for good: write no personal data
    /// into it.
    pub reason: String,
}

/// A price and a duration.
#[derive(InputObject)]
pub struct ProviderServicePricingSetInput {
    /// In the currency's minor unit (cents of EUR, whole yen); 0 is free. What the payment gateway could not charge is
    /// `INVALID_INPUT`.
    pub amount_minor: Int64,
    /// The currency.
    pub currency: CurrencyCode,
    /// How long a booking is, 15 to 1 440 minutes.
    pub duration_minutes: i32,
    /// Whether it can be booked.
    #[graphql(default = true)]
    pub active: bool,
}

impl From<ProviderServicePricingSetInput> for service::NewPrice {
    fn from(input: ProviderServicePricingSetInput) -> Self {
        let ProviderServicePricingSetInput {
            amount_minor,
            currency,
            duration_minutes,
            active,
        } = input;
        Self {
            amount_minor: amount_minor.0,
            currency: currency.0,
            duration_minutes,
            active,
        }
    }
}
