//! `bookingReschedule` and `bookingRescheduleAnswer`: a side proposes another time, which is held at once; the other
//! side answers.

use jiff::Timestamp;
use serde::Serialize;

use super::{
    change::{self, Actor, Change, acting_side, permit, refuse},
    create::{again, blocked, check_free, clashes, listed_end},
    deadlines,
    machine::{self, Action, Party, Refusal},
    model::{
        self, Booking, BookingProposal, ProposalState,
        held::{self, HeldTime},
    },
};
use crate::{
    app::App,
    auth::viewer::Viewer,
    db::{
        Instant, Transaction,
        ids::{BookingId, BookingProposalId, HeldTimeId},
    },
    error::{Error, ErrorCode, Problem, Problems, Result},
    features::{
        blocks::model as blocks,
        idempotency::{self, Begun},
        providers::model::{self as providers, Provider},
        users::model as users,
    },
};

/// How often another time may be proposed for a booking, so that its history stays short.
const MOST_PROPOSALS: usize = 20;

/// Reads a booking that the viewer may know of, with its client, its provider and its own row locked in this order
/// (rule 1).
pub(super) async fn lock_with_parties(
    tx: &mut Transaction,
    viewer: &Viewer,
    id: Option<BookingId>,
) -> Result<(Booking, Provider)> {
    let missing = || Error::not_found("id");
    let id = id.ok_or_else(missing)?;
    let seen = model::find_visible(tx, viewer, id)
        .await?
        .ok_or_else(missing)?;
    users::lock(tx, seen.client_id).await?;
    let provider = providers::lock(tx, seen.provider_id)
        .await?
        .ok_or_else(missing)?;
    let booking = model::lock(tx, id).await?.ok_or_else(missing)?;
    Ok((booking, provider))
}

/// Another time for a booking.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Move {
    /// Which booking; nothing where the text is no booking's id.
    pub id: Option<BookingId>,
    /// The new start.
    pub starts_at: Timestamp,
    /// Refuse unless the booking has this version.
    pub expected_version: Option<i32>,
}

/// Proposes another time for a CONFIRMED booking; the other side answers within min(24 h, the earlier start − 1 h).
pub async fn propose(
    app: &App,
    viewer: &Viewer,
    input: Move,
    idempotency_key: &str,
) -> Result<Booking> {
    let now = app.clock.now();
    let actor = viewer.require_user()?;
    let mut problems = Problems::new();
    idempotency::check_key(&mut problems, idempotency_key);
    problems.check()?;
    let operation = "bookingReschedule";
    let begun = idempotency::begin(app, actor, operation, idempotency_key, &input, now);
    let (mut tx, ticket) = match begun.await? {
        Begun::Repeat(id) => return again(app, id).await,
        Begun::Fresh(tx, ticket) => (tx, ticket),
    };
    let Move {
        id,
        starts_at,
        expected_version,
    } = input;
    let (booking, provider) = lock_with_parties(&mut tx, viewer, id).await?;
    let side = acting_side(&booking, viewer)?;
    let party = Party::of(side).ok_or_else(|| refuse(Refusal::NotAllowed))?;
    let (client, provider_id) = (booking.client_id, booking.provider_id);
    let expired = deadlines::expire_overdue_of(&mut tx, app, client, provider_id, now).await?;
    // Its own proposal may just have expired, which counted its version.
    let booking = expired
        .into_iter()
        .find(|current| current.id == booking.id)
        .unwrap_or(booking);
    let proposals = model::proposals_of(&mut tx, booking.id).await?;
    let facts = booking.facts_with(proposals.first());
    permit(
        &booking,
        &facts,
        Action::Reschedule,
        side,
        expected_version,
        now,
    )?;
    let deadline = machine::answer_deadline(now, starts_at.min(*booking.starts_at));
    if deadline <= now {
        return Err(refuse(Refusal::WindowClosed));
    }
    if starts_at == *booking.starts_at {
        return Err(Problem::new(
            ErrorCode::InvalidInput,
            "The booking is at this time already.",
        )
        .at("input.startsAt")
        .into());
    }
    if proposals.len() >= MOST_PROPOSALS {
        return Err(Problem::new(
            ErrorCode::LimitReached,
            "Another time was proposed too often for this booking.",
        )
        .into());
    }
    if blocks::exists_between(&mut tx, client, provider.user_id).await? {
        return Err(blocked());
    }
    let minutes = booking.duration_minutes;
    let ends_at = listed_end(&mut tx, app, provider_id, starts_at, minutes, now).await?;
    let proposal = BookingProposal {
        id: BookingProposalId(app.entropy.uuid_v7(now)),
        booking_id: booking.id,
        proposed_by: party,
        state: ProposalState::Open,
        starts_at: Instant(starts_at),
        ends_at: Instant(ends_at),
        answer_deadline: Instant(deadline),
        created_at: Instant(now),
        answered_at: None,
    };
    let held_id = HeldTimeId(app.entropy.uuid_v7(now));
    let held = HeldTime::of(held_id, &booking, Some(proposal.id), starts_at, ends_at)
        .ok_or_else(|| refuse(Refusal::WindowClosed))?;
    check_free(&mut tx, &held).await?;
    model::insert_proposal(&mut tx, &proposal).await?;
    held::take(&mut tx, &held).await?.map_err(clashes)?;
    let change = Change {
        action: Action::Reschedule,
        actor: Actor::Person(viewer, side),
        reason: None,
        now,
    };
    let after = change::apply(&mut tx, app, &booking, booking.clone(), change).await?;
    ticket.keep(&mut tx, &after.id).await?;
    tx.commit().await?;
    Ok(after)
}

