//! Roles and permissions, who gives them and who has them (rule 17).
//!
//! A permission is `resource:action` or a wildcard; a role is a set of them; a person's rights are those of all their
//! roles. Whoever changes any of it holds what they give and what they take, and the last active administrator stays.
//! All such changes take turns at one lock ([`model::lock_grants`]), the first in the written order.

pub mod graphql;
pub mod loaders;
pub mod model;
pub mod reach;
pub mod service;
