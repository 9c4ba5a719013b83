//! What tests stand on: a database each, a server each, clients, and the clock.

mod app;
mod client;
mod database;
mod make;

pub use app::TestApp;
pub use client::{Answer, Client};
