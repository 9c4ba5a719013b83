//! The closed machine of a booking (rules.md, Bookings): which action takes it from where to where, by whom and when.
//!
//! Pure. Services ask [`decide`] before they change anything, and `viewerActions` shows what it says.

use jiff::{SignedDuration, Timestamp};

use crate::text_enum;

text_enum! {
    /// How far a booking is.
    pub enum State {
        /// The client asked; the time is held until the provider answers.
        Requested = "REQUESTED",
        /// The provider said yes; the time is held until it is paid.
        Accepted = "ACCEPTED",
        /// It takes place.
        Confirmed = "CONFIRMED",
        /// It took place.
        Completed = "COMPLETED",
        /// One side says that the other did not come.
        NoShow = "NO_SHOW",
        /// The provider said no.
        Rejected = "REJECTED",
        /// Called off.
        Cancelled = "CANCELLED",
        /// Nobody answered or paid in time.
        Expired = "EXPIRED",
    }
}

impl State {
    /// Whether a booking in this state holds its time (rule 1).
    pub fn holds_time(self) -> bool {
        matches!(self, Self::Requested | Self::Accepted | Self::Confirmed)
    }
}

text_enum! {
    /// In which part somebody acts on a booking.
    pub enum Side {
        /// Who booked.
        Client = "CLIENT",
        /// Who is booked.
        Provider = "PROVIDER",
        /// Who looks after both.
        Staff = "STAFF",
        /// A background job or the payment gateway.
        System = "SYSTEM",
    }
}

text_enum! {
    /// The two sides between which a booking is made.
    pub enum Party {
        /// Who booked.
        Client = "CLIENT",
        /// Who is booked.
        Provider = "PROVIDER",
    }
}

impl Party {
    /// The party that acts in this part; nothing for staff and the system.
    pub fn of(side: Side) -> Option<Self> {
        match side {
            Side::Client => Some(Self::Client),
            Side::Provider => Some(Self::Provider),
            Side::Staff | Side::System => None,
        }
    }

    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Provider,
            Self::Provider => Self::Client,
        }
    }
}

text_enum! {
    /// What can happen to a booking.
    pub enum Action {
        /// The client asks for a time.
        Create = "CREATE",
        /// The provider says yes.
        Accept = "ACCEPT",
        /// The provider says no.
        Reject = "REJECT",
        /// A payment arrives.
        Pay = "PAY",
        /// A deadline passes.
        Expire = "EXPIRE",
        /// A side or staff call it off.
        Cancel = "CANCEL",
        /// It took place.
        Complete = "COMPLETE",
        /// A side says that the other did not come.
        NoShow = "NO_SHOW",
        /// A side proposes another time.
        Reschedule = "RESCHEDULE",
        /// The other side agrees to the proposed time.
        RescheduleAccept = "RESCHEDULE_ACCEPT",
        /// The other side keeps the old time.
        RescheduleDecline = "RESCHEDULE_DECLINE",
        /// Nobody answered the proposal in time.
        RescheduleExpire = "RESCHEDULE_EXPIRE",
        /// A party was suspended, deleted or erased.
        Suspend = "SUSPEND",
        /// Staff have looked at it, and it needs nobody any more.
        Settle = "SETTLE",
    }
}

/// A provider's time to answer a request.
pub const TO_ANSWER: SignedDuration = SignedDuration::from_hours(24);
/// A request must be answered this long before the start.
pub const ANSWERED_BEFORE: SignedDuration = SignedDuration::from_hours(1);
/// A client's time to pay.
pub const TO_PAY: SignedDuration = SignedDuration::from_hours(2);
/// A booking must be paid this long before the start.
pub const PAID_BEFORE: SignedDuration = SignedDuration::from_mins(15);
/// How long after the start one may say that the other did not come.
pub const NO_SHOW_AFTER: SignedDuration = SignedDuration::from_mins(15);
/// How long after the end a booking is completed by itself, and nobody may say so any more.
pub const SETTLED_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// `base` moved by `by`; stops at the edge of time, which no stored instant comes near.
fn moved(base: Timestamp, by: SignedDuration) -> Timestamp {
    let edge = if by.is_negative() {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    base.checked_add(by).unwrap_or(edge)
}

/// Until when the provider may answer a request, or a side a proposal: min(24 h, start − 1 h). For a proposal, `start`
/// is the earlier of the old and the new one.
pub fn answer_deadline(now: Timestamp, start: Timestamp) -> Timestamp {
    moved(now, TO_ANSWER).min(moved(start, -ANSWERED_BEFORE))
}

/// Until when an accepted booking may be paid: min(2 h, start − 15 min).
pub fn payment_deadline(now: Timestamp, start: Timestamp) -> Timestamp {
    moved(now, TO_PAY).min(moved(start, -PAID_BEFORE))
}

/// An open or a past proposal of another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Who proposed.
    pub by: Party,
    /// Until when the other may answer.
    pub answer_deadline: Timestamp,
}

