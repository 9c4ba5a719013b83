//! `Booking.viewerActions`: what the viewer may do now, and why not. It asks the machine that the services ask.

use jiff::Timestamp;

use super::{
    machine::{Action, Refusal, decide},
    model::{Booking, BookingProposal},
};
use crate::{auth::viewer::Viewer, error::ErrorCode};

/// The actions that a person can take on a booking, in the order in which they are listed.
pub const OFFERED: [Action; 9] = [
    Action::Accept,
    Action::Reject,
    Action::Cancel,
    Action::Reschedule,
    Action::RescheduleAccept,
    Action::RescheduleDecline,
    Action::Complete,
    Action::NoShow,
    Action::Settle,
];

/// One action and whether the viewer may take it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewerAction {
    /// Which.
    pub action: Action,
    /// Why not; nothing when it is allowed.
    pub refused: Option<ErrorCode>,
    /// Until when it is allowed, where that is known.
    pub available_until: Option<Timestamp>,
}

/// What this viewer may do with this booking; `proposal` is its latest one.
pub fn viewer_actions(
    booking: &Booking,
    proposal: Option<&BookingProposal>,
    viewer: &Viewer,
    now: Timestamp,
) -> Vec<ViewerAction> {
    let facts = booking.facts_with(proposal);
    let side = booking.side_of(viewer);
    OFFERED
        .into_iter()
        .map(|action| {
            let decision = match side {
                Some(side) => decide(&facts, action, side, now),
                None => Err(Refusal::NotAllowed),
            };
            ViewerAction {
                action,
                refused: decision.err().map(code),
                available_until: decision.ok().and_then(|permit| permit.until),
            }
        })
        .collect()
}

fn code(refusal: Refusal) -> ErrorCode {
    match refusal {
        Refusal::NotAllowed => ErrorCode::NotAllowed,
        Refusal::InvalidState(_) | Refusal::NothingToSettle(_) => ErrorCode::InvalidState,
        Refusal::AlreadyProposed => ErrorCode::AlreadyExists,
        Refusal::WindowClosed => ErrorCode::WindowClosed,
    }
}
