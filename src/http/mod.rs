//! The way in: the accept loop, the router, GraphQL over HTTP, the REST side, the log of requests and their limits.
//! No SQL here.

pub mod body;
mod caching;
pub mod graphiql;
pub mod graphql;
pub mod health;
pub mod limits;
pub mod media;
pub mod metrics;
mod places;
pub mod problem;
pub mod proxies;
pub mod request;
pub mod router;
pub mod sandbox;
pub mod serve;
pub mod tasks;
pub mod telegram;
pub mod webhook;

pub use router::{Http, router, run};
