//! How often something may be done, and how many points of GraphQL may be asked for.
//!
//! Each limit has a bucket for everybody it counts: an address, a person, an account, an init data. What is done takes
//! from it, and it fills again steadily. A request names all that it takes, and takes all of it or nothing, so that one
//! who is refused by a small bucket does not drain a larger one that others share. Buckets are kept by this process
//! alone, or in PostgreSQL for all copies of the server (the setting `LIMITS`); both reckon alike (`bucket`).

pub mod bucket;
mod memory;
mod model;
pub mod service;
