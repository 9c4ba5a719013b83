//! A booking, its proposal, its history and what the viewer may do.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use jiff::Timestamp;

use crate::{
    db::ids::{BookingEventId, BookingId, BookingProposalId},
    error::{Error, Result},
    features::{
        bookings::{actions, cancel, machine, model},
        catalog::graphql::Service,
        payments::graphql::Order,
        providers::graphql::{CancellationPolicy, Provider},
        reviews::graphql::Review,
        users::graphql::User,
    },
    graphql::{context::ContextExt, money::Money, scalars::DateTime, user_error::ErrorCode},
};

/// How far a booking is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "machine::State")]
pub enum BookingState {
    /// The client asked; the time is held until the provider answers.
    Requested,
    /// The provider said yes; the time is held until it is paid.
    Accepted,
    /// It takes place.
    Confirmed,
    /// It took place; the client may review it within 30 days.
    Completed,
    /// One side says that the other did not come.
    NoShow,
    /// The provider said no.
    Rejected,
    /// Called off.
    Cancelled,
    /// Nobody answered or paid in time.
    Expired,
}

/// In which part somebody acted on a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "machine::Side")]
pub enum BookingSide {
    /// Who booked.
    Client,
    /// Who is booked.
    Provider,
    /// Staff.
    Staff,
    /// A deadline, or the payment gateway.
    System,
}

/// One of the two sides of a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "machine::Party")]
pub enum BookingParty {
    /// Who booked.
    Client,
    /// Who is booked.
    Provider,
}

/// What can happen to a booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "machine::Action")]
pub enum BookingAction {
    /// The client asks for a time (`bookingCreate`).
    Create,
    /// The provider says yes (`bookingAccept`).
    Accept,
    /// The provider says no (`bookingReject`).
    Reject,
    /// A payment arrives.
    Pay,
    /// Nobody answered or paid in time.
    Expire,
    /// A side or staff call it off (`bookingCancel`).
    Cancel,
    /// It took place (`bookingComplete`).
    Complete,
    /// A side says that the other did not come (`bookingNoShow`).
    NoShow,
    /// A side proposes another time (`bookingReschedule`).
    Reschedule,
    /// The other side agrees to it (`bookingRescheduleAnswer`).
    RescheduleAccept,
    /// The other side keeps the old time (`bookingRescheduleAnswer`).
    RescheduleDecline,
    /// Nobody answered the proposal in time.
    RescheduleExpire,
    /// A side's account was closed.
    Suspend,
    /// Staff have looked at it (`bookingAttentionClear`).
    Settle,
}

/// How far a proposal of another time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "model::ProposalState")]
pub enum BookingProposalState {
    /// The other side may answer.
    Open,
    /// The booking moved.
    Accepted,
    /// The other side keeps the old time.
    Declined,
    /// Nobody answered in time.
    Expired,
    /// The booking ended before an answer.
    Closed,
}

/// A booking of a provider's time by a client. It shows to both of them and to staff.
#[derive(async_graphql::Description, Clone)]
pub struct Booking(pub Arc<model::Booking>);

impl Booking {
    /// The booking with this id, when the viewer may know of it.
    pub async fn by_id(ctx: &Context<'_>, id: BookingId) -> Result<Option<Self>> {
        let row = ctx.loaders().bookings.load(id).await?;
        Ok(row.filter(|row| row.is_visible_to(ctx.viewer())).map(Self))
    }

    /// From what a service answered.
    pub(super) fn from_row(row: model::Booking) -> Self {
        Self(Arc::new(row))
    }
}

#[Object(use_type_description)]
impl Booking {
    /// Identity (`bkg_…`).
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// How far it is. Past its deadline it is EXPIRED.
    async fn state(&self, ctx: &Context<'_>) -> BookingState {
        self.0.state_at(ctx.app().clock.now()).into()
    }

    /// Counts the changes; pass it as `expectedVersion`.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// Who booked.
    async fn client(&self, ctx: &Context<'_>) -> Result<User> {
        let user = ctx.loaders().users.load(self.0.client_id).await?;
        user.map(User)
            .ok_or_else(|| Error::internal("a booking without a client"))
    }

    /// Who is booked.
    async fn provider(&self, ctx: &Context<'_>) -> Result<Provider> {
        // Whatever has become of the profile: a booking's sides know each other.
        let provider = ctx.loaders().providers.load(self.0.provider_id).await?;
        provider
            .map(Provider)
            .ok_or_else(|| Error::internal("a booking without a provider"))
    }