/// What of a booking the machine looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The state in its row.
    pub state: State,
    /// When it starts.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// Until when the provider may answer.
    pub answer_deadline: Timestamp,
    /// Until when the client may pay; set by accepting.
    pub payment_deadline: Option<Timestamp>,
    /// Whether the price is 0.
    pub free: bool,
    /// Which side completed it or said that the other did not come.
    pub closed_by: Option<Side>,
    /// Whether both sides have said that the other did not come.
    pub contested: bool,
    /// Whether staff should look at it.
    pub needs_attention: bool,
    /// The proposal in state OPEN, past its deadline or not.
    pub proposal: Option<Proposal>,
}

impl Facts {
    /// When the state in the row ends by itself, where it does.
    pub fn deadline(&self) -> Option<Timestamp> {
        match self.state {
            State::Requested => Some(self.answer_deadline),
            State::Accepted => self.payment_deadline,
            _ => None,
        }
    }

    /// The state at this moment: a row past its deadline reads as EXPIRED, even when the job is late (rule 8).
    pub fn state_at(&self, now: Timestamp) -> State {
        match self.deadline() {
            Some(deadline) if deadline <= now => State::Expired,
            _ => self.state,
        }
    }

    /// The proposal that can still be answered at this moment.
    pub fn open_proposal(&self, now: Timestamp) -> Option<Proposal> {
        self.proposal
            .filter(|proposal| proposal.answer_deadline > now)
    }
}

/// What an action may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    /// The state afterwards.
    pub to: State,
    /// Until when it may, where that is known.
    pub until: Option<Timestamp>,
}

/// Why an action may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// This side never may.
    NotAllowed,
    /// Not in this state.
    InvalidState(State),
    /// There is an open proposal already.
    AlreadyProposed,
    /// Nothing of it needs staff, in this state.
    NothingToSettle(State),
    /// Too early, or too late.
    WindowClosed,
}

/// Where the action takes a booking in `from` by this side; nothing for what the table does not have.
fn target(facts: &Facts, from: State, action: Action, side: Side) -> Option<State> {
    use Action as A;
    use Side::{Client, Provider, Staff, System};
    use State as S;
    Some(match (from, action, side) {
        (S::Requested, A::Accept, Provider) if facts.free => S::Confirmed,
        (S::Requested, A::Accept, Provider) => S::Accepted,
        (S::Requested, A::Reject, Provider) => S::Rejected,
        (S::Requested, A::Cancel, Client | Staff) => S::Cancelled,
        (S::Accepted | S::Confirmed, A::Cancel, Client | Provider | Staff) => S::Cancelled,
        (S::Accepted | S::Expired, A::Pay, System) => S::Confirmed,
        (S::Confirmed, A::Complete, Client | Provider | System) => S::Completed,
        (S::Confirmed, A::NoShow, Client | Provider) => S::NoShow,
        // The provider has said that it took place; only the client can deny that.
        (S::Completed, A::NoShow, Client) if facts.closed_by == Some(Provider) => S::NoShow,
        // The contrary claim, once, by who is said not to have come.
        (S::NoShow, A::NoShow, Client | Provider)
            if !facts.contested && facts.closed_by.is_some_and(|first| first != side) =>
        {
            S::NoShow
        }
        (
            S::Confirmed,
            A::Reschedule | A::RescheduleAccept | A::RescheduleDecline,
            Client | Provider,
        )
        | (S::Confirmed, A::RescheduleExpire, System) => S::Confirmed,
        (S::Requested | S::Accepted | S::Confirmed, A::Suspend, System) => S::Cancelled,
        _ => return None,
    })
}

