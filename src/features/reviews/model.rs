//! Rows of `reviews`.

mod lists;

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::{
    auth::{permissions::known, viewer::Viewer},
    db::{
        Instant,
        ids::{BookingId, ProviderId, ReviewId, UserId},
        schema::{bookings, providers, reviews},
    },
    features::users::model::Person,
};

pub use lists::{
    ListedReview, OfProviders, ReviewCount, ReviewKey, ReviewsQuery, counts_of_providers,
};

/// What a provider's list shows of a review, with its author.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = reviews, check_for_backend(diesel::pg::Pg))]
pub struct ReviewCard {
    /// Identity.
    pub id: ReviewId,
    /// Of whom.
    pub provider_id: ProviderId,
    /// 1 to 5.
    pub rating: i32,
    /// At most 2 000 characters, may be empty.
    pub comment: String,
    /// When it was written.
    pub created_at: Instant,
    /// By whom.
    #[diesel(embed)]
    pub author: Person,
}

/// A review.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = reviews, check_for_backend(diesel::pg::Pg))]
pub struct Review {
    /// Identity.
    pub id: ReviewId,
    /// What was lived through; one review each.
    pub booking_id: BookingId,
    /// Of whom.
    pub provider_id: ProviderId,
    /// By whom: the booking's client.
    pub author_id: UserId,
    /// 1 to 5.
    pub rating: i32,
    /// At most 2 000 characters, may be empty.
    pub comment: String,
    /// Whether everyone sees it and it counts.
    pub visible: bool,
    /// Why staff hid it.
    pub hidden_reason: Option<String>,
    /// What the provider answers, 1 to 2 000 characters.
    pub reply: Option<String>,
    /// When the provider last wrote that.
    pub replied_at: Option<Instant>,
    /// Counts the edits.
    pub version: i32,
    /// When it was written.
    pub created_at: Instant,
    /// When it was last replied to or moderated.
    pub updated_at: Instant,
}

impl Review {
    /// Whether the viewer may know of it: everyone of a visible one, its author and moderators of a hidden one.
    pub fn is_visible_to(&self, viewer: &Viewer) -> bool {
        self.visible || viewer.is(self.author_id) || viewer.may(known::REVIEWS_MODERATE)
    }
}

/// What a review has to know of a booking.
#[derive(Clone, Debug, Queryable)]
pub struct ReviewedBooking {
    /// Identity.
    pub id: BookingId,
    /// Who booked.
    pub client_id: UserId,
    /// Who was booked.
    pub provider_id: ProviderId,
    /// The provider's person.
    pub provider_user_id: UserId,
    /// How far it is.
    pub state: String,
    /// When it was completed.
    pub completed_at: Option<Instant>,
}

/// What a review has to know of a booking; `lock` keeps its state until the transaction ends.
pub async fn reviewed_booking(
    conn: &mut AsyncPgConnection,
    id: BookingId,
    lock: bool,
) -> QueryResult<Option<ReviewedBooking>> {
    if lock {
        bookings::table
            .find(id)
            .select(bookings::id)
            .for_no_key_update()
            .first::<BookingId>(conn)
            .await
            .optional()?;
    }
    bookings::table
        .inner_join(providers::table.on(providers::id.eq(bookings::provider_id)))
        .filter(bookings::id.eq(id))
        .select((
            bookings::id,
            bookings::client_id,
            bookings::provider_id,
            providers::user_id,
            bookings::state,
            bookings::completed_at,
        ))
        .first(conn)
        .await
        .optional()
}

/// Whose profile this is and how far it is (`APPROVED` is what everyone sees).
pub async fn owner_and_status(
    mut conn: &AsyncPgConnection,
    id: ProviderId,
) -> QueryResult<Option<(UserId, String)>> {
    providers::table
        .find(id)
        .select((providers::user_id, providers::status))
        .first(&mut conn)
        .await
        .optional()
}

/// Locks a provider's row, which precedes bookings and reviews in the written order.
pub async fn lock_provider(conn: &mut AsyncPgConnection, id: ProviderId) -> QueryResult<()> {
    providers::table
        .find(id)
        .select(providers::id)
        .for_no_key_update()
        .first::<ProviderId>(conn)
        .await
        .optional()?;
    Ok(())
}

/// The reviews with these ids, whoever may see them, in no order.
pub async fn by_ids(mut conn: &AsyncPgConnection, ids: &[ReviewId]) -> QueryResult<Vec<Review>> {
    reviews::table
        .filter(reviews::id.eq_any(ids))
        .select(Review::as_select())
        .load(&mut conn)
        .await
}

/// The reviews of these bookings, whoever may see them, in no order.
pub async fn by_booking_ids(
    mut conn: &AsyncPgConnection,
    ids: &[BookingId],
) -> QueryResult<Vec<Review>> {
    reviews::table
        .filter(reviews::booking_id.eq_any(ids))
        .select(Review::as_select())
        .load(&mut conn)
        .await
}

/// One review, whoever may see it.
pub async fn by_id(conn: &mut AsyncPgConnection, id: ReviewId) -> QueryResult<Option<Review>> {
    reviews::table
        .find(id)
        .select(Review::as_select())
        .first(conn)
        .await
        .optional()
}

/// Locks a review and reads it. Lock its provider before where `visible` or `rating` will change.
pub async fn lock(conn: &mut AsyncPgConnection, id: ReviewId) -> QueryResult<Option<Review>> {
    reviews::table
        .find(id)
        .select(Review::as_select())
        .for_no_key_update()
        .first(conn)
        .await
        .optional()
}

/// Adds a review; a second one of a booking violates `reviews_booking_id_key`.
pub async fn insert(conn: &mut AsyncPgConnection, review: &Review) -> QueryResult<()> {
    diesel::insert_into(reviews::table)
        .values(review)
        .execute(conn)
        .await?;
    Ok(())
}

/// Writes the provider's reply.
pub async fn save_reply(conn: &mut AsyncPgConnection, review: &Review) -> QueryResult<()> {
    diesel::update(reviews::table.find(review.id))
        .set((
            reviews::reply.eq(&review.reply),
            reviews::replied_at.eq(review.replied_at),
            reviews::version.eq(review.version),
            reviews::updated_at.eq(review.updated_at),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Writes whether everyone sees it; the trigger brings the provider's rating along.
pub async fn save_visibility(conn: &mut AsyncPgConnection, review: &Review) -> QueryResult<()> {
    diesel::update(reviews::table.find(review.id))
        .set((
            reviews::visible.eq(review.visible),
            reviews::hidden_reason.eq(&review.hidden_reason),
            reviews::version.eq(review.version),
            reviews::updated_at.eq(review.updated_at),
        ))
        .execute(conn)
        .await?;
    Ok(())
}
