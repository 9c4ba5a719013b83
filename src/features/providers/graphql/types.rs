//! A provider, their prices and figures.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, SimpleObject};

use crate::{
    cursor::PageArgs,
    db::ids::{ProviderId, ProviderServiceId},
    error::{Error, Result},
    features::{
        availabilities::graphql::{self as availabilities, Availability, Slot},
        bookings::graphql::{Booking, BookingsOfFilter, bookings_of_provider},
        catalog::graphql::{City, Service},
        media::graphql::{self as media, ProviderMedia},
        providers::model::{self, PricedService},
        reviews::graphql::{self as reviews, Review},
        users::graphql::User,
    },
    graphql::{
        connection::Connection,
        context::ContextExt,
        money::Money,
        scalars::{DateTime, TimeZone},
    },
};

/// How far a profile is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "model::ProviderStatus")]
pub enum ProviderStatus {
    /// Applied; staff have not decided.
    Pending,
    /// Can be found and booked by everyone.
    Approved,
    /// Staff said no; the person may apply again.
    Rejected,
    /// The person took the application back and may apply again.
    Withdrawn,
    /// Staff took it out of every list.
    Suspended,
}

/// What a client gets back who cancels a confirmed booking; frozen in the booking when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "model::CancellationPolicy")]
pub enum CancellationPolicy {
    /// All until 24 h before the start, then half.
    Flexible,
    /// All until 72 h before the start, half until 24 h, then nothing.
    Moderate,
    /// Half until 168 h before the start, then nothing.
    Strict,
}

/// A person who offers services.
#[derive(async_graphql::Description, Clone)]
pub struct Provider(pub Arc<model::Provider>);

impl Provider {
    /// The profile with this id, when the viewer may know of it.
    pub async fn by_id(ctx: &Context<'_>, id: ProviderId) -> Result<Option<Self>> {
        let row = ctx.loaders().providers.load(id).await?;
        Ok(row.filter(|row| row.is_visible_to(ctx.viewer())).map(Self))
    }

    /// From what a mutation answered.
    pub(super) fn from_row(row: model::Provider) -> Self {
        Self(Arc::new(row))
    }
}

#[Object(use_type_description)]
impl Provider {
    /// Identity (`prv_…`).
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// The name in lists, one line of 1 to 100 characters.
    async fn display_name(&self) -> &str {
        &self.0.display_name
    }

    /// One line of at most 160 characters; may be empty.
    async fn headline(&self) -> &str {
        &self.0.headline
    }

    /// What the provider says of themselves, at most 4 000 characters; may be empty.
    async fn bio(&self) -> &str {
        &self.0.bio
    }

    /// How far the profile is. Everyone sees APPROVED ones, the owner and staff with `providers:read` all.
    async fn status(&self) -> ProviderStatus {
        self.0.status.into()
    }

    /// The person.
    async fn user(&self, ctx: &Context<'_>) -> Result<User> {
        let user = ctx.loaders().users.load(self.0.user_id).await?;
        user.map(User)
            .ok_or_else(|| Error::internal("a provider without a person"))
    }

    /// Where the provider works.
    async fn city(&self, ctx: &Context<'_>) -> Result<City> {
        let city = ctx.loaders().cities.load(self.0.city_id).await?;
        city.map(City)
            .ok_or_else(|| Error::internal("a provider without a city"))
    }

    /// The zone of the provider's clock.
    async fn time_zone(&self) -> TimeZone {
        TimeZone(self.0.time_zone.clone())
    }

    /// What new bookings freeze.
    async fn cancellation_policy(&self) -> CancellationPolicy {
        self.0.cancellation_policy.into()
    }

    /// What can be booked, by the service's title. The owner and staff with `providers:read` see inactive prices and
    /// those of archived services, too.
    async fn services(&self, ctx: &Context<'_>) -> Result<Vec<ProviderService>> {
        let prices = ctx.loaders().prices.load(self.0.id).await?;
        let all = self.0.is_open_to(ctx.viewer());
        let seen = prices.iter().filter(|priced| all || priced.is_open());
        Ok(seen.cloned().map(ProviderService).collect())
    }

