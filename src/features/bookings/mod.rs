//! Bookings: a client asks for a listed time of a provider, who accepts or rejects; a priced booking is then paid,
//! takes place, and can be reviewed. The table of rules.md, "Bookings", is [`machine`]; every change of a row goes
//! through `change::apply`.
//!
//! A booking shows to its client, its provider and staff (`bookings:read`, `bookings:manage`). Its terms are frozen
//! when it is made. Its time is a row of `held_times` while it is REQUESTED, ACCEPTED or CONFIRMED, and an open
//! proposal of another time has one more; whoever takes or moves time locks the client's user row, then the
//! provider's row, then the booking's. A row past its deadline reads as EXPIRED everywhere, job or no job.

pub mod actions;
mod answer;
mod attention;
mod cancel;
mod change;
mod create;
mod deadlines;
pub mod graphql;
pub mod loaders;
pub mod machine;
pub mod model;
pub mod money;
mod no_show;
mod paid;
mod policy;
mod reschedule;
pub mod service;
mod suspension;