    /// For what.
    async fn service(&self, ctx: &Context<'_>) -> Result<Service> {
        let service = ctx.loaders().services.load(self.0.service_id).await?;
        service
            .map(Service)
            .ok_or_else(|| Error::internal("a booking without a service"))
    }

    /// The order with which its client pays it; null before there is one, for a free booking, and for who sees the
    /// booking but not its money (staff without `orders:read`).
    async fn order(&self, ctx: &Context<'_>) -> Result<Option<Order>> {
        Order::of_booking(ctx, self.0.id).await
    }

    /// From when.
    async fn starts_at(&self) -> DateTime {
        DateTime(*self.0.starts_at)
    }

    /// Until when.
    async fn ends_at(&self) -> DateTime {
        DateTime(*self.0.ends_at)
    }

    /// What the client wrote to the provider, at most 2 000 characters; may be empty.
    async fn note(&self) -> &str {
        &self.0.note
    }

    /// What it costs, as it was when the booking was made; 0 is free.
    async fn price(&self) -> Result<Money> {
        Money::of(self.0.price_minor, &self.0.currency)
    }

    /// How long it is, in minutes.
    async fn duration_minutes(&self) -> i32 {
        self.0.duration_minutes
    }

    /// What a cancellation costs, as it was when the booking was made.
    async fn cancellation_policy(&self) -> CancellationPolicy {
        self.0.cancellation_policy.into()
    }

    /// The version of the boundary rules that hold for it.
    async fn boundary_version(&self) -> i32 {
        self.0.boundary_version
    }

    /// Until when the provider may answer the request.
    async fn answer_deadline(&self) -> DateTime {
        DateTime(*self.0.answer_deadline)
    }

    /// Until when the client may pay; null until the provider accepts, and for a free booking.
    async fn payment_deadline(&self) -> Option<DateTime> {
        self.0.payment_deadline.map(|at| DateTime(*at))
    }

    /// Why it was rejected, cancelled or closed as a no-show; null where nobody said.
    async fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// Which side ended or completed it; null while it goes on.
    async fn closed_by(&self, ctx: &Context<'_>) -> Option<BookingSide> {
        let expired = self.0.state_at(ctx.app().clock.now()) == machine::State::Expired;
        if expired {
            Some(BookingSide::System)
        } else {
            self.0.closed_by.map(Into::into)
        }
    }

    /// Who did not come, by the other's word; null unless the state is NO_SHOW.
    async fn absent_side(&self) -> Option<BookingParty> {
        self.0.absent_side.map(Into::into)
    }

    /// When it was completed; null before.
    async fn completed_at(&self) -> Option<DateTime> {
        self.0.completed_at.map(|at| DateTime(*at))
    }

    /// Why staff should look at it, until `bookingAttentionClear` says that it is settled; for staff with `bookings:read`, null for others.
    async fn needs_attention(&self, ctx: &Context<'_>) -> Option<&str> {
        let why = self.0.needs_attention.as_deref();
        why.filter(|_| ctx.viewer().may("bookings:read"))
    }

    /// The latest proposal of another time; null when there was none.
    async fn proposal(&self, ctx: &Context<'_>) -> Result<Option<BookingProposal>> {
        let now = ctx.app().clock.now();
        let proposal = ctx.loaders().proposals.load(self.0.id).await?;
        Ok(proposal.map(|row| BookingProposal::at(now, &row)))
    }

    /// What has happened to it, from its beginning.
    async fn events(&self, ctx: &Context<'_>) -> Result<Vec<BookingEvent>> {
        let events = ctx.loaders().booking_events.load(self.0.id).await?;
        Ok(events.iter().map(BookingEvent::from).collect())
    }

    /// What you may do with it now, and why not; each action of yours and of the other side once.
    async fn viewer_actions(&self, ctx: &Context<'_>) -> Result<Vec<BookingViewerAction>> {
        let now = ctx.app().clock.now();
        let proposal = ctx.loaders().proposals.load(self.0.id).await?;
        let actions = actions::viewer_actions(&self.0, proposal.as_deref(), ctx.viewer(), now);
        Ok(actions
            .into_iter()
            .map(|one| BookingViewerAction {
                action: one.action.into(),
                allowed: one.refused.is_none(),
                reason_code: one.refused.map(Into::into),
                available_until: one.available_until.map(DateTime),
            })
            .collect())
    }

    /// What its client says of it afterwards; null without a review, and for others while staff hide it.
    async fn review(&self, ctx: &Context<'_>) -> Result<Option<Review>> {
        Review::of_booking(ctx, self.0.id).await
    }

    /// When it was asked for.
    async fn created_at(&self) -> DateTime {
        DateTime(*self.0.created_at)
    }

