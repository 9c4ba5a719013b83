//! Orders, checkouts and refunds in the schema.

pub mod inputs;
pub mod mutations;
pub mod queries;
pub mod types;

pub use mutations::PaymentMutations;
pub use queries::{PaymentQueries, mine};
pub use types::{Checkout, Order, Refund};
