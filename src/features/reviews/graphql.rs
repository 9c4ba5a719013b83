//! Reviews in the schema.

pub mod plan;

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object};

use super::{
    loaders::{ReviewPage, ReviewsKey},
    model::{self, ListedReview},
    service,
};
use crate::{
    auth::{permissions::known, viewer::Viewer},
    cursor::{Page, PageArgs},
    db::{
        ids::{BookingId, ProviderId, ReviewId},
        retry_conflict,
    },
    error::{Error, Result},
    features::{bookings::graphql::Booking, providers::graphql::Provider, users::graphql::User},
    graphql::{
        args, connection::Connection, context::ContextExt, plan::Planned, scalars::DateTime,
    },
    payload,
};

/// What a client says of a provider after a booking.
#[derive(async_graphql::Description, Clone)]
pub struct Review(pub Arc<model::Review>);

impl Review {
    /// The review with this id, when the viewer may know of it.
    pub async fn by_id(ctx: &Context<'_>, id: ReviewId) -> Result<Option<Self>> {
        let row = ctx.loaders().reviews.load(id).await?;
        Ok(row.filter(|row| row.is_visible_to(ctx.viewer())).map(Self))
    }

    /// The review of this booking, when there is one and the viewer may know of it.
    pub async fn of_booking(ctx: &Context<'_>, id: BookingId) -> Result<Option<Self>> {
        let row = ctx.loaders().review_of_booking.load(id).await?;
        Ok(row.filter(|row| row.is_visible_to(ctx.viewer())).map(Self))
    }

    /// Whether the viewer sees why it is hidden.
    fn is_open_to(&self, viewer: &Viewer) -> bool {
        viewer.is(self.0.author_id) || viewer.may(known::REVIEWS_MODERATE)
    }
}

#[Object(use_type_description)]
impl Review {
    /// Identity (`rev_…`).
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Who wrote it.
    async fn author(&self, ctx: &Context<'_>) -> Result<User> {
        let user = ctx.loaders().users.load(self.0.author_id).await?;
        user.map(User)
            .ok_or_else(|| Error::internal("a review by nobody"))
    }

    /// Who is reviewed; null where you may not know of the profile (any more).
    async fn provider(&self, ctx: &Context<'_>) -> Result<Option<Provider>> {
        Provider::by_id(ctx, self.0.provider_id).await
    }

    /// What was lived through; for its two sides and staff with `bookings:read`, null for others.
    async fn booking(&self, ctx: &Context<'_>) -> Result<Option<Booking>> {
        Booking::by_id(ctx, self.0.booking_id).await
    }

    /// 1 to 5.
    async fn rating(&self) -> i32 {
        self.0.rating
    }

    /// At most 2 000 characters in several lines; may be empty.
    async fn comment(&self) -> &str {
        &self.0.comment
    }

    /// What the provider answers, 1 to 2 000 characters in several lines; null without an answer.
    async fn reply(&self) -> Option<&str> {
        self.0.reply.as_deref()
    }

    /// When the provider last wrote the reply; null without one.
    async fn replied_at(&self) -> Option<DateTime> {
        self.0.replied_at.map(|at| DateTime(*at))
    }

    /// Whether everyone sees it and it counts. Only its author and staff with `reviews:moderate` see hidden ones.
    async fn visible(&self) -> bool {
        self.0.visible
    }

    /// Why staff hid it; for its author and staff with `reviews:moderate`, null for others and while it is visible.
    async fn hidden_reason(&self, ctx: &Context<'_>) -> Option<&str> {
        let reason = self.0.hidden_reason.as_deref();
        reason.filter(|_| self.is_open_to(ctx.viewer()))
    }

    /// Counts the edits; pass it as `expectedVersion`.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// When it was written.
    async fn created_at(&self) -> DateTime {
        DateTime(*self.0.created_at)
    }

    /// When it was last replied to or moderated.
    async fn updated_at(&self) -> DateTime {
        DateTime(*self.0.updated_at)
    }
}

/// A page of a provider's visible reviews, the newest first; for `Provider.reviews` and `reviews`. One statement for
/// all providers that are asked for the same page.
pub async fn of_provider(
    ctx: &Context<'_>,
    provider: ProviderId,
    rating: Option<i32>,
    page: PageArgs,
) -> Result<Connection<Review>> {
    let page = page.with_page_info(ctx.selects("pageInfo"));
    let wanted = Wanted::new(rating, &page, ctx.selects("totalCount"))?;
    let slice = ctx
        .loaders()
        .reviews_of_provider
        .load(wanted.of(provider))
        .await?;
    Ok(connection(&slice, Review))
}

/// The name of the order, which cursors carry.
const ORDER: &str = "review.newest";

/// Which page of a provider's reviews is asked for.
struct Wanted {
    rating: Option<i32>,
    page: Page<model::ReviewKey>,
    count: bool,
}

impl Wanted {
    /// `BAD_REQUEST` for a rating that nobody can give or bad paging arguments.
    fn new(rating: Option<i32>, page: &PageArgs, count: bool) -> Result<Self> {
        if rating.is_some_and(|rating| !(1..=5).contains(&rating)) {
            return Err(Error::bad_request("A rating goes from 1 to 5."));
        }
        let page = page.page(ORDER)?;
        Ok(Self {
            rating,
            page,
            count,
        })
    }

