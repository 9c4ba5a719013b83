//! Mutations of payments.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use super::{
    inputs::{CheckoutCreateInput, OrderAttentionClearInput, RefundCreateInput},
    types::{Checkout, Order, Refund},
};
use crate::{
    db::{
        ids::{BookingId, OrderId},
        retry_conflict,
    },
    error::Result,
    features::payments::{
        attention, checkouts,
        refunds::{self, Wish},
        service,
    },
    graphql::{args, context::ContextExt},
    payload,
};

payload! {
    /// What `orderCreate` did.
    OrderCreatePayload {
        /// The order.
        order: Order
    }
}

payload! {
    /// What `checkoutCreate` did.
    CheckoutCreatePayload {
        /// The session, open unless something came in between: see its state.
        checkout: Checkout
    }
}

payload! {
    /// What `refundCreate` did.
    RefundCreatePayload {
        /// The refund, on its way.
        refund: Refund
    }
}

payload! {
    /// What `orderAttentionClear` did.
    OrderAttentionClearPayload {
        /// The order as it is now.
        order: Order
    }
}

/// Mutations of payments.
#[derive(Default)]
pub struct PaymentMutations;

#[Object]
impl PaymentMutations {
    /// Makes the order of an accepted, priced booking; its client pays it with `checkoutCreate`. Codes:
    /// `INVALID_INPUT`, `NOT_FOUND`, `NOT_ALLOWED` (you are not its client), `INVALID_STATE` (it does not wait for a
    /// payment), `ALREADY_EXISTS` (`details.orderId`), `IDEMPOTENCY_KEY_REUSED`.
    async fn order_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The booking (`bkg_…`).")] booking_id: ID,
        #[graphql(
            desc = "1 to 128 printable ASCII characters; a repeat answers the first outcome."
        )]
        idempotency_key: String,
    ) -> Result<OrderCreatePayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let made = retry_conflict(|| async {
            let booking = args::maybe_id::<BookingId>(&booking_id);
            service::create(app, viewer, booking, &idempotency_key).await
        });
        OrderCreatePayload::of(made.await.map(|row| Order(Arc::new(row))))
    }

    /// Opens the payment page of an order, by its client; answers the open one, with the addresses that it
    /// was opened with, where there is one. Codes:
    /// `INVALID_INPUT` (an address that checkout may not return to), `NOT_FOUND`, `NOT_ALLOWED` (you are not its
    /// client), `INVALID_STATE` (it does not wait for a payment, or one is on its way), `PAYMENT_FAILED` (the payment
    /// service refused), `IDEMPOTENCY_KEY_REUSED`.
    async fn checkout_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The order (`ord_…`).")] order_id: ID,
        #[graphql(desc = "Where to go from the payment page.")] input: CheckoutCreateInput,
        #[graphql(
            desc = "1 to 128 printable ASCII characters; a repeat answers the first outcome."
        )]
        idempotency_key: String,
    ) -> Result<CheckoutCreatePayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let CheckoutCreateInput {
            success_url,
            cancel_url,
        } = input;
        let returns = checkouts::Returns {
            success_url: success_url.0,
            cancel_url: cancel_url.0,
        };
        let made = retry_conflict(|| async {
            let id = args::maybe_id::<OrderId>(&order_id);
            checkouts::create(app, viewer, id, &returns, &idempotency_key).await
        });
        let made = match made.await {
            Ok(row) => Ok(Checkout {
                order: Arc::new(service::find(app, row.order_id).await?),
                row: Arc::new(row),
            }),
            Err(error) => Err(error),
        };
        CheckoutCreatePayload::of(made)
    }

    /// Gives back a part or all of an order's payment; never more than was paid. Codes: `INVALID_INPUT` (beyond what is
    /// left: `details.refundableMinor`), `NOT_FOUND`, `INVALID_STATE` (not paid, nothing left, or held by a dispute),
    /// `IDEMPOTENCY_KEY_REUSED`.
    async fn refund_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The order (`ord_…`).")] order_id: ID,
        #[graphql(desc = "What to give back.")] input: RefundCreateInput,
        #[graphql(
            desc = "1 to 128 printable ASCII characters; a repeat answers the first outcome."
        )]
        idempotency_key: String,
    ) -> Result<RefundCreatePayload> {
        let (app, viewer) = (ctx.app(), ctx.viewer());
        let RefundCreateInput {
            amount_minor,
            reason,
        } = input;
        let wish = Wish {
            amount_minor: amount_minor.map(|amount| amount.0),
            reason,
        };
        let made = retry_conflict(|| async {
            let id = args::maybe_id::<OrderId>(&order_id);
            refunds::create(app, viewer, id, &wish, &idempotency_key).await
        });
        let made = match made.await {
            Ok(row) => Ok(Refund {
                order: Arc::new(service::find(app, row.order_id).await?),
                row: Arc::new(row),
            }),
            Err(error) => Err(error),
        };
        RefundCreatePayload::of(made)
    }

    /// Takes an order off the list of those that need a person, once what `needsAttention` says is settled, with a refund
    /// or without one. What is settled stays so whatever else the payment service tells; a new reason lists the order
    /// again. Codes: `INVALID_INPUT`, `NOT_FOUND`, `CONFLICT`, `INVALID_STATE` (nothing needs a person).
    async fn order_attention_clear(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The order (`ord_…`).")] id: ID,
        #[graphql(desc = "How it was settled.")] input: Option<OrderAttentionClearInput>,
        #[graphql(desc = "Refuse with `CONFLICT` unless `version` is this.")]
        expected_version: Option<i32>,
    ) -> Result<OrderAttentionClearPayload> {
        let (app, viewer, id) = (ctx.app(), ctx.viewer(), args::maybe_id::<OrderId>(&id));
        let OrderAttentionClearInput { note } = input.unwrap_or_default();
        let done =
            retry_conflict(|| attention::clear(app, viewer, id, note.as_deref(), expected_version));
        OrderAttentionClearPayload::of(done.await.map(|row| Order(Arc::new(row))))
    }
}
