//! The features, a folder each: `graphql.rs` → `service.rs` → `model.rs`, with `loaders.rs` for the edges.

pub mod accounts;
pub mod audit;
pub mod idempotency;
pub mod users;
