//! What we talk to outside: each a protocol or a trait with its real implementations.

pub mod mail;
pub mod media;
pub mod payments;
pub mod stripe_signature;
pub mod telegram;
