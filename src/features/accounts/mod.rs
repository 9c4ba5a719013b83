//! Sign-in and one's own account: Telegram sign-in, rotating refresh tokens, sessions, `me`.
//!
//! A session is a family of refresh tokens, all that descends from one sign-in. A refresh token works once; its
//! successor is derived from it, so that a repeat within 10 s, while the successor is unused, gets the same one
//! (a lost answer, two tabs). Any other reuse ends the session (rule 21). Only hashes are stored.
//!
//! An account is signed in by Telegram, by e-mail address and password, or by both ([`linking`]).
//!
//! An e-mail address is proved by a code of six digits ([`codes`], rule 22), which a job sends ([`mail`]).

pub mod codes;
pub mod email;
pub mod graphql;
pub mod linking;
pub mod loaders;
pub mod mail;
pub mod model;
pub mod profile;
pub mod service;
pub mod sweep;
