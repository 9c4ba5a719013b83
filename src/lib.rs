//! Companion: one GraphQL API for a services marketplace.
//!
//! The map of the house: where to go for what.
//!
//! - an operation: `features/<x>/graphql.rs` → `service.rs` → `model.rs` (its rules are in that `mod.rs`)
//! - what a request can reach: [`app`]; who asks and may: [`auth`]; what goes wrong: [`error`]
//! - the schema's shell (roots, guard, masking, scalars, connections, loaders): [`graphql`]; how hot lists are read: [`graphql::plan`]
//! - the database (pool, ids, enumerations, migrations): [`db`]; background work: [`jobs`]
//! - keyset paging: [`cursor`]; amounts and currencies: [`money`]; what people type: [`text`]
//! - settings: [`config`]; time and randomness, which tests control: [`clock`], [`entropy`]

#![recursion_limit = "256"]

pub mod app;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod cursor;
pub mod db;
pub mod demo;
pub mod entropy;
pub mod error;
pub mod features;
pub mod graphql;
pub mod http;
pub mod integrations;
pub mod jobs;
pub mod logging;
mod mac;
pub mod money;
pub mod patch;
pub mod text;
