//! Pictures: avatars and portfolios.
//!
//! A mutation announces an upload of a purpose and a size and answers an address with a secret in it, which works for one
//! file and 15 minutes. The file's type is read from its bytes, and it is written anew without metadata before it is kept
//! (security.md, uploads). Kept pictures are public and never change under their id. What was uploaded has a day to become
//! an avatar or a part of a portfolio; a sweep removes it after that, and uploads that never came.
//!
//! A file's place in the store is made from its upload's id, which is its picture's id, too: whatever a crash leaves behind
//! still has a row that a sweep finds.

pub mod graphql;
pub mod loaders;
pub mod model;
pub mod portfolio;
pub mod service;
pub mod sweep;
