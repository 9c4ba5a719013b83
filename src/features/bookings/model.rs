//! Rows of `bookings` and `booking_events`.

mod due;
pub mod held;
pub mod pages;
pub mod parties;
mod proposals;

use diesel::{pg::Pg, prelude::*, sql_types::Uuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use jiff::Timestamp;

use super::machine::Facts;
pub use super::machine::{Action, Party, Side, State};
pub use crate::features::providers::model::CancellationPolicy;
use crate::{
    auth::viewer::Viewer,
    db::{
        Instant,
        ids::{BookingEventId, BookingId, ProviderId, ServiceId, UserId},
        schema::{booking_events, bookings},
    },
    sql_expression,
};
pub use due::{StateAt, lock_overdue_of, overdue, overdue_query, unsettled, upcoming_of};
pub use proposals::{
    BookingProposal, ProposalState, latest_proposal, latest_proposals, proposals_by_ids,
    proposals_of,
};
pub(in crate::features::bookings) use proposals::{end_proposal, insert_proposal};

sql_expression! {
    /// Whose the booked provider is. A subselect, so that locking a booking locks no provider.
    ProviderUser: Uuid = "(SELECT p.user_id FROM providers p WHERE p.id = bookings.provider_id)" on bookings::table;
}

/// A booking.
#[derive(Clone, Debug, PartialEq, Queryable, Selectable, Insertable)]
#[diesel(table_name = bookings, check_for_backend(diesel::pg::Pg))]
pub struct Booking {
    /// Identity.
    pub id: BookingId,
    /// Who booked.
    pub client_id: UserId,
    /// Who is booked.
    pub provider_id: ProviderId,
    /// Whose that provider is.
    #[diesel(select_expression = ProviderUser, skip_insertion)]
    pub provider_user_id: UserId,
    /// For what.
    pub service_id: ServiceId,
    /// The state in the row; [`Booking::state_at`] is what everyone sees.
    pub state: State,
    /// Counts the changes.
    pub version: i32,
    /// From when.
    pub starts_at: Instant,
    /// Until when.
    pub ends_at: Instant,
    /// What the client wrote, at most 2 000 characters.
    pub note: String,
    /// Frozen: the price in the currency's minor unit; 0 is free.
    pub price_minor: i64,
    /// Frozen: ISO 4217's code.
    pub currency: String,
    /// Frozen: how long it is.
    pub duration_minutes: i32,
    /// Frozen: what a cancellation costs.
    pub cancellation_policy: CancellationPolicy,
    /// Frozen: the version of the boundary rules that the client had acknowledged.
    pub boundary_version: i32,
    /// Frozen: kept free before, for the provider.
    pub buffer_before_minutes: i32,
    /// Frozen: kept free after, for the provider.
    pub buffer_after_minutes: i32,
    /// Until when the provider may answer.
    pub answer_deadline: Instant,
    /// Until when the client may pay; set by accepting.
    pub payment_deadline: Option<Instant>,
    /// Why it was rejected, cancelled or closed as a no-show.
    pub reason: Option<String>,
    /// Which side ended or completed it.
    pub closed_by: Option<Side>,
    /// Who did not come, by the other's word.
    pub absent_side: Option<Party>,
    /// When it was completed.
    pub completed_at: Option<Instant>,
    /// Why staff should look at it.
    pub needs_attention: Option<String>,
    /// When it was asked for.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
    /// Whether each side has said that the other did not come.
    pub contested: bool,
}

impl Booking {
    /// What the machine looks at, without a proposal.
    pub fn facts(&self) -> Facts {
        Facts {
            state: self.state,
            starts_at: *self.starts_at,
            ends_at: *self.ends_at,
            answer_deadline: *self.answer_deadline,
            payment_deadline: self.payment_deadline.map(|at| *at),
            free: self.price_minor == 0,
            closed_by: self.closed_by,
            contested: self.contested,
            needs_attention: self.needs_attention.is_some(),
            proposal: None,
        }
    }

    /// The same with its latest proposal.
    pub fn facts_with(&self, proposal: Option<&BookingProposal>) -> Facts {
        Facts {
            proposal: proposal.and_then(BookingProposal::facts),
            ..self.facts()
        }
    }

    /// The state that everyone sees: EXPIRED past its deadline, even when the job is late (rule 8).
    pub fn state_at(&self, now: Timestamp) -> State {
        self.facts().state_at(now)
    }

    /// In which part the viewer acts on it; nothing for who only looks.
    pub fn side_of(&self, viewer: &Viewer) -> Option<Side> {
        if viewer.is(self.client_id) {
            Some(Side::Client)
        } else if viewer.is(self.provider_user_id) {
            Some(Side::Provider)
        } else if viewer.may("bookings:manage") {
            Some(Side::Staff)
        } else {
            None
        }
    }

    /// Whether the viewer may know of it: its client, its provider, and staff.
    pub fn is_visible_to(&self, viewer: &Viewer) -> bool {
        viewer.is(self.client_id) || viewer.is(self.provider_user_id) || sees_all(viewer)
    }
}

/// Whether the viewer sees everybody's bookings.
fn sees_all(viewer: &Viewer) -> bool {
    viewer.may("bookings:read") || viewer.may("bookings:manage")
}

/// An entry of a booking's history; never changed.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = booking_events, check_for_backend(diesel::pg::Pg))]
pub struct BookingEvent {
    /// Identity.
    pub id: BookingEventId,
    /// Of what.
    pub booking_id: BookingId,
    /// What happened.
    pub action: Action,
    /// The state before; nothing for the first entry.
    pub from_state: Option<State>,
    /// The state after.
    pub to_state: State,
    /// In which part somebody acted.
    pub actor_side: Side,
    /// Who, when a person did.
    pub actor_id: Option<UserId>,
    /// Why, where a reason was given.
    pub reason: Option<String>,
    /// When.
    pub created_at: Instant,
}

/// A statement for bookings that is still being put together.
pub type Boxed<'a> = bookings::BoxedQuery<
    'a,
    Pg,
    diesel::helper_types::SqlTypeOf<diesel::helper_types::AsSelect<Booking, Pg>>,
>;

/// Every booking that the viewer may know of: their own as client or provider, staff's all.
fn visible_to<'a>(viewer: &Viewer) -> Boxed<'a> {
    let query = bookings::table.select(Booking::as_select()).into_boxed();
    if sees_all(viewer) {
        return query;
    }
    match viewer.user_id() {
        Some(user) => query.filter(bookings::client_id.eq(user).or(ProviderUser.eq(user))),
        None => query.filter(bookings::id.ne(bookings::id)),
    }
}

/// The booking with this id, if the viewer may know of it.
pub async fn find_visible(
    mut conn: &AsyncPgConnection,
    viewer: &Viewer,
    id: BookingId,
) -> QueryResult<Option<Booking>> {
    visible_to(viewer)
        .filter(bookings::id.eq(id))
        .first(&mut conn)
        .await
        .optional()
}

/// The bookings with these ids, whoever may see them, in no order.
pub async fn by_ids(mut conn: &AsyncPgConnection, ids: &[BookingId]) -> QueryResult<Vec<Booking>> {
    bookings::table
        .filter(bookings::id.eq_any(ids))
        .select(Booking::as_select())
        .load(&mut conn)
        .await
}

/// Locks a booking and reads it. Client and provider must be locked before, where both are (habit 5).
pub async fn lock(conn: &mut AsyncPgConnection, id: BookingId) -> QueryResult<Option<Booking>> {
    bookings::table
        .find(id)
        .select(Booking::as_select())
        .for_no_key_update()
        .first(conn)
        .await
        .optional()
}

/// Adds a booking.
pub async fn insert(conn: &mut AsyncPgConnection, booking: &Booking) -> QueryResult<()> {
    diesel::insert_into(bookings::table)
        .values(booking)
        .execute(conn)
        .await?;
    Ok(())
}

/// Writes what can change of a booking, if its state and version are still `was`; false when they are not (rule 2).
pub(super) async fn compare_and_set(
    conn: &mut AsyncPgConnection,
    was: (State, i32),
    booking: &Booking,
) -> QueryResult<bool> {
    let (state, version) = was;
    let changed = diesel::update(bookings::table)
        .filter(bookings::id.eq(booking.id))
        .filter(bookings::state.eq(state))
        .filter(bookings::version.eq(version))
        .set((
            bookings::state.eq(booking.state),
            bookings::version.eq(booking.version),
            bookings::starts_at.eq(booking.starts_at),
            bookings::ends_at.eq(booking.ends_at),
            bookings::payment_deadline.eq(booking.payment_deadline),
            bookings::reason.eq(&booking.reason),
            bookings::closed_by.eq(booking.closed_by),
            bookings::absent_side.eq(booking.absent_side),
            bookings::completed_at.eq(booking.completed_at),
            bookings::needs_attention.eq(&booking.needs_attention),
            bookings::updated_at.eq(booking.updated_at),
            bookings::contested.eq(booking.contested),
        ))
        .execute(conn)
        .await?;
    Ok(changed == 1)
}

/// Adds an entry to a booking's history.
pub(super) async fn insert_event(
    conn: &mut AsyncPgConnection,
    event: &BookingEvent,
) -> QueryResult<()> {
    diesel::insert_into(booking_events::table)
        .values(event)
        .execute(conn)
        .await?;
    Ok(())
}

/// The entries with these ids, of whatever booking, in no order.
pub async fn events_by_ids(
    mut conn: &AsyncPgConnection,
    ids: &[BookingEventId],
) -> QueryResult<Vec<BookingEvent>> {
    booking_events::table
        .filter(booking_events::id.eq_any(ids))
        .select(BookingEvent::as_select())
        .load(&mut conn)
        .await
}

/// The histories of these bookings, each from its beginning.
pub async fn events_of(
    mut conn: &AsyncPgConnection,
    bookings: &[BookingId],
) -> QueryResult<Vec<BookingEvent>> {
    booking_events::table
        .filter(booking_events::booking_id.eq_any(bookings))
        .order((booking_events::created_at, booking_events::id))
        .select(BookingEvent::as_select())
        .load(&mut conn)
        .await
}
