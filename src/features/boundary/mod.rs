//! Boundary rules: what everyone agrees to before they book.
//!
//! Staff with `boundary:publish` publish versions, which never change afterwards; the newest is in force. A person
//! acknowledges the version in force, and a booking needs that and freezes its number (rule 4). The first version comes
//! with the migrations.

pub mod graphql;
pub mod model;
pub mod service;
