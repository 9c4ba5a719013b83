//! Blocks: who wants nothing to do with whom.
//!
//! A block has a direction, but either direction stops new bookings between the two (rule 5). Bookings made stay, and
//! both may still cancel them. The blocked person is never told.

pub mod graphql;
pub mod model;
pub mod service;
