//! Reviews: what clients say of providers after a booking.
//!
//! Only the client of a COMPLETED booking reviews it, once, within 30 days of its completion (rule 20). The provider may
//! reply in public and edit the reply. Staff with `reviews:moderate` hide and restore; a hidden review is seen by its
//! author and by them alone and does not count. A provider's rating sum and count are kept by a trigger on the table, so
//! they equal the visible reviews at every moment; who writes a review locks the provider's row first, because the
//! trigger would lock it last (architecture.md, habit 5).

pub mod graphql;
pub mod loaders;
pub mod model;
pub mod service;
