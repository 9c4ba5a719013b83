//! What tests stand on: a database each, a server each, clients, and the clock.
#![allow(
    dead_code,
    unused_imports,
    reason = "a library for tests, which don't all use all of it"
)]

mod app;
mod booked;
mod client;
pub mod cluster;
pub mod fake_stripe;
pub mod held;
pub mod mail;
mod make;
pub mod market;
pub mod paid;
pub mod plans;
pub mod process;
pub mod relay;
pub mod smtp;

pub use app::{START, TestApp};
pub use client::{Answer, Client};
pub use cluster::TestDatabase;
