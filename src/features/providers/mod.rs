//! Who offers services: profiles, applications, prices, search.
//!
//! A person applies (PENDING); staff with `providers:review` approve or reject; the person may withdraw before that and
//! apply again after REJECTED or WITHDRAWN, which keeps the profile's identity. Approval grants the role PROVIDER.
//! Staff with `providers:suspend` suspend (the role is taken, the profile leaves every list, a job cancels its open
//! bookings) and reinstate. Nobody decides about themselves (rule 5). Everyone sees APPROVED profiles; the others are
//! seen by their owner and by staff with `providers:read`, `providers:review` or `providers:suspend`.
//!
//! A provider sets a price and a duration for each service; both are frozen in a booking (rule 4). What the gateway
//! could not charge is refused; 0 is free. Rating and cheapest price are kept in the profile's row by triggers, so that
//! lists can be sorted and paged by an index.

pub mod graphql;
pub mod loaders;
pub mod model;
pub mod service;
