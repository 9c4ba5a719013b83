//! What bookings take.

use async_graphql::{ID, InputObject};

use super::types::BookingState;
use crate::{
    db::Instant,
    features::bookings::{machine::State, model::pages::Filter},
    graphql::{args, scalars::DateTime},
};

/// What to ask for.
#[derive(Clone, Debug, InputObject)]
pub struct BookingCreateInput {
    /// Whom to book (`prv_…`). `NOT_FOUND` unless you may find the provider.
    pub provider_id: ID,
    /// For which service (`srv_…`). `NOT_FOUND` unless the provider offers it now.
    pub service_id: ID,
    /// One of `Provider.slots`. `OUTSIDE_AVAILABILITY` for any other time, `SLOT_TAKEN` when somebody was faster.
    pub starts_at: DateTime,
    /// For the provider to read, at most 2 000 characters.
    #[graphql(default)]
    pub note: String,
}

/// Why not.
#[derive(Clone, Debug, InputObject)]
pub struct BookingRejectInput {
    /// For the client to read, 1 to 2 000 characters.
    pub reason: String,
}

/// Why it is called off.
#[derive(Clone, Debug, InputObject)]
pub struct BookingCancelInput {
    /// For the other side to read, at most 2 000 characters. What staff write is kept for good: write no personal data
    /// into it.
    pub reason: Option<String>,
}

/// What happened.
#[derive(Clone, Debug, InputObject)]
pub struct BookingNoShowInput {
    /// For the other side and staff to read, at most 2 000 characters.
    pub reason: Option<String>,
}

/// How what needed a person was settled.
#[derive(Clone, Debug, Default, InputObject)]
pub struct BookingAttentionClearInput {
    /// For staff alone, at most 2 000 characters. It is kept in the audit trail for good: write no personal data into it.
    pub note: Option<String>,
}

/// Another time.
#[derive(Clone, Copy, Debug, InputObject)]
pub struct BookingRescheduleInput {
    /// A bookable time of the provider for the booking's length; see `Provider.slots`.
    pub starts_at: DateTime,
}

/// The answer to a proposal.
#[derive(Clone, Copy, Debug, InputObject)]
pub struct BookingRescheduleAnswerInput {
    /// Whether the booking moves to the proposed time.
    pub accept: bool,
}

/// Which of one's own bookings; every condition given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct BookingsOfFilter {
    /// In one of these states.
    pub states: Option<Vec<BookingState>>,
    /// Starting at or after this.
    pub from: Option<DateTime>,
    /// Starting before this.
    pub to: Option<DateTime>,
}

impl From<BookingsOfFilter> for Filter {
    fn from(filter: BookingsOfFilter) -> Self {
        let BookingsOfFilter { states, from, to } = filter;
        Self {
            states: states.map(stored),
            from: from.map(|at| Instant(at.0)),
            to: to.map(|at| Instant(at.0)),
            ..Self::default()
        }
    }
}

/// Which bookings; every condition given must hold.
#[derive(Clone, Debug, Default, InputObject)]
pub struct BookingsFilter {
    /// In one of these states.
    pub states: Option<Vec<BookingState>>,
    /// Of this client (`usr_…`).
    pub client_id: Option<ID>,
    /// Of this provider (`prv_…`).
    pub provider_id: Option<ID>,
    /// For this service (`srv_…`).
    pub service_id: Option<ID>,
    /// Starting at or after this.
    pub from: Option<DateTime>,
    /// Starting before this.
    pub to: Option<DateTime>,
    /// Whether staff should look at it.
    pub needs_attention: Option<bool>,
}

impl BookingsFilter {
    /// The model's filter; nothing when an id is none of its type, which no booking has.
    pub(super) fn read(self) -> Option<Filter> {
        let Self {
            states,
            client_id,
            provider_id,
            service_id,
            from,
            to,
            needs_attention,
        } = self;
        Some(Filter {
            states: states.map(stored),
            client_id: read_id(client_id)?,
            provider_id: read_id(provider_id)?,
            service_id: read_id(service_id)?,
            from: from.map(|at| Instant(at.0)),
            to: to.map(|at| Instant(at.0)),
            needs_attention,
        })
    }
}

/// The typed id where one is given; nothing where what is given is none.
#[expect(clippy::option_option, reason = "absent and malformed are two things")]
fn read_id<T: crate::db::ids::TypedId>(id: Option<ID>) -> Option<Option<T>> {
    match id {
        None => Some(None),
        Some(id) => args::maybe_id(&id).map(Some),
    }
}

fn stored(states: Vec<BookingState>) -> Vec<State> {
    states.into_iter().map(Into::into).collect()
}
