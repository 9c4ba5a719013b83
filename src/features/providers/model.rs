//! Rows of `providers`.

mod offers;
mod prices;
mod search;
mod stats;

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::{
    auth::viewer::Viewer,
    db::{
        Instant,
        ids::{CityId, ProviderId, UserId},
        schema::{providers, users},
    },
    features::users::model::UserStatus,
    text_enum,
};

pub use offers::{FreeTime, PriceRange};
pub use prices::{
    PricedCard, PricedService, ProviderService, find_price, price_cards_of, priced_by_ids,
    prices_of, save_price,
};
pub use search::{
    APPLICATIONS, Filter, ListedProvider, Order, ProvidersQuery, applications_page,
    applications_query, search_page, search_query,
};
pub use stats::{CompletedBookings, RatingCount, completed_bookings, rating_counts};

text_enum! {
    /// How far a profile is.
    pub enum ProviderStatus {
        /// Applied; staff have not decided.
        Pending = "PENDING",
        /// Can be found and booked.
        Approved = "APPROVED",
        /// Staff said no; the person may apply again.
        Rejected = "REJECTED",
        /// The person took the application back and may apply again.
        Withdrawn = "WITHDRAWN",
        /// Staff took it out of every list.
        Suspended = "SUSPENDED",
    }
}

text_enum! {
    /// What a client gets back who cancels a confirmed booking (rules.md, Bookings).
    pub enum CancellationPolicy {
        /// All until 24 h before, then half.
        Flexible = "FLEXIBLE",
        /// All until 72 h before, half until 24 h, then nothing.
        Moderate = "MODERATE",
        /// Half until 168 h before, then nothing.
        Strict = "STRICT",
    }
}

/// What a list shows of a profile: the short columns that everyone may see, and whether one may see it.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = providers, check_for_backend(diesel::pg::Pg))]
pub struct ProviderCard {
    /// Identity.
    pub id: ProviderId,
    /// Whose it is.
    pub user_id: UserId,
    /// How far it is.
    pub status: ProviderStatus,
    /// The name in lists.
    pub display_name: String,
    /// One line.
    pub headline: String,
    /// Where the provider works.
    pub city_id: CityId,
    /// The IANA zone of the provider's clock.
    pub time_zone: String,
    /// The sum of the visible reviews' ratings.
    pub rating_sum: i64,
    /// How many visible reviews there are.
    pub rating_count: i32,
    /// The least active price in the currency that comes first.
    pub lowest_price_minor: Option<i64>,
    /// Its currency.
    pub lowest_price_currency: Option<String>,
    /// When the person first applied.
    pub created_at: Instant,
}

/// A provider's profile.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = providers, check_for_backend(diesel::pg::Pg))]
pub struct Provider {
    /// Identity.
    pub id: ProviderId,
    /// Whose it is; one each.
    pub user_id: UserId,
    /// How far it is.
    pub status: ProviderStatus,
    /// The name in lists, one line of 1 to 100 characters.
    pub display_name: String,
    /// One line of at most 160 characters.
    pub headline: String,
    /// At most 4 000 characters.
    pub bio: String,
    /// Where the provider works.
    pub city_id: CityId,
    /// The IANA zone of the provider's clock.
    pub time_zone: String,
    /// What is frozen in new bookings.
    pub cancellation_policy: CancellationPolicy,
    /// When the person last applied.
    pub applied_at: Instant,
    /// When staff last decided.
    pub reviewed_at: Option<Instant>,
    /// Who of staff did.
    pub reviewed_by: Option<UserId>,
    /// Why staff rejected or suspended; for the owner and staff alone.
    pub decision_reason: Option<String>,
    /// The sum of the visible reviews' ratings; kept by a trigger.
    pub rating_sum: i64,
    /// How many visible reviews there are; kept by a trigger.
    pub rating_count: i32,
    /// The least active price in the currency that comes first; kept by a trigger.
    pub lowest_price_minor: Option<i64>,
    /// Its currency.
    pub lowest_price_currency: Option<String>,
    /// Counts the edits.
    pub version: i32,
    /// When the person first applied.
    pub created_at: Instant,
    /// When it was last edited.
    pub updated_at: Instant,
    /// Whether it was suspended with its person's account, and comes back with it.
    pub suspended_with_account: bool,
}

impl Provider {
    /// Whether the viewer is the owner.
    pub fn is_owned_by(&self, viewer: &Viewer) -> bool {
        viewer.is(self.user_id)
    }

    /// Whether the viewer sees what is for the owner and staff: other states than APPROVED, inactive prices, reasons.
    pub fn is_open_to(&self, viewer: &Viewer) -> bool {
        is_open(self.user_id, viewer)
    }

