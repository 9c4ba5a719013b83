//! Rows of `booking_proposals`.

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use jiff::Timestamp;

use super::super::machine::{Party, Proposal};
use crate::{
    db::{
        Instant,
        ids::{BookingId, BookingProposalId},
        schema::booking_proposals,
    },
    text_enum,
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
    pub(super) fn facts(&self) -> Option<Proposal> {
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

/// The proposals with these ids, of whatever booking, in no order.
pub async fn proposals_by_ids(
    mut conn: &AsyncPgConnection,
    ids: &[BookingProposalId],
) -> QueryResult<Vec<BookingProposal>> {
    booking_proposals::table
        .filter(booking_proposals::id.eq_any(ids))
        .select(BookingProposal::as_select())
        .load(&mut conn)
        .await
}

/// The latest proposal of each of these bookings that has one.
pub async fn latest_proposals(
    mut conn: &AsyncPgConnection,
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
        .load(&mut conn)
        .await
}

/// The latest proposal of one booking.
pub async fn latest_proposal(
    conn: &mut AsyncPgConnection,
    booking: BookingId,
) -> QueryResult<Option<BookingProposal>> {
    Ok(latest_proposals(conn, &[booking]).await?.pop())
}

/// Every proposal of one booking, the latest first.
pub async fn proposals_of(
    conn: &mut AsyncPgConnection,
    booking: BookingId,
) -> QueryResult<Vec<BookingProposal>> {
    booking_proposals::table
        .filter(booking_proposals::booking_id.eq(booking))
        .order((
            booking_proposals::created_at.desc(),
            booking_proposals::id.desc(),
        ))
        .select(BookingProposal::as_select())
        .load(conn)
        .await
}

/// Adds a proposal.
pub(in crate::features::bookings) async fn insert_proposal(
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
pub(in crate::features::bookings) async fn end_proposal(
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