    /// The cheapest price that can be booked, of the currency that comes first in the alphabet; null without one. What
    /// the order PRICE sorts by.
    async fn lowest_price(&self) -> Result<Option<Money>> {
        let row = &self.0;
        lowest_price(row.lowest_price_minor, row.lowest_price_currency.as_deref())
    }

    /// The average of the visible reviews, 1 to 5; null without one.
    async fn rating(&self) -> Option<f64> {
        average(self.0.rating_sum, self.0.rating_count)
    }

    /// How many visible reviews there are.
    async fn rating_count(&self) -> i32 {
        self.0.rating_count
    }

    /// The bookable windows that overlap `[from, to)`, by start, at most 500. `BAD_REQUEST` when the range is empty or
    /// longer than 31 days.
    async fn availabilities(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Windows that end after this.")] from: DateTime,
        #[graphql(desc = "Windows that start before this.")] to: DateTime,
    ) -> Result<Vec<Availability>> {
        availabilities::windows_of(ctx, self.0.id, from, to).await
    }

    /// The free times for a service that start in `[from, to)`, by start, at most 500: what `bookingCreate` accepts.
    /// None for a service that is not offered. `BAD_REQUEST` when the range is empty or longer than 31 days.
    async fn slots(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The service (`srv_…`), whose price says how long a slot is.")]
        service_id: ID,
        #[graphql(desc = "Slots that start at or after this.")] from: DateTime,
        #[graphql(desc = "Slots that start before this.")] to: DateTime,
    ) -> Result<Vec<Slot>> {
        availabilities::slots_of(ctx, self.0.id, &service_id, from, to).await
    }

    /// What the provider is booked for, the latest start first; for the owner and staff with `bookings:read`, null for
    /// others.
    async fn bookings(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which ones; all without.")] filter: Option<BookingsOfFilter>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without.")] first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Option<Connection<Booking>>> {
        if !self.0.is_owned_by(ctx.viewer()) && !ctx.viewer().may("bookings:read") {
            return Ok(None);
        }
        let page = PageArgs::new(first, after, last, before);
        let bookings = bookings_of_provider(ctx, self.0.id, filter, page).await?;
        Ok(Some(bookings))
    }

    /// Figures.
    async fn stats(&self) -> ProviderStats {
        ProviderStats(self.0.clone())
    }

    /// The portfolio in its order, at most 30 pictures.
    async fn media(&self, ctx: &Context<'_>) -> Result<Vec<ProviderMedia>> {
        media::portfolio_of(ctx, self.0.id).await
    }

    /// The visible reviews, the newest first. A cursor may be used with another rating.
    async fn reviews(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those of this rating, 1 to 5.")] rating: Option<i32>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without.")] first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Connection<Review>> {
        let page = PageArgs::new(first, after, last, before);
        reviews::of_provider(ctx, self.0.id, rating, page).await
    }

    /// When the person last applied; for the owner and staff with `providers:read`, null for others.
    async fn applied_at(&self, ctx: &Context<'_>) -> Option<DateTime> {
        self.0
            .is_open_to(ctx.viewer())
            .then_some(DateTime(*self.0.applied_at))
    }

    /// When staff last decided; for the owner and staff with `providers:read`, null for others and before.
    async fn reviewed_at(&self, ctx: &Context<'_>) -> Option<DateTime> {
        let at = self.0.reviewed_at.map(|at| DateTime(*at));
        at.filter(|_| self.0.is_open_to(ctx.viewer()))
    }

    /// Why staff rejected or suspended; for the owner and staff with `providers:read`, null for others.
    async fn decision_reason(&self, ctx: &Context<'_>) -> Option<&str> {
        let reason = self.0.decision_reason.as_deref();
        reason.filter(|_| self.0.is_open_to(ctx.viewer()))
    }

    /// Whether it is SUSPENDED only for as long as its person's account is; `providerSuspend` makes it stay so beyond. For
    /// staff with `providers:read`, null for others.
    async fn suspended_with_account(&self, ctx: &Context<'_>) -> Option<bool> {
        let with_account = self.0.suspended_with_account;
        ctx.viewer().may("providers:read").then_some(with_account)
    }

    /// Counts the edits; pass it as `expectedVersion`.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When the person first applied.
    async fn created_at(&self) -> DateTime {
        DateTime(*self.0.created_at)
    }

    /// When it was last edited.
    async fn updated_at(&self) -> DateTime {
        DateTime(*self.0.updated_at)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a sum of ratings is far below 2^53"
)]
pub(super) fn average(sum: i64, count: i32) -> Option<f64> {
    (count > 0).then(|| sum as f64 / f64::from(count))
}

