//! Making and changing bookings.

use async_graphql::{Context, ID, Object, SimpleObject};

use super::{
    inputs::{
        BookingAttentionClearInput, BookingCancelInput, BookingCreateInput, BookingNoShowInput,
        BookingRejectInput, BookingRescheduleAnswerInput, BookingRescheduleInput,
    },
    types::{Booking, BookingCancelQuote},
};
use crate::{
    db::retry_conflict,
    error::Result,
    features::bookings::service::{self, Answer, Move, NewBooking},
    graphql::{
        args,
        context::ContextExt,
        user_error::{UserError, outcome},
    },
    payload,
};

payload! {
    /// What `bookingCreate` did.
    BookingCreatePayload {
        /// The booking.
        booking: Booking
    }
}

payload! {
    /// What `bookingAccept` did.
    BookingAcceptPayload {
        /// The booking as it is now.
        booking: Booking
    }
}

payload! {
    /// What `bookingReject` did.
    BookingRejectPayload {
        /// The booking as it is now.
        booking: Booking
    }
}

payload! {
    /// What `bookingComplete` did.
    BookingCompletePayload {
        /// The booking as it is now.
        booking: Booking
    }
}

payload! {
    /// What `bookingNoShow` did.
    BookingNoShowPayload {
        /// The booking as it is now.
        booking: Booking
    }
}

payload! {
    /// What `bookingReschedule` did.
    BookingReschedulePayload {
        /// The booking as it is now, with its open proposal.
        booking: Booking
    }
}

payload! {
    /// What `bookingRescheduleAnswer` did.
    BookingRescheduleAnswerPayload {
        /// The booking as it is now.
        booking: Booking
    }
}

payload! {
    /// What `bookingAttentionClear` did.
    BookingAttentionClearPayload {
        /// The booking as it is now.
        booking: Booking
    }
}

/// What `bookingCancel` did.
#[derive(SimpleObject)]
pub struct BookingCancelPayload {
    /// The booking as it is now.
    pub booking: Option<Booking>,
    /// What it cost: what `bookingCancelQuote` had said.
    pub quote: Option<BookingCancelQuote>,
    /// Why nothing was done; empty on success.
    pub user_errors: Vec<UserError>,
}

/// Mutations of bookings.
#[derive(Default)]
pub struct BookingMutations;

