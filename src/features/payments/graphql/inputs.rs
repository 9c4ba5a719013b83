//! What the fields of payments take.

use async_graphql::InputObject;

use super::types::OrderState;
use crate::graphql::scalars::{Int64, URL};

/// Where the client goes from the payment page.
#[derive(InputObject)]
pub struct CheckoutCreateInput {
    /// After paying; on one of the origins to which checkout may return.
    pub success_url: URL,
    /// Without paying; on one of the origins to which checkout may return.
    pub cancel_url: URL,
}

/// What to give back.
#[derive(InputObject)]
pub struct RefundCreateInput {
    /// How much, in the minor unit of the order's currency, at least 1; all that is left without it.
    pub amount_minor: Option<Int64>,
    /// Why, 1 to 2 000 characters; the client reads it. It is kept for good, in the audit trail, too: write no personal
    /// data into it.
    pub reason: String,
}

/// How what needed a person was settled.
#[derive(InputObject, Default)]
pub struct OrderAttentionClearInput {
    /// For staff alone, at most 2 000 characters. It is kept in the audit trail for good: write no personal data into it.
    pub note: Option<String>,
}

/// Which orders to list.
#[derive(InputObject, Default)]
pub struct OrderFilter {
    /// Only those which need a person, or only those which don't.
    pub needs_attention: Option<bool>,
    /// Only those in this state.
    pub state: Option<OrderState>,
}