/// Whether this side may ever do this, in whatever state.
fn is_a_part(action: Action, side: Side) -> bool {
    use Action as A;
    match side {
        Side::Client => matches!(
            action,
            A::Cancel
                | A::Complete
                | A::NoShow
                | A::Reschedule
                | A::RescheduleAccept
                | A::RescheduleDecline
        ),
        Side::Provider => matches!(
            action,
            A::Accept
                | A::Reject
                | A::Cancel
                | A::Complete
                | A::NoShow
                | A::Reschedule
                | A::RescheduleAccept
                | A::RescheduleDecline
        ),
        Side::Staff => matches!(action, A::Cancel | A::Settle),
        Side::System => matches!(
            action,
            A::Pay | A::Expire | A::Complete | A::RescheduleExpire | A::Suspend
        ),
    }
}

/// What this action by this side would do at this moment, or why it may not.
///
/// In the order of api.md, Errors: the party, then the state, then the time.
pub fn decide(
    facts: &Facts,
    action: Action,
    side: Side,
    now: Timestamp,
) -> Result<Permit, Refusal> {
    if !is_a_part(action, side) {
        return Err(Refusal::NotAllowed);
    }
    let state = facts.state_at(now);
    if action == Action::Expire {
        // The one action that is about the row and not about what it reads as.
        let overdue = facts.state != state;
        return if overdue {
            Ok(Permit {
                to: State::Expired,
                until: None,
            })
        } else {
            Err(Refusal::InvalidState(state))
        };
    }
    if action == Action::Settle {
        // Whatever its state: what was flagged may be settled.
        return if facts.needs_attention {
            Ok(Permit {
                to: facts.state,
                until: None,
            })
        } else {
            Err(Refusal::NothingToSettle(state))
        };
    }
    let to = target(facts, state, action, side).ok_or(Refusal::InvalidState(state))?;
    let (from, until) = times(facts, action, side, state, now)?;
    if now < from || until.is_some_and(|until| until <= now) {
        return Err(Refusal::WindowClosed);
    }
    Ok(Permit { to, until })
}

/// From when until when (exclusive) the action may happen, in a state where it may.
fn times(
    facts: &Facts,
    action: Action,
    side: Side,
    state: State,
    now: Timestamp,
) -> Result<(Timestamp, Option<Timestamp>), Refusal> {
    let settled = moved(facts.ends_at, SETTLED_AFTER);
    Ok(match action {
        Action::Complete => match side {
            Side::Client => (facts.starts_at, None),
            Side::Provider => (facts.ends_at, None),
            Side::Staff | Side::System => (settled, None),
        },
        Action::NoShow => (moved(facts.starts_at, NO_SHOW_AFTER), Some(settled)),
        Action::Suspend => (Timestamp::MIN, Some(facts.starts_at)),
        // What is over took place or not, which is said otherwise; nobody consumes an hour and cancels it for half.
        Action::Cancel if state == State::Confirmed && side != Side::Staff => {
            (Timestamp::MIN, Some(facts.ends_at))
        }
        Action::Reschedule => {
            if facts.open_proposal(now).is_some() {
                return Err(Refusal::AlreadyProposed);
            }
            (
                Timestamp::MIN,
                Some(moved(facts.starts_at, -ANSWERED_BEFORE)),
            )
        }
        Action::RescheduleAccept | Action::RescheduleDecline => {
            let proposal = facts.proposal.ok_or(Refusal::InvalidState(state))?;
            if Party::of(side) == Some(proposal.by) {
                return Err(Refusal::NotAllowed);
            }
            (Timestamp::MIN, Some(proposal.answer_deadline))
        }
        Action::RescheduleExpire => {
            let proposal = facts.proposal.ok_or(Refusal::InvalidState(state))?;
            (proposal.answer_deadline, None)
        }
        _ => (Timestamp::MIN, facts.deadline()),
    })
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
