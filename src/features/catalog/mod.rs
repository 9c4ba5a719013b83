//! What can be booked and where: categories, cities and services.
//!
//! Categories and cities come with the migrations. Staff with `services:write` create, change and archive services. An
//! archived service is in no list and takes no new booking; bookings made keep their terms (rules.md, Bookings), so it
//! can still be read by its id.

pub mod graphql;
pub mod loaders;
pub mod model;
pub mod service;
