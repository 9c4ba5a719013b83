//! Loaders of bookings and what hangs on them.

use super::model::{self, Booking, BookingEvent, BookingProposal};
use crate::{
    db::ids::{BookingEventId, BookingId, BookingProposalId},
    row_loader, rows_loader,
};

row_loader! {
    /// A booking by id, whoever may see it: the resolver checks.
    BookingById: BookingId => Booking, model::by_ids, |booking| booking.id
}

row_loader! {
    /// The latest proposal of a booking.
    LatestProposal: BookingId => BookingProposal, model::latest_proposals, |proposal| proposal.booking_id
}

row_loader! {
    /// A proposal by id; who may see its booking is the reader's to check.
    ProposalById: BookingProposalId => BookingProposal, model::proposals_by_ids, |proposal| proposal.id
}

row_loader! {
    /// An entry of a history by id; who may see its booking is the reader's to check.
    EventById: BookingEventId => BookingEvent, model::events_by_ids, |event| event.id
}

rows_loader! {
    /// The history of a booking.
    BookingEvents: BookingId => BookingEvent, model::events_of, |event| event.booking_id
}
