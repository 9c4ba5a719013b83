//! The features, a folder each: `graphql.rs` → `service.rs` → `model.rs`, with `loaders.rs` for the edges.

pub mod accounts;
pub mod audit;
pub mod availabilities;
pub mod blocks;
pub mod bookings;
pub mod boundary;
pub mod catalog;
pub mod idempotency;
pub mod limits;
pub mod media;
pub mod payments;
pub mod providers;
pub mod reports;
pub mod reviews;
pub mod roles;
pub mod users;
