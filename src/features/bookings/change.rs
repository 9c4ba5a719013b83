//! The one function that changes a booking (rule 2): compare-and-set, one event, one audit row, and what must go along.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    machine::{Action, Facts, Permit, Refusal, Side, State},
    model::{self, Booking, BookingEvent, ProposalState, held},
    money,
};
use crate::{
    app::App,
    auth::viewer::Viewer,
    db::{Instant, Transaction, ids::BookingEventId},
    error::{Error, ErrorCode, Problem, Result},
    features::audit::{self, ActorKind, Entry},
};

/// Who changes a booking, and in which part.
#[derive(Clone, Copy)]
pub(super) enum Actor<'a> {
    /// A person.
    Person(&'a Viewer, Side),
    /// A background job.
    Job,
    /// The payment gateway.
    Gateway,
}

impl Actor<'_> {
    pub(super) fn side(self) -> Side {
        match self {
            Self::Person(_, side) => side,
            Self::Job | Self::Gateway => Side::System,
        }
    }
}

/// What happens to a booking.
pub(super) struct Change<'a> {
    pub action: Action,
    pub actor: Actor<'a>,
    /// Goes into the history; not into the row, which the caller sets.
    pub reason: Option<String>,
    pub now: Timestamp,
}

/// Turns the machine's refusal into what a user reads.
pub(super) fn refuse(refusal: Refusal) -> Error {
    match refusal {
        Refusal::NotAllowed => {
            Error::not_allowed("This is for another party of the booking to do.")
        }
        Refusal::InvalidState(state) => invalid_state(state),
        Refusal::NothingToSettle(state) => Problem::new(
            ErrorCode::InvalidState,
            "Nothing of this booking needs a person.",
        )
        .with(json!({ "state": state }))
        .into(),
        Refusal::AlreadyProposed => Problem::new(
            ErrorCode::AlreadyExists,
            "Another time is already proposed and waits for its answer.",
        )
        .into(),
        Refusal::WindowClosed => Problem::new(
            ErrorCode::WindowClosed,
            "This is not possible yet, or not any more.",
        )
        .into(),
    }
}

/// `INVALID_STATE`, with the state that everyone sees.
pub(super) fn invalid_state(state: State) -> Error {
    Problem::new(
        ErrorCode::InvalidState,
        format!("The booking is {state}, which does not allow this."),
    )
    .with(json!({ "state": state }))
    .into()
}

/// The side of a person who acts; `NOT_ALLOWED` for who only looks.
pub(super) fn acting_side(booking: &Booking, viewer: &Viewer) -> Result<Side> {
    booking
        .side_of(viewer)
        .ok_or_else(|| refuse(Refusal::NotAllowed))
}

/// What the machine permits, in the order of api.md, Errors: party, version, state, time.
pub(super) fn permit(
    booking: &Booking,
    facts: &Facts,
    action: Action,
    side: Side,
    expected_version: Option<i32>,
    now: Timestamp,
) -> Result<Permit> {
    let decision = super::machine::decide(facts, action, side, now);
    if decision != Err(Refusal::NotAllowed)
        && expected_version.is_some_and(|version| version != booking.version)
    {
        return Err(Problem::new(
            ErrorCode::Conflict,
            "The booking has changed since you read it.",
        )
        .at("expectedVersion")
        .with(json!({ "version": booking.version }))
        .into());
    }
    decision.map_err(refuse)
}

/// Writes `after` over `before`, whose row the caller has locked, and everything that goes along:
/// the event, the audit row, the time where the booking no longer holds it, its open proposal, its open checkout.
///
/// Sets version and time of the change. Refunds are the caller's, since they depend on who and why.
pub(super) async fn apply(
    tx: &mut Transaction,
    app: &App,
    before: &Booking,
    after: Booking,
    change: Change<'_>,
) -> Result<Booking> {
    apply_noted(tx, app, before, after, change, None).await
}

