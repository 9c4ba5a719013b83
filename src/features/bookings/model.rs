//! Rows of `bookings`, `booking_proposals` and `booking_events`.

pub mod held;
pub mod pages;
pub mod parties;

use diesel::{
    expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping},
    pg::Pg,
    prelude::*,
    query_builder::{AstPass, QueryFragment, QueryId},
    sql_types::{Bool, Text, Timestamptz, Uuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use jiff::Timestamp;

pub use super::machine::{Action, Party, Side, State};
use super::machine::{Facts, Proposal};
pub use crate::features::providers::model::CancellationPolicy;
use crate::{
    auth::viewer::Viewer,
    db::{
        Instant,
        ids::{BookingEventId, BookingId, BookingProposalId, ProviderId, ServiceId, UserId},
        schema::{booking_events, booking_proposals, bookings, held_times},
    },
    sql_expression, text_enum,
};

text_enum! {
    /// How far a proposal of another time is.
    pub enum ProposalState {
        /// The other side may answer.
        Open = "OPEN",
        /// The booking moved.
        Accepted = "ACCEPTED",
        /// The other side keeps the old time.
        Declined = "DECLINED",
        /// Nobody answered in time.
        Expired = "EXPIRED",
        /// The booking ended before an answer.
        Closed = "CLOSED",
    }
}

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
            contested: self.state == State::NoShow && self.needs_attention.is_some(),
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

/// A proposal to move a booking.
#[derive(Clone, Debug, PartialEq, Queryable, Selectable, Insertable)]
#[diesel(table_name = booking_proposals, check_for_backend(diesel::pg::Pg))]
pub struct BookingProposal {
    /// Identity.
    pub id: BookingProposalId,
    /// What is to move.
    pub booking_id: BookingId,
    /// Who proposes.
    pub proposed_by: Party,
    /// How far it is; [`BookingProposal::state_at`] is what everyone sees.
    pub state: ProposalState,
    /// The proposed start.
    pub starts_at: Instant,
    /// The proposed end.
    pub ends_at: Instant,
    /// Until when the other side may answer.
    pub answer_deadline: Instant,
    /// When it was made.
    pub created_at: Instant,
    /// When it was answered.
    pub answered_at: Option<Instant>,
}

impl BookingProposal {
    /// What the machine looks at: one that is open, or was until its deadline passed, so that the job's being late
    /// changes no answer.
    fn facts(&self) -> Option<Proposal> {
        matches!(self.state, ProposalState::Open | ProposalState::Expired).then_some(Proposal {
            by: self.proposed_by,
            answer_deadline: *self.answer_deadline,
        })
    }

    /// The state that everyone sees (rule 8).
    pub fn state_at(&self, now: Timestamp) -> ProposalState {
        if self.state == ProposalState::Open && *self.answer_deadline <= now {
            ProposalState::Expired
        } else {
            self.state
        }
    }
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

/// The state that everyone sees at an instant, in SQL: [`Facts::state_at`].
#[derive(Clone, Copy, Debug, QueryId, ValidGrouping)]
pub struct StateAt(pub Instant);

impl Expression for StateAt {
    type SqlType = Text;
}

impl<T> AppearsOnTable<T> for StateAt {}

impl<T> SelectableExpression<T> for StateAt {}

impl QueryFragment<Pg> for StateAt {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("(CASE WHEN bookings.state = 'REQUESTED' AND bookings.answer_deadline <= ");
        out.push_bind_param::<Timestamptz, _>(&self.0)?;
        out.push_sql(" OR bookings.state = 'ACCEPTED' AND bookings.payment_deadline <= ");
        out.push_bind_param::<Timestamptz, _>(&self.0)?;
        out.push_sql(" THEN 'EXPIRED' ELSE bookings.state END)");
        Ok(())
    }
}

/// Whether a row's deadline has passed: its own, or that of its open proposal. Stored states are tested first, so
/// that the indexes on due rows serve.
#[derive(Clone, Copy, Debug, QueryId, ValidGrouping)]
struct Overdue(Instant);

impl Expression for Overdue {
    type SqlType = Bool;
}

impl AppearsOnTable<bookings::table> for Overdue {}

impl QueryFragment<Pg> for Overdue {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("(bookings.state = 'REQUESTED' AND bookings.answer_deadline <= ");
        out.push_bind_param::<Timestamptz, _>(&self.0)?;
        out.push_sql(" OR bookings.state = 'ACCEPTED' AND bookings.payment_deadline <= ");
        out.push_bind_param::<Timestamptz, _>(&self.0)?;
        out.push_sql(
            " OR bookings.id = ANY (ARRAY(SELECT bp.booking_id FROM booking_proposals bp \
             WHERE bp.state = 'OPEN' AND bp.answer_deadline <= ",
        );
        out.push_bind_param::<Timestamptz, _>(&self.0)?;
        out.push_sql(")))");
        Ok(())
    }
}

type Boxed<'a> = bookings::BoxedQuery<
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
    conn: &mut AsyncPgConnection,
    viewer: &Viewer,
    id: BookingId,
) -> QueryResult<Option<Booking>> {
    visible_to(viewer)
        .filter(bookings::id.eq(id))
        .first(conn)
        .await
        .optional()
}