pub(super) fn lowest_price(minor: Option<i64>, currency: Option<&str>) -> Result<Option<Money>> {
    minor
        .zip(currency)
        .map(|(minor, currency)| Money::of(minor, currency))
        .transpose()
}

/// A provider's price and duration for a service.
#[derive(async_graphql::Description, Clone)]
pub struct ProviderService(pub Arc<PricedService>);

impl ProviderService {
    /// The price with this id, when the viewer may know of it.
    pub async fn by_id(ctx: &Context<'_>, id: ProviderServiceId) -> Result<Option<Self>> {
        let Some(priced) = ctx.loaders().price.load(id).await? else {
            return Ok(None);
        };
        let Some(provider) = Provider::by_id(ctx, priced.price.provider_id).await? else {
            return Ok(None);
        };
        Ok((priced.is_open() || provider.0.is_open_to(ctx.viewer())).then_some(Self(priced)))
    }
}

#[Object(use_type_description)]
impl ProviderService {
    /// Identity (`psv_…`).
    pub async fn id(&self) -> ID {
        self.0.price.id.to_string().into()
    }

    /// What is offered.
    async fn service(&self) -> Service {
        Service(self.0.service.clone())
    }

    /// What a booking costs; 0 is free.
    async fn price(&self) -> Result<Money> {
        Money::of(self.0.price.price_minor, &self.0.price.currency)
    }

    /// How long a booking is, 15 to 1 440 minutes.
    async fn duration_minutes(&self) -> i32 {
        self.0.price.duration_minutes
    }

    /// Whether the provider offers it now.
    async fn active(&self) -> bool {
        self.0.price.active
    }

    /// Counts the edits; pass it as `expectedVersion`.
    async fn version(&self) -> i32 {
        self.0.price.version
    }
}

/// Figures of a provider.
#[derive(async_graphql::Description)]
pub struct ProviderStats(Arc<model::Provider>);

#[Object(use_type_description)]
impl ProviderStats {
    /// How many bookings were completed.
    async fn completed_bookings(&self, ctx: &Context<'_>) -> Result<i32> {
        let completed = ctx.loaders().completed_bookings.load(self.0.id).await?;
        let count = completed.map_or(0, |completed| completed.count);
        Ok(i32::try_from(count).unwrap_or(i32::MAX))
    }

    /// The average of the visible reviews, 1 to 5; null without one.
    async fn rating_average(&self) -> Option<f64> {
        average(self.0.rating_sum, self.0.rating_count)
    }

    /// How many visible reviews there are.
    async fn rating_count(&self) -> i32 {
        self.0.rating_count
    }

    /// How often each rating was given, 5 to 1; all five are there.
    async fn rating_distribution(&self, ctx: &Context<'_>) -> Result<Vec<RatingShare>> {
        let counted = ctx.loaders().rating_counts.load(self.0.id).await?;
        Ok((1..=5)
            .rev()
            .map(|rating| {
                let count = counted
                    .iter()
                    .find(|row| row.rating == rating)
                    .map_or(0, |row| row.count);
                RatingShare {
                    rating,
                    count: i32::try_from(count).unwrap_or(i32::MAX),
                }
            })
            .collect())
    }
}

/// How often a rating was given.
#[derive(Clone, Copy, Debug, SimpleObject)]
pub struct RatingShare {
    /// 1 to 5.
    pub rating: i32,
    /// How many visible reviews give it.
    pub count: i32,
}
