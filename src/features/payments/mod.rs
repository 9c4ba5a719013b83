//! Orders, checkout sessions, what the gateway tells, and refunds.
//!
//! An accepted booking gets one order; its client pays it in a checkout session at the gateway, one open at a time;
//! the gateway's webhooks say what was paid. What they say is kept as a set, from which [`fold`] computes an order
//! anew each time, so that neither order nor repetition of the events matters (rule 9). Money goes back by rows of our
//! own under the order's lock, never more than was captured (rule 10). Nothing calls the gateway inside a transaction:
//! an intent row is committed, then the call is made, then its result is written; [`jobs`] finish what a crash left
//! (rule 11). Locks: a payment's events, then user → provider → booking → order.

pub mod attention;
pub mod bookings;
pub mod checkouts;
pub mod fold;
pub mod graphql;
pub mod jobs;
pub mod loaders;
pub mod model;
pub mod refunds;
pub mod service;
mod settle;
pub mod webhooks;
