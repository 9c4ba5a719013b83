//! Loaders of orders, their lines, refunds and checkouts.

use super::model::{
    self, Order, OrderLine,
    checkouts::{self, Checkout},
    refunds::{self, Refund},
};
use crate::{
    db::{
        Db,
        batch::{Loader, MaybeRow, Rows},
        ids::{BookingId, CheckoutId, OrderId, RefundId, UserId},
    },
    row_loader, rows_loader,
};

row_loader! {
    /// An order by id; who may see it is the reader's to check.
    OrderById: OrderId => Order, model::by_ids, |order| order.id
}

row_loader! {
    /// A booking's newest order.
    OrderOfBooking: BookingId => Order, model::newest_of_bookings, |order| order.booking_id
}

row_loader! {
    /// The person behind the provider of a booking.
    ProviderUserOfBooking: BookingId => (BookingId, UserId), model::provider_users, |pair| pair.0
}

rows_loader! {
    /// An order's lines, in their places.
    LinesOfOrder: OrderId => OrderLine, model::lines, |line| line.order_id
}

rows_loader! {
    /// An order's refunds, the oldest first.
    RefundsOfOrder: OrderId => Refund, refunds::of_orders, |refund| refund.order_id
}

row_loader! {
    /// An order's newest checkout.
    CheckoutOfOrder: OrderId => Checkout, checkouts::newest_of_orders, |checkout| checkout.order_id
}

row_loader! {
    /// A checkout by id; who may see its order is the reader's to check.
    CheckoutById: CheckoutId => Checkout, checkouts::by_ids, |checkout| checkout.id
}

row_loader! {
    /// A refund by id; who may see its order is the reader's to check.
    RefundById: RefundId => Refund, refunds::by_ids, |refund| refund.id
}

/// The loaders of payments, for one request.
pub struct PaymentLoaders {
    /// Orders by id.
    pub orders: Loader<OrderId, MaybeRow<Order>, OrderById>,
    /// The newest order of a booking.
    pub order_of_booking: Loader<BookingId, MaybeRow<Order>, OrderOfBooking>,
    /// The person behind a booking's provider, who sees its order.
    pub provider_users: Loader<BookingId, MaybeRow<(BookingId, UserId)>, ProviderUserOfBooking>,
    /// The lines of an order.
    pub lines: Loader<OrderId, Rows<OrderLine>, LinesOfOrder>,
    /// The refunds of an order.
    pub refunds: Loader<OrderId, Rows<Refund>, RefundsOfOrder>,
    /// The newest checkout of an order.
    pub checkout: Loader<OrderId, MaybeRow<Checkout>, CheckoutOfOrder>,
    /// Checkouts by id.
    pub checkout_by_id: Loader<CheckoutId, MaybeRow<Checkout>, CheckoutById>,
    /// Refunds by id.
    pub refund_by_id: Loader<RefundId, MaybeRow<Refund>, RefundById>,
}

impl PaymentLoaders {
    /// For one request.
    pub fn new(db: &Db) -> Self {
        Self {
            orders: Loader::new(OrderById(db.clone())),
            order_of_booking: Loader::new(OrderOfBooking(db.clone())),
            provider_users: Loader::new(ProviderUserOfBooking(db.clone())),
            lines: Loader::new(LinesOfOrder(db.clone())),
            refunds: Loader::new(RefundsOfOrder(db.clone())),
            checkout: Loader::new(CheckoutOfOrder(db.clone())),
            checkout_by_id: Loader::new(CheckoutById(db.clone())),
            refund_by_id: Loader::new(RefundById(db.clone())),
        }
    }
}
