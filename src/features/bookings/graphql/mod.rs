//! Bookings in the schema.

pub mod inputs;
pub mod mutations;
mod plan;
pub mod queries;
pub mod types;

pub use inputs::{BookingsFilter, BookingsOfFilter};
pub use mutations::BookingMutations;
pub use queries::{BookingQueries, bookings_of_client, bookings_of_provider};
pub use types::{Booking, BookingEvent, BookingProposal};