    /// Whether the viewer may know of this profile at all.
    pub fn is_visible_to(&self, viewer: &Viewer) -> bool {
        is_visible(self.status, self.user_id, viewer)
    }
}

impl ProviderCard {
    /// As [`Provider::is_open_to`].
    pub fn is_open_to(&self, viewer: &Viewer) -> bool {
        is_open(self.user_id, viewer)
    }

    /// As [`Provider::is_visible_to`].
    pub fn is_visible_to(&self, viewer: &Viewer) -> bool {
        is_visible(self.status, self.user_id, viewer)
    }
}

fn is_open(owner: UserId, viewer: &Viewer) -> bool {
    viewer.is(owner)
        || ["providers:read", "providers:review", "providers:suspend"]
            .iter()
            .any(|permission| viewer.may(permission))
}

fn is_visible(status: ProviderStatus, owner: UserId, viewer: &Viewer) -> bool {
    status == ProviderStatus::Approved || is_open(owner, viewer)
}

/// The profiles with these ids, whoever may see them, in no order.
pub async fn by_ids(
    mut conn: &AsyncPgConnection,
    ids: &[ProviderId],
) -> QueryResult<Vec<Provider>> {
    providers::table
        .filter(providers::id.eq_any(ids))
        .select(Provider::as_select())
        .load(&mut conn)
        .await
}

/// The cards of these profiles, whoever may see them, in no order.
pub async fn cards_by_ids(
    mut conn: &AsyncPgConnection,
    ids: &[ProviderId],
) -> QueryResult<Vec<ProviderCard>> {
    providers::table
        .filter(providers::id.eq_any(ids))
        .select(ProviderCard::as_select())
        .load(&mut conn)
        .await
}

/// The profiles of these people, in no order.
pub async fn by_user_ids(
    mut conn: &AsyncPgConnection,
    users: &[UserId],
) -> QueryResult<Vec<Provider>> {
    providers::table
        .filter(providers::user_id.eq_any(users))
        .select(Provider::as_select())
        .load(&mut conn)
        .await
}

/// One profile, whoever may see it.
pub async fn by_id(conn: &mut AsyncPgConnection, id: ProviderId) -> QueryResult<Option<Provider>> {
    providers::table
        .find(id)
        .select(Provider::as_select())
        .first(conn)
        .await
        .optional()
}

/// Locks the person behind a profile and says whether they may use the service; nothing when there is no such profile.
pub async fn lock_owner(
    conn: &mut AsyncPgConnection,
    id: ProviderId,
) -> QueryResult<Option<UserStatus>> {
    users::table
        .filter(users::id.eq_any(providers::table.find(id).select(providers::user_id)))
        .select(users::status)
        .for_no_key_update()
        .first(conn)
        .await
        .optional()
}

/// Locks a profile and reads it. The owner's row must be locked before (architecture.md, habit 5).
pub async fn lock(conn: &mut AsyncPgConnection, id: ProviderId) -> QueryResult<Option<Provider>> {
    providers::table
        .find(id)
        .select(Provider::as_select())
        .for_no_key_update()
        .first(conn)
        .await
        .optional()
}

/// Locks this person's profile and reads it. Who locks the person's row too does that before.
pub async fn lock_of_user(
    conn: &mut AsyncPgConnection,
    user: UserId,
) -> QueryResult<Option<Provider>> {
    providers::table
        .filter(providers::user_id.eq(user))
        .select(Provider::as_select())
        .for_no_key_update()
        .first(conn)
        .await
        .optional()
}

/// Adds a profile.
pub async fn insert(conn: &mut AsyncPgConnection, provider: &Provider) -> QueryResult<()> {
    diesel::insert_into(providers::table)
        .values(provider)
        .execute(conn)
        .await?;
    Ok(())
}

/// Writes what people and staff can change; rating and cheapest price belong to the triggers.
pub async fn save(conn: &mut AsyncPgConnection, provider: &Provider) -> QueryResult<()> {
    diesel::update(providers::table.find(provider.id))
        .set((
            providers::status.eq(provider.status),
            providers::display_name.eq(&provider.display_name),
            providers::headline.eq(&provider.headline),
            providers::bio.eq(&provider.bio),
            providers::city_id.eq(provider.city_id),
            providers::time_zone.eq(&provider.time_zone),
            providers::cancellation_policy.eq(provider.cancellation_policy),
            providers::applied_at.eq(provider.applied_at),
            providers::reviewed_at.eq(provider.reviewed_at),
            providers::reviewed_by.eq(provider.reviewed_by),
            providers::decision_reason.eq(&provider.decision_reason),
            providers::version.eq(provider.version),
            providers::updated_at.eq(provider.updated_at),
            providers::suspended_with_account.eq(provider.suspended_with_account),
        ))
        .execute(conn)
        .await?;
    Ok(())
}