    /// When it last changed.
    async fn updated_at(&self) -> DateTime {
        DateTime(*self.0.updated_at)
    }
}

/// A proposal to move a booking; while it is OPEN its time is held. It shows to whom the booking does.
#[derive(Clone, Debug, SimpleObject)]
pub struct BookingProposal {
    /// Identity (`bpr_…`).
    #[graphql(owned)]
    pub id: ID,
    /// Who proposes; the other side answers.
    pub proposed_by: BookingParty,
    /// How far it is. Past its deadline it is EXPIRED.
    pub state: BookingProposalState,
    /// The proposed start.
    pub starts_at: DateTime,
    /// The proposed end.
    pub ends_at: DateTime,
    /// Until when the other side may answer.
    pub answer_deadline: DateTime,
    /// When it was made.
    pub created_at: DateTime,
}

impl BookingProposal {
    fn at(now: Timestamp, row: &model::BookingProposal) -> Self {
        Self {
            id: row.id.to_string().into(),
            proposed_by: row.proposed_by.into(),
            state: row.state_at(now).into(),
            starts_at: DateTime(*row.starts_at),
            ends_at: DateTime(*row.ends_at),
            answer_deadline: DateTime(*row.answer_deadline),
            created_at: DateTime(*row.created_at),
        }
    }

    /// The proposal with this id, when the viewer may know of its booking.
    pub async fn by_id(ctx: &Context<'_>, id: BookingProposalId) -> Result<Option<Self>> {
        let Some(row) = ctx.loaders().proposal.load(id).await? else {
            return Ok(None);
        };
        let booking = Booking::by_id(ctx, row.booking_id).await?;
        let now = ctx.app().clock.now();
        Ok(booking.map(|_| Self::at(now, &row)))
    }
}

/// An entry of a booking's history. It shows to whom the booking does.
#[derive(Clone, Debug, SimpleObject)]
pub struct BookingEvent {
    /// Identity (`bev_…`).
    #[graphql(owned)]
    pub id: ID,
    /// What happened.
    pub action: BookingAction,
    /// The state before; null for the first entry.
    pub from_state: Option<BookingState>,
    /// The state after.
    pub to_state: BookingState,
    /// In which part somebody acted.
    pub side: BookingSide,
    /// Why, where a reason was given.
    pub reason: Option<String>,
    /// When.
    pub created_at: DateTime,
}

impl From<&model::BookingEvent> for BookingEvent {
    fn from(row: &model::BookingEvent) -> Self {
        Self {
            id: row.id.to_string().into(),
            action: row.action.into(),
            from_state: row.from_state.map(Into::into),
            to_state: row.to_state.into(),
            side: row.actor_side.into(),
            reason: row.reason.clone(),
            created_at: DateTime(*row.created_at),
        }
    }
}

impl BookingEvent {
    /// The entry with this id, when the viewer may know of its booking.
    pub async fn by_id(ctx: &Context<'_>, id: BookingEventId) -> Result<Option<Self>> {
        let Some(row) = ctx.loaders().booking_event.load(id).await? else {
            return Ok(None);
        };
        let booking = Booking::by_id(ctx, row.booking_id).await?;
        Ok(booking.map(|_| Self::from(&*row)))
    }
}

/// An action, and whether you may take it now.
#[derive(Clone, Debug, SimpleObject)]
pub struct BookingViewerAction {
    /// Which.
    pub action: BookingAction,
    /// Whether the operation would be accepted now, as far as the booking itself decides.
    pub allowed: bool,
    /// Why not: the code that the operation would answer; null when it is allowed.
    pub reason_code: Option<ErrorCode>,
    /// Until when it is allowed, where that is known; null otherwise.
    pub available_until: Option<DateTime>,
}

/// What a cancellation costs.
#[derive(Clone, Debug, SimpleObject)]
pub struct BookingCancelQuote {
    /// Percent of what was paid that goes back to the client, 0 to 100; 100 where nothing was paid.
    pub refund_percent: i32,
    /// What goes back to the client; 0 where nothing was paid.
    pub refund: Money,
    /// What stays with the provider of what was paid and not given back before.
    pub fee: Money,
    /// Until when this holds; null where it does not change.
    pub valid_until: Option<DateTime>,
}

impl From<cancel::Quote> for BookingCancelQuote {
    fn from(quote: cancel::Quote) -> Self {
        let cancel::Quote {
            refund_percent,
            refund,
            fee,
            valid_until,
        } = quote;
        Self {
            refund_percent: i32::try_from(refund_percent).unwrap_or(100),
            refund: refund.into(),
            fee: fee.into(),
            valid_until: valid_until.map(DateTime),
        }
    }
}