/// The answer to a proposal.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Answer {
    /// Which booking; nothing where the text is no booking's id.
    pub id: Option<BookingId>,
    /// Whether the booking moves.
    pub accept: bool,
    /// Refuse unless the booking has this version.
    pub expected_version: Option<i32>,
}

/// Answers the other side's proposal: yes moves the booking with its payment and terms, no frees the proposed time.
pub async fn answer(
    app: &App,
    viewer: &Viewer,
    input: Answer,
    idempotency_key: &str,
) -> Result<Booking> {
    let now = app.clock.now();
    let actor = viewer.require_user()?;
    let mut problems = Problems::new();
    idempotency::check_key(&mut problems, idempotency_key);
    problems.check()?;
    let operation = "bookingRescheduleAnswer";
    let begun = idempotency::begin(app, actor, operation, idempotency_key, &input, now);
    let (mut tx, ticket) = match begun.await? {
        Begun::Repeat(id) => return again(app, id).await,
        Begun::Fresh(tx, ticket) => (tx, ticket),
    };
    let Answer {
        id,
        accept,
        expected_version,
    } = input;
    let (booking, _) = lock_with_parties(&mut tx, viewer, id).await?;
    let side = acting_side(&booking, viewer)?;
    let proposal = model::latest_proposal(&mut tx, booking.id).await?;
    let facts = booking.facts_with(proposal.as_ref());
    let action = if accept {
        Action::RescheduleAccept
    } else {
        Action::RescheduleDecline
    };
    permit(&booking, &facts, action, side, expected_version, now)?;
    let proposal = proposal.ok_or_else(|| change::invalid_state(booking.state))?;
    let mut after = booking.clone();
    if accept {
        held::keep_proposal(&mut tx, booking.id, proposal.id).await?;
        after.starts_at = proposal.starts_at;
        after.ends_at = proposal.ends_at;
    } else {
        held::free_proposal(&mut tx, booking.id).await?;
    }
    let state = if accept {
        ProposalState::Accepted
    } else {
        ProposalState::Declined
    };
    model::end_proposal(&mut tx, booking.id, state, Instant(now)).await?;
    let change = Change {
        action,
        actor: Actor::Person(viewer, side),
        reason: None,
        now,
    };
    let after = change::apply(&mut tx, app, &booking, after, change).await?;
    ticket.keep(&mut tx, &after.id).await?;
    tx.commit().await?;
    Ok(after)
}
