//! Who may do what: tokens, sessions and rights, permissions, and the policy of the roots. No GraphQL here.

pub mod access;
pub mod permissions;
pub mod policy;
pub mod tokens;
pub mod viewer;
