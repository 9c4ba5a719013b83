//! Companion: one GraphQL API for a services marketplace.
//!
//! The map of the house: where to go for what.

pub mod clock;
pub mod config;
pub mod entropy;
pub mod integrations;
mod mac;