/// The bookings with these ids, whoever may see them, in no order.
pub async fn by_ids(conn: &mut AsyncPgConnection, ids: &[BookingId]) -> QueryResult<Vec<Booking>> {
    bookings::table
        .filter(bookings::id.eq_any(ids))
        .select(Booking::as_select())
        .load(conn)
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

/// Locks and reads what of these two has passed a deadline (rule 8), by id so that two such never wait for each
/// other. Only bookings that hold time can, so the search starts there.
pub async fn lock_overdue_of(
    conn: &mut AsyncPgConnection,
    client: UserId,
    provider: ProviderId,
    now: Instant,
) -> QueryResult<Vec<Booking>> {
    let theirs = held_times::table
        .filter(
            held_times::client_id
                .eq(client)
                .or(held_times::provider_id.eq(provider)),
        )
        .select(held_times::booking_id);
    bookings::table
        .filter(bookings::id.eq_any(theirs))
        .filter(Overdue(now))
        .order(bookings::id)
        .select(Booking::as_select())
        .for_no_key_update()
        .load(conn)
        .await
}

/// Some bookings whose deadline, or whose proposal's, has passed.
pub async fn overdue(
    conn: &mut AsyncPgConnection,
    now: Instant,
    limit: i64,
) -> QueryResult<Vec<BookingId>> {
    bookings::table
        .filter(Overdue(now))
        .order(bookings::id)
        .select(bookings::id)
        .limit(limit)
        .load(conn)
        .await
}

/// Some bookings that ended before this and are still CONFIRMED.
pub async fn unsettled(
    conn: &mut AsyncPgConnection,
    ended_before: Instant,
    limit: i64,
) -> QueryResult<Vec<BookingId>> {
    bookings::table
        .filter(bookings::state.eq(State::Confirmed))
        .filter(bookings::ends_at.le(ended_before))
        .order(bookings::ends_at)
        .select(bookings::id)
        .limit(limit)
        .load(conn)
        .await
}

/// The bookings of a person as client, or of a provider, that hold time and start after this.
pub async fn upcoming_of(
    conn: &mut AsyncPgConnection,
    client: Option<UserId>,
    provider: Option<ProviderId>,
    after: Instant,
) -> QueryResult<Vec<BookingId>> {
    let mut query = bookings::table
        .filter(bookings::state.eq_any([State::Requested, State::Accepted, State::Confirmed]))
        .filter(bookings::starts_at.gt(after))
        .order(bookings::id)
        .select(bookings::id)
        .into_boxed();
    if let Some(client) = client {
        query = query.filter(bookings::client_id.eq(client));
    }
    if let Some(provider) = provider {
        query = query.filter(bookings::provider_id.eq(provider));
    }
    query.load(conn).await
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

/// The histories of these bookings, each from its beginning.
pub async fn events_of(
    conn: &mut AsyncPgConnection,
    bookings: &[BookingId],
) -> QueryResult<Vec<BookingEvent>> {
    booking_events::table
        .filter(booking_events::booking_id.eq_any(bookings))
        .order((booking_events::created_at, booking_events::id))
        .select(BookingEvent::as_select())
        .load(conn)
        .await
}

/// The latest proposal of each of these bookings that has one.
pub async fn latest_proposals(
    conn: &mut AsyncPgConnection,
    bookings: &[BookingId],
) -> QueryResult<Vec<BookingProposal>> {
    booking_proposals::table
        .filter(booking_proposals::booking_id.eq_any(bookings))
        .distinct_on(booking_proposals::booking_id)
        .order((
            booking_proposals::booking_id,
            booking_proposals::created_at.desc(),
            booking_proposals::id.desc(),
        ))
        .select(BookingProposal::as_select())
        .load(conn)
        .await
}

/// The latest proposal of one booking.
pub async fn latest_proposal(
    conn: &mut AsyncPgConnection,
    booking: BookingId,
) -> QueryResult<Option<BookingProposal>> {
    Ok(latest_proposals(conn, &[booking]).await?.pop())
}

/// How often somebody has proposed another time for this booking.
pub async fn count_proposals(conn: &mut AsyncPgConnection, booking: BookingId) -> QueryResult<i64> {
    booking_proposals::table
        .filter(booking_proposals::booking_id.eq(booking))
        .count()
        .get_result(conn)
        .await
}

/// Adds a proposal.
pub(super) async fn insert_proposal(
    conn: &mut AsyncPgConnection,
    proposal: &BookingProposal,
) -> QueryResult<()> {
    diesel::insert_into(booking_proposals::table)
        .values(proposal)
        .execute(conn)
        .await?;
    Ok(())
}

/// Ends the open proposal of a booking, if there is one.
pub(super) async fn end_proposal(
    conn: &mut AsyncPgConnection,
    booking: BookingId,
    state: ProposalState,
    now: Instant,
) -> QueryResult<()> {
    diesel::update(booking_proposals::table)
        .filter(booking_proposals::booking_id.eq(booking))
        .filter(booking_proposals::state.eq(ProposalState::Open))
        .set((
            booking_proposals::state.eq(state),
            booking_proposals::answered_at.eq(now),
        ))
        .execute(conn)
        .await?;
    Ok(())
}
