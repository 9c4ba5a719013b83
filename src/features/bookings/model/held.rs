//! Rows of `held_times` (rule 1). Whoever writes here has locked the client's user row, then the provider's row.

use std::ops::Bound;

use diesel::{
    dsl::{lower, upper},
    prelude::*,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use jiff::{SignedDuration, Timestamp};

use super::{Booking, State, StateAt};
use crate::{
    db::{
        Instant,
        ids::{BookingId, BookingProposalId, HeldTimeId, ProviderId, UserId},
        schema::{booking_proposals, bookings, held_times},
    },
    error::violated_constraint,
};

/// A half-open stretch of time, `[from, to)`, as PostgreSQL's `tstzrange`.
pub type Span = (Bound<Instant>, Bound<Instant>);

/// `[from, to)`.
pub fn span(from: Timestamp, to: Timestamp) -> Span {
    (Bound::Included(Instant(from)), Bound::Excluded(Instant(to)))
}

/// A time that is taken from a provider and a client.
#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = held_times)]
pub struct HeldTime {
    /// Identity.
    pub id: HeldTimeId,
    /// For what.
    pub booking_id: BookingId,
    /// For which proposal of it; nothing for the booking's own time.
    pub proposal_id: Option<BookingProposalId>,
    /// From whom.
    pub provider_id: ProviderId,
    /// And from whom.
    pub client_id: UserId,
    /// With the provider's buffers.
    pub during: Span,
    /// Without.
    pub exact: Span,
}

impl HeldTime {
    /// What a booking would hold from `start` to `end`, by its frozen buffers; nothing when that leaves the calendar.
    pub fn of(
        id: HeldTimeId,
        booking: &Booking,
        proposal_id: Option<BookingProposalId>,
        start: Timestamp,
        end: Timestamp,
    ) -> Option<Self> {
        let before = SignedDuration::from_mins(i64::from(booking.buffer_before_minutes));
        let after = SignedDuration::from_mins(i64::from(booking.buffer_after_minutes));
        Some(Self {
            id,
            booking_id: booking.id,
            proposal_id,
            provider_id: booking.provider_id,
            client_id: booking.client_id,
            during: span(
                start.checked_sub(before).ok()?,
                end.checked_add(after).ok()?,
            ),
            exact: span(start, end),
        })
    }
}

/// Who cannot at that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clash {
    /// The provider is taken.
    Provider,
    /// The client has something else.
    Client,
}

/// Who of the two has something else at that time; the client's own comes first.
pub async fn clash(conn: &mut AsyncPgConnection, held: &HeldTime) -> QueryResult<Option<Clash>> {
    let clients = held_times::client_id
        .eq(held.client_id)
        .and(held_times::exact.overlaps_with(held.exact));
    let providers = held_times::provider_id
        .eq(held.provider_id)
        .and(held_times::during.overlaps_with(held.during));
    let found: Vec<bool> = held_times::table
        .filter(clients.or(providers))
        .filter(held_times::booking_id.ne(held.booking_id))
        .select(clients)
        .load(conn)
        .await?;
    Ok(match (found.is_empty(), found.contains(&true)) {
        (true, _) => None,
        (false, true) => Some(Clash::Client),
        (false, false) => Some(Clash::Provider),
    })
}

/// Takes the time. The constraints say who cannot when [`clash`] did not, which the locks should prevent; the
/// transaction is then spent.
pub async fn take(conn: &mut AsyncPgConnection, held: &HeldTime) -> QueryResult<Result<(), Clash>> {
    let outcome = diesel::insert_into(held_times::table)
        .values(held)
        .execute(conn)
        .await;
    match outcome {
        Ok(_) => Ok(Ok(())),
        Err(error) => match violated_constraint(&error) {
            Some("held_times_provider_no_overlap") => Ok(Err(Clash::Provider)),
            Some("held_times_client_no_overlap") => Ok(Err(Clash::Client)),
            _ => Err(error),
        },
    }
}

/// Frees all that a booking holds, for its proposal too.
pub async fn free(conn: &mut AsyncPgConnection, booking: BookingId) -> QueryResult<()> {
    diesel::delete(held_times::table.filter(held_times::booking_id.eq(booking)))
        .execute(conn)
        .await?;
    Ok(())
}

/// Frees what a booking's proposal holds.
pub async fn free_proposal(conn: &mut AsyncPgConnection, booking: BookingId) -> QueryResult<()> {
    diesel::delete(
        held_times::table
            .filter(held_times::booking_id.eq(booking))
            .filter(held_times::proposal_id.is_not_null()),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Frees the booking's own time and keeps its proposal's in its place.
pub async fn keep_proposal(
    conn: &mut AsyncPgConnection,
    booking: BookingId,
    proposal: BookingProposalId,
) -> QueryResult<()> {
    diesel::delete(
        held_times::table
            .filter(held_times::booking_id.eq(booking))
            .filter(held_times::proposal_id.is_null()),
    )
    .execute(conn)
    .await?;
    diesel::update(held_times::table.filter(held_times::proposal_id.eq(proposal)))
        .set(held_times::proposal_id.eq(None::<BookingProposalId>))
        .execute(conn)
        .await?;
    Ok(())
}

/// A provider's time that is not free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy {
    /// Whose.
    pub provider_id: ProviderId,
    /// From when, the buffer included.
    pub from: Timestamp,
    /// Until when, the buffer included.
    pub to: Timestamp,
}

/// What of these providers' time is taken between two instants, by what is not past its deadline (rule 8).
pub async fn busy(
    conn: &mut AsyncPgConnection,
    providers: &[ProviderId],
    from: Timestamp,
    to: Timestamp,
    now: Timestamp,
) -> QueryResult<Vec<Busy>> {
    let rows: Vec<(ProviderId, Option<Instant>, Option<Instant>)> = held_times::table
        .inner_join(bookings::table.on(bookings::id.eq(held_times::booking_id)))
        .left_join(
            booking_proposals::table
                .on(booking_proposals::id.nullable().eq(held_times::proposal_id)),
        )
        .filter(held_times::provider_id.eq_any(providers))
        .filter(held_times::during.overlaps_with(span(from, to)))
        .filter(StateAt(Instant(now)).ne(State::Expired))
        .filter(
            held_times::proposal_id
                .is_null()
                .or(booking_proposals::answer_deadline
                    .gt(Instant(now))
                    .assume_not_null()),
        )
        .select((
            held_times::provider_id,
            lower(held_times::during),
            upper(held_times::during),
        ))
        .load(conn)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(provider_id, from, to)| Busy {
            provider_id,
            from: from.map_or(Timestamp::MIN, |at| *at),
            to: to.map_or(Timestamp::MAX, |at| *at),
        })
        .collect())
}
