//! Reports: what people tell staff about a person, a booking or a review.
//!
//! A report is OPEN until staff with `reports:resolve` close it as ACTION_TAKEN or DISMISSED. One person has at most one
//! open report about one thing. Who reported shows to staff with `reports:read` alone (rule 19): not to the reported, nor
//! to staff who may only resolve, in any answer, message or detail. Nobody reports themselves (rule 5), and nobody closes
//! a report by them or about them.

pub mod graphql;
pub mod loaders;
pub mod model;
pub mod service;