/// The same with a note for staff, which the audit trail alone keeps.
pub(super) async fn apply_noted(
    tx: &mut Transaction,
    app: &App,
    before: &Booking,
    mut after: Booking,
    change: Change<'_>,
    note: Option<String>,
) -> Result<Booking> {
    let now = Instant(change.now);
    after.version = before.version.saturating_add(1);
    after.updated_at = now;
    if !model::compare_and_set(tx, (before.state, before.version), &after).await? {
        // The row is locked, so this is a caller that forgot to; a retry reads it anew.
        return Err(Error::LockConflict(std::sync::Arc::new(Stale)));
    }
    if before.state.holds_time() && !after.state.holds_time() {
        held::free(tx, after.id).await?;
        if before.state == State::Confirmed {
            model::end_proposal(tx, after.id, ProposalState::Closed, now).await?;
        }
    }
    if before.state == State::Accepted && !matches!(after.state, State::Accepted | State::Confirmed)
    {
        money::close_checkout(tx, app, &after, change.actor, change.now).await?;
    }
    let mut now_is = summary(&after);
    if let (Some(note), Some(told)) = (note, now_is.as_object_mut()) {
        told.insert("note".to_owned(), note.into());
    }
    let told = (Some(summary(before)), Some(now_is));
    record(tx, app, &after, Some(before.state), change, told).await?;
    Ok(after)
}

/// The first entry of a booking's history.
pub(super) async fn record_created(
    tx: &mut Transaction,
    app: &App,
    booking: &Booking,
    viewer: &Viewer,
    now: Timestamp,
) -> Result<()> {
    let change = Change {
        action: Action::Create,
        actor: Actor::Person(viewer, Side::Client),
        reason: None,
        now,
    };
    record(
        tx,
        app,
        booking,
        None,
        change,
        (None, Some(summary(booking))),
    )
    .await
}

async fn record(
    tx: &mut Transaction,
    app: &App,
    booking: &Booking,
    from_state: Option<State>,
    change: Change<'_>,
    (before, after): (Option<Value>, Option<Value>),
) -> Result<()> {
    let Change {
        action,
        actor,
        reason,
        now,
    } = change;
    let event = BookingEvent {
        id: BookingEventId(app.entropy.uuid_v7(now)),
        booking_id: booking.id,
        action,
        from_state,
        to_state: booking.state,
        actor_side: actor.side(),
        actor_id: match actor {
            Actor::Person(viewer, _) => viewer.user_id(),
            Actor::Job | Actor::Gateway => None,
        },
        reason,
        created_at: Instant(now),
    };
    model::insert_event(tx, &event).await?;
    let entry = Entry {
        action: audit_action(action),
        target: Some(("bkg", booking.id.0)),
        before,
        after,
    };
    match actor {
        Actor::Person(viewer, _) => audit::record(tx, app, viewer, now, entry).await?,
        Actor::Job => audit::record_ours(tx, app, ActorKind::System, now, entry).await?,
        Actor::Gateway => audit::record_ours(tx, app, ActorKind::Gateway, now, entry).await?,
    }
    Ok(())
}

fn audit_action(action: Action) -> &'static str {
    match action {
        Action::Create => "booking.create",
        Action::Accept => "booking.accept",
        Action::Reject => "booking.reject",
        Action::Pay => "booking.pay",
        Action::Expire => "booking.expire",
        Action::Cancel => "booking.cancel",
        Action::Complete => "booking.complete",
        Action::NoShow => "booking.no_show",
        Action::Reschedule => "booking.reschedule",
        Action::RescheduleAccept => "booking.reschedule_accept",
        Action::RescheduleDecline => "booking.reschedule_decline",
        Action::RescheduleExpire => "booking.reschedule_expire",
        Action::Suspend => "booking.suspend",
        Action::Settle => "booking.attention_clear",
    }
}

/// What of a booking counts for the audit trail; no free text, which may be private.
fn summary(booking: &Booking) -> Value {
    json!({
        "state": booking.state,
        "version": booking.version,
        "startsAt": booking.starts_at,
        "endsAt": booking.ends_at,
        "closedBy": booking.closed_by,
        "absentSide": booking.absent_side,
        "needsAttention": booking.needs_attention,
        "contested": booking.contested,
    })
}

/// A row was not what its transaction had read.
#[derive(Debug, thiserror::Error)]
#[error("the booking changed under its lock")]
struct Stale;