    fn of(&self, provider: ProviderId) -> ReviewsKey {
        ReviewsKey::new(provider, self.rating, &self.page, self.count)
    }
}

fn connection<R: ListedReview, T: Clone>(
    slice: &ReviewPage<R>,
    node: impl Fn(Arc<R>) -> T,
) -> Connection<T> {
    Connection::of_shared(slice, ORDER, R::key, node)
}

/// Queries of reviews.
#[derive(Default)]
pub struct ReviewQueries;

#[Object]
impl ReviewQueries {
    /// The visible reviews of a provider, the newest first; none of a provider whom you may not know of. A cursor may be
    /// used with another rating.
    async fn reviews(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The provider (`prv_…`).")] of: ID,
        #[graphql(desc = "Only those of this rating, 1 to 5.")] rating: Option<i32>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without.")] first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Planned<Connection<Review>>> {
        let page = PageArgs::new(first, after, last, before);
        let provider = match args::maybe_id(&of) {
            Some(id) if service::knows_provider(ctx.app(), ctx.viewer(), id).await? => id,
            // Nobody has this id, so the list is empty, and what is wrong with the page still shows.
            _ => ProviderId(uuid::Uuid::nil()),
        };
        of_provider(ctx, provider, rating, page)
            .await
            .map(Planned::Rows)
    }
}

payload! {
    /// What `reviewCreate` did.
    ReviewCreatePayload {
        /// Your review.
        review: Review
    }
}

payload! {
    /// What `reviewReply` did.
    ReviewReplyPayload {
        /// The review with your reply.
        review: Review
    }
}

payload! {
    /// What `reviewModerate` did.
    ReviewModeratePayload {
        /// The review as it is now.
        review: Review
    }
}

/// A review.
#[derive(InputObject)]
pub struct ReviewCreateInput {
    /// 1 to 5.
    pub rating: i32,
    /// At most 2 000 characters; may have several lines.
    #[graphql(default)]
    pub comment: String,
}

/// A provider's reply.
#[derive(InputObject)]
pub struct ReviewReplyInput {
    /// 1 to 2 000 characters; may have several lines. It replaces an earlier one.
    pub reply: String,
}

/// A decision about a review.
#[derive(InputObject)]
pub struct ReviewModerateInput {
    /// False hides it from everyone but its author and staff, and from the provider's rating; true restores it.
    pub visible: bool,
    /// Why, 1 to 2 000 characters; needed to hide, and shown to the author. It is kept in the audit trail for good:
    /// write no personal data into it.
    pub reason: Option<String>,
}

/// Mutations of reviews.
#[derive(Default)]
pub struct ReviewMutations;

#[Object]
impl ReviewMutations {
    /// Reviews a completed booking of yours, once, within 30 days of its completion. Codes: `INVALID_INPUT`, `NOT_FOUND`,
    /// `NOT_ALLOWED` (you are not its client), `SELF_ACTION`, `INVALID_STATE` (not completed), `ALREADY_EXISTS`,
    /// `WINDOW_CLOSED`.
    async fn review_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The booking (`bkg_…`).")] booking_id: ID,
        #[graphql(desc = "The review.")] input: ReviewCreateInput,
    ) -> Result<ReviewCreatePayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let ReviewCreateInput { rating, comment } = input;
        let booking = args::maybe_id(&booking_id);
        let review =
            retry_conflict(|| service::create(app, viewer, booking, rating, &comment)).await;
        ReviewCreatePayload::of(review.map(|row| Review(Arc::new(row))))
    }

    /// Replies in public to a review of you, or changes your reply. Codes: `INVALID_INPUT`, `NOT_FOUND`, `NOT_ALLOWED`
    /// (you are not the provider), `INVALID_STATE` (you are not approved), `CONFLICT`.
    async fn review_reply(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The review (`rev_…`).")] id: ID,
        #[graphql(desc = "The reply.")] input: ReviewReplyInput,
        #[graphql(desc = "Refuse with `CONFLICT` unless `version` is this.")]
        expected_version: Option<i32>,
    ) -> Result<ReviewReplyPayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let ReviewReplyInput { reply } = input;
        let id = args::maybe_id(&id);
        let review =
            retry_conflict(|| service::reply(app, viewer, id, &reply, expected_version)).await;
        ReviewReplyPayload::of(review.map(|row| Review(Arc::new(row))))
    }

    /// Hides a review, or restores it; the provider's rating follows at once. Codes: `INVALID_INPUT`, `NOT_FOUND`,
    /// `SELF_ACTION` (by you or of you), `INVALID_STATE` (it is so already), `CONFLICT`.
    async fn review_moderate(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The review (`rev_…`).")] id: ID,
        #[graphql(desc = "The decision.")] input: ReviewModerateInput,
        #[graphql(desc = "Refuse with `CONFLICT` unless `version` is this.")]
        expected_version: Option<i32>,
    ) -> Result<ReviewModeratePayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let ReviewModerateInput { visible, reason } = input;
        let (id, reason) = (args::maybe_id(&id), reason.as_deref());
        let review = retry_conflict(|| {
            service::moderate(app, viewer, id, visible, reason, expected_version)
        })
        .await;
        ReviewModeratePayload::of(review.map(|row| Review(Arc::new(row))))
    }
}