#[Object]
impl BookingMutations {
    /// Asks for a time of a provider, which is held at once until they answer. Codes: `INVALID_INPUT`, `NOT_FOUND`,
    /// `SELF_ACTION`, `BLOCKED`, `BOUNDARY_NOT_ACKNOWLEDGED`, `OUTSIDE_AVAILABILITY`, `SLOT_TAKEN`,
    /// `OVERLAPS_OWN_BOOKING`, `IDEMPOTENCY_KEY_REUSED`.
    async fn booking_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to ask for.")] input: BookingCreateInput,
        #[graphql(
            desc = "1 to 128 printable ASCII characters of your own; a repeat within 24 h books once."
        )]
        idempotency_key: String,
    ) -> Result<BookingCreatePayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let BookingCreateInput {
            provider_id,
            service_id,
            starts_at,
            note,
        } = input;
        let input = NewBooking {
            provider_id: args::maybe_id(&provider_id),
            service_id: args::maybe_id(&service_id),
            starts_at: starts_at.0,
            note,
        };
        let made = retry_conflict(|| service::create(app, viewer, &input, &idempotency_key)).await;
        BookingCreatePayload::of(made.map(Booking::from_row))
    }

    /// As the provider, says yes to a request: ACCEPTED until it is paid within 2 h and 15 min before the start, or
    /// CONFIRMED when it is free. Codes: `NOT_FOUND`, `NOT_ALLOWED`, `CONFLICT`, `INVALID_STATE`.
    async fn booking_accept(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The booking (`bkg_…`).")] id: ID,
        #[graphql(desc = "Refuse with `CONFLICT` unless the booking has this version.")]
        expected_version: Option<i32>,
    ) -> Result<BookingAcceptPayload> {
        let (app, viewer, id) = (ctx.app(), ctx.viewer(), args::maybe_id(&id));
        let done = retry_conflict(|| service::accept(app, viewer, id, expected_version)).await;
        BookingAcceptPayload::of(done.map(Booking::from_row))
    }

    /// As the provider, says no to a request. Codes: `INVALID_INPUT`, `NOT_FOUND`, `NOT_ALLOWED`, `CONFLICT`,
    /// `INVALID_STATE`.
    async fn booking_reject(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The booking (`bkg_…`).")] id: ID,
        #[graphql(desc = "Why not.")] input: BookingRejectInput,
        #[graphql(desc = "Refuse with `CONFLICT` unless the booking has this version.")]
        expected_version: Option<i32>,
    ) -> Result<BookingRejectPayload> {
        let (app, viewer, id) = (ctx.app(), ctx.viewer(), args::maybe_id(&id));
        let BookingRejectInput { reason } = input;
        let done =
            retry_conflict(|| service::reject(app, viewer, id, &reason, expected_version)).await;
        BookingRejectPayload::of(done.map(Booking::from_row))
    }

    /// Calls a booking off: its client may until its end, its provider from when it is accepted until its end, staff with
    /// `bookings:manage` until it is closed. `bookingCancelQuote` says before what it costs. Codes: `INVALID_INPUT`,
    /// `NOT_FOUND`, `NOT_ALLOWED`, `CONFLICT`, `INVALID_STATE`, `WINDOW_CLOSED` (it is over), `IDEMPOTENCY_KEY_REUSED`.
    async fn booking_cancel(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The booking (`bkg_…`).")] id: ID,
        #[graphql(desc = "Why.")] input: BookingCancelInput,
        #[graphql(desc = "Refuse with `CONFLICT` unless the booking has this version.")]
        expected_version: Option<i32>,
        #[graphql(
            desc = "1 to 128 printable ASCII characters of your own; a repeat within 24 h answers the same."
        )]
        idempotency_key: String,
    ) -> Result<BookingCancelPayload> {
        let (app, viewer, id) = (ctx.app(), ctx.viewer(), args::maybe_id(&id));
        let BookingCancelInput { reason } = input;
        let done = retry_conflict(|| {
            let reason = reason.as_deref();
            service::cancel(app, viewer, id, reason, expected_version, &idempotency_key)
        });
        let (done, user_errors) = outcome(done.await)?;
        let (booking, quote) = match done {
            Some(service::Cancelled { booking, quote }) => (Some(booking), Some(quote)),
            None => (None, None),
        };
        Ok(BookingCancelPayload {
            booking: booking.map(Booking::from_row),
            quote: quote.map(Into::into),
            user_errors,
        })
    }

    /// Says that a confirmed booking took place: its client from the start, its provider from the end; 24 h after the
    /// end it happens by itself. Codes: `NOT_FOUND`, `NOT_ALLOWED`, `CONFLICT`, `INVALID_STATE`, `WINDOW_CLOSED`.
    async fn booking_complete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The booking (`bkg_…`).")] id: ID,
        #[graphql(desc = "Refuse with `CONFLICT` unless the booking has this version.")]
        expected_version: Option<i32>,
    ) -> Result<BookingCompletePayload> {
        let (app, viewer, id) = (ctx.app(), ctx.viewer(), args::maybe_id(&id));
        let done = retry_conflict(|| service::complete(app, viewer, id, expected_version)).await;
        BookingCompletePayload::of(done.map(Booking::from_row))
    }

    /// Says that the other side did not come, from 15 min after the start to 24 h after the end. The client gets
    /// everything back when the provider did not come, nothing when they did not. When each side says so of the other,
    /// staff decide. Codes: `INVALID_INPUT`, `NOT_FOUND`, `NOT_ALLOWED`, `CONFLICT`, `INVALID_STATE`, `WINDOW_CLOSED`.
    async fn booking_no_show(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The booking (`bkg_…`).")] id: ID,
        #[graphql(desc = "What happened.")] input: Option<BookingNoShowInput>,
        #[graphql(desc = "Refuse with `CONFLICT` unless the booking has this version.")]
        expected_version: Option<i32>,
    ) -> Result<BookingNoShowPayload> {
        let (app, viewer, id) = (ctx.app(), ctx.viewer(), args::maybe_id(&id));
        let reason = input.and_then(|BookingNoShowInput { reason }| reason);
        let done = retry_conflict(|| {
            service::no_show(app, viewer, id, reason.as_deref(), expected_version)
        });
        BookingNoShowPayload::of(done.await.map(Booking::from_row))
    }

    /// Takes a booking off the list of those that need a person, once it is settled: for contrary claims with a refund or
    /// without one. It stays contested, and neither side may claim again. Codes: `INVALID_INPUT`, `NOT_FOUND`,
    /// `NOT_ALLOWED` (you are one of its sides), `CONFLICT`, `INVALID_STATE` (nothing needs a person).
    async fn booking_attention_clear(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The booking (`bkg_…`).")] id: ID,
        #[graphql(desc = "How it was settled.")] input: Option<BookingAttentionClearInput>,
        #[graphql(desc = "Refuse with `CONFLICT` unless `version` is this.")]
        expected_version: Option<i32>,
    ) -> Result<BookingAttentionClearPayload> {
        let (app, viewer, id) = (ctx.app(), ctx.viewer(), args::maybe_id(&id));
        let BookingAttentionClearInput { note } = input.unwrap_or_default();
        let done = retry_conflict(|| {
            service::clear_attention(app, viewer, id, note.as_deref(), expected_version)
        });
        BookingAttentionClearPayload::of(done.await.map(Booking::from_row))
    }

    /// Proposes another time for a confirmed booking, which is held until the other side answers within 24 h and 1 h
    /// before the earlier start. Codes: `INVALID_INPUT`, `NOT_FOUND`, `NOT_ALLOWED`, `CONFLICT`, `INVALID_STATE`,
    /// `ALREADY_EXISTS` (a proposal is open), `WINDOW_CLOSED` (no time to answer is left), `LIMIT_REACHED`, `BLOCKED`,
    /// `OUTSIDE_AVAILABILITY`, `SLOT_TAKEN`, `OVERLAPS_OWN_BOOKING`, `IDEMPOTENCY_KEY_REUSED`.
    async fn booking_reschedule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The booking (`bkg_…`).")] id: ID,
        #[graphql(desc = "Another time.")] input: BookingRescheduleInput,
        #[graphql(desc = "Refuse with `CONFLICT` unless the booking has this version.")]
        expected_version: Option<i32>,
        #[graphql(
            desc = "1 to 128 printable ASCII characters of your own; a repeat within 24 h proposes once."
        )]
        idempotency_key: String,
    ) -> Result<BookingReschedulePayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let BookingRescheduleInput { starts_at } = input;
        let input = Move {
            id: args::maybe_id(&id),
            starts_at: starts_at.0,
            expected_version,
        };
        let done = retry_conflict(|| service::propose(app, viewer, input, &idempotency_key)).await;
        BookingReschedulePayload::of(done.map(Booking::from_row))
    }

    /// Answers the other side's proposal: yes moves the booking with its payment and terms, no keeps the old time.
    /// Codes: `INVALID_INPUT`, `NOT_FOUND`, `NOT_ALLOWED`, `CONFLICT`, `INVALID_STATE` (nothing is proposed),
    /// `WINDOW_CLOSED` (too late), `IDEMPOTENCY_KEY_REUSED`.
    async fn booking_reschedule_answer(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The booking (`bkg_…`).")] id: ID,
        #[graphql(desc = "The answer.")] input: BookingRescheduleAnswerInput,
        #[graphql(desc = "Refuse with `CONFLICT` unless the booking has this version.")]
        expected_version: Option<i32>,
        #[graphql(
            desc = "1 to 128 printable ASCII characters of your own; a repeat within 24 h answers once."
        )]
        idempotency_key: String,
    ) -> Result<BookingRescheduleAnswerPayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let BookingRescheduleAnswerInput { accept } = input;
        let input = Answer {
            id: args::maybe_id(&id),
            accept,
            expected_version,
        };
        let done = retry_conflict(|| service::answer(app, viewer, input, &idempotency_key)).await;
        BookingRescheduleAnswerPayload::of(done.map(Booking::from_row))
    }
}
