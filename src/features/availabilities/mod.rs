//! Bookable windows of providers, and the slots that clients can book in them.
//!
//! Windows of one provider never overlap; a booking lies wholly in one of them (rule 3) and starts at a listed time
//! (rule 6), which [`slots::Grid`] alone decides, for lists and for `bookingCreate` alike.

pub mod graphql;
pub mod loaders;
pub mod model;
pub mod service;
pub mod slots;
