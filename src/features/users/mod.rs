//! People with an account.
//!
//! Everyone sees a person's name and avatar; username, language, city and sign-ins are the person's own. A person is
//! ACTIVE, SUSPENDED (cannot sign in, tokens stop within a second) or DELETED.

pub mod graphql;
pub mod loaders;
pub mod model;
pub mod service;
