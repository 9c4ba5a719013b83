//! Orders, checkouts and refunds as the schema shows them.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object};

use crate::{
    db::ids::{BookingId, CheckoutId, OrderId, RefundId},
    error::{Error, Result},
    features::{
        bookings::graphql::types::Booking,
        payments::{
            model,
            service::{is_staff, sees},
        },
        users::graphql::User,
    },
    graphql::{
        context::ContextExt,
        money::Money,
        scalars::{DateTime, URL},
    },
};

/// How far an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "model::OrderState")]
pub enum OrderState {
    /// Waits for the payment.
    Pending,
    /// Paid, nothing given back.
    Paid,
    /// Paid, and a part given back or on its way back.
    PartiallyRefunded,
    /// Paid, and all given back or on its way back.
    Refunded,
    /// Never paid in time.
    Expired,
    /// Its booking was cancelled before a payment.
    Cancelled,
}

/// How far a checkout session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "model::checkouts::CheckoutState")]
pub enum CheckoutState {
    /// Asked for; the payment service has not answered yet.
    Creating,
    /// You can pay at `url`.
    Open,
    /// Being closed; don't pay any more.
    Expiring,
    /// Closed unpaid.
    Expired,
    /// Gone through; the money is there or on its way.
    Complete,
    /// Refused, or the money that was on its way did not arrive; make another one.
    Failed,
}

/// How far a refund is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "model::refunds::RefundState")]
pub enum RefundState {
    /// Decided; on its way to the client.
    Pending,
    /// Given back.
    Succeeded,
    /// Not given back; staff looks at it.
    Failed,
}

/// Why money goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "model::refunds::RefundCause")]
pub enum RefundCause {
    /// A cancellation.
    Policy,
    /// Staff's decision.
    Staff,
    /// The payment came when the booking could not be kept any more.
    LatePayment,
    /// The booking was paid already.
    DuplicatePayment,
    /// The provider did not come.
    NoShow,
}

/// What a client owes or has paid for a booking. Its client, the provider and staff with `orders:read` see it.
#[derive(async_graphql::Description, Clone)]
pub struct Order(pub Arc<model::Order>);

impl Order {
    /// The order, if the viewer may see it.
    async fn visible(ctx: &Context<'_>, row: Arc<model::Order>) -> Result<Option<Self>> {
        let viewer = ctx.viewer();
        if sees(viewer, row.client_id, None) {
            return Ok(Some(Self(row)));
        }
        let pair = ctx.loaders().payments.provider_users.load(row.booking_id);
        let provider = pair.await?.map(|pair| pair.1);
        Ok(sees(viewer, row.client_id, provider).then_some(Self(row)))
    }

    /// The order of this id, if the viewer may see it; for `order` and `node`.
    pub async fn by_id(ctx: &Context<'_>, id: OrderId) -> Result<Option<Self>> {
        match ctx.loaders().payments.orders.load(id).await? {
            Some(row) => Self::visible(ctx, row).await,
            None => Ok(None),
        }
    }

    /// A booking's newest order, if the viewer may see it; for `Booking.order`.
    pub async fn of_booking(ctx: &Context<'_>, id: BookingId) -> Result<Option<Self>> {
        match ctx.loaders().payments.order_of_booking.load(id).await? {
            Some(row) => Self::visible(ctx, row).await,
            None => Ok(None),
        }
    }

    fn money(&self, amount_minor: i64) -> Result<Money> {
        Money::of(amount_minor, &self.0.currency)
    }
}

#[Object(use_type_description)]
impl Order {
    /// Identity (`ord_…`).
    pub async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// How far it is.
    async fn state(&self) -> OrderState {
        self.0.state.into()
    }

    /// Counts the changes; pass it as `expectedVersion`.
    async fn version(&self) -> i32 {
        self.0.version
    }

    /// What is paid for.
    async fn booking(&self, ctx: &Context<'_>) -> Result<Booking> {
        // Whoever sees an order sees its booking.
        let booking = ctx.loaders().bookings.load(self.0.booking_id).await?;
        booking
            .map(Booking)
            .ok_or_else(|| Error::internal("an order's booking is gone"))
    }

    /// Who pays.
    async fn client(&self, ctx: &Context<'_>) -> Result<User> {
        let user = ctx.loaders().users.load(self.0.client_id).await?;
        user.map(User)
            .ok_or_else(|| Error::internal("an order's client is gone"))
    }

    /// What is paid for; the lines sum to the total.
    async fn lines(&self, ctx: &Context<'_>) -> Result<Vec<OrderLine>> {
        let lines = ctx.loaders().payments.lines.load(self.0.id).await?;
        lines
            .iter()
            .map(|line| {
                Ok(OrderLine {
                    title: line.title.clone(),
                    amount: self.money(line.amount_minor)?,
                })
            })
            .collect()
    }

    /// What it costs.
    async fn total(&self) -> Result<Money> {
        self.money(self.0.total_minor)
    }

    /// All that was paid: the total, or more where it was paid twice; what is too much goes back by itself.
    async fn captured(&self) -> Result<Money> {
        self.money(self.0.captured_minor)
    }

    /// All that was given back or is on its way back; never more than `captured`.
    async fn refunded(&self) -> Result<Money> {
        self.money(self.0.refunded_minor)
    }

    /// Each time that money went back, the oldest first.
    async fn refunds(&self, ctx: &Context<'_>) -> Result<Vec<Refund>> {
        let rows = ctx.loaders().payments.refunds.load(self.0.id).await?;
        Ok(rows
            .iter()
            .map(|row| Refund {
                row: Arc::new(row.clone()),
                order: self.0.clone(),
            })
            .collect())
    }

    /// The newest checkout session; null before the first one.
    async fn checkout(&self, ctx: &Context<'_>) -> Result<Option<Checkout>> {
        let row = ctx.loaders().payments.checkout.load(self.0.id).await?;
        Ok(row.map(|row| Checkout {
            row,
            order: self.0.clone(),
        }))
    }

    /// When it was paid; null before.
    async fn paid_at(&self) -> Option<DateTime> {
        self.0.paid_at.map(|at| DateTime(*at))
    }

    /// What the client's bank took back in disputes that are lost; it can't be refunded any more.
    async fn lost(&self) -> Result<Money> {
        self.money(self.0.lost_minor)
    }

    /// When the client's bank disputed the payment; refunds are held since. Null without an open dispute: once it is won
    /// refunds go on, once it is lost what is left can be refunded.
    async fn disputed_at(&self) -> Option<DateTime> {
        self.0.disputed_at.map(|at| DateTime(*at))
    }

    /// What a person must look at, in English, until `orderAttentionClear` says that it is settled; null where nothing, and for everyone but staff with `orders:read`.
    async fn needs_attention(&self, ctx: &Context<'_>) -> Option<&str> {
        is_staff(ctx.viewer())
            .then_some(self.0.needs_attention.as_deref())
            .flatten()
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        DateTime(*self.0.created_at)
    }

    /// When it last changed.
    async fn updated_at(&self) -> DateTime {
        DateTime(*self.0.updated_at)
    }
}

/// A line of an order.
#[derive(async_graphql::SimpleObject)]
pub struct OrderLine {
    /// What it is.
    pub title: String,
    /// What it costs.
    pub amount: Money,
}

/// A session at the payment service in which a client pays an order. It shows to whom the order does.
#[derive(async_graphql::Description, Clone)]
pub struct Checkout {
    pub(super) row: Arc<model::checkouts::Checkout>,
    pub(super) order: Arc<model::Order>,
}

impl Checkout {
    /// The checkout with this id, when the viewer may see its order.
    pub async fn by_id(ctx: &Context<'_>, id: CheckoutId) -> Result<Option<Self>> {
        let Some(row) = ctx.loaders().payments.checkout_by_id.load(id).await? else {
            return Ok(None);
        };
        let order = Order::by_id(ctx, row.order_id).await?;
        Ok(order.map(|Order(order)| Self { row, order }))
    }
}

#[Object(use_type_description)]
impl Checkout {
    /// Identity (`chk_…`).
    pub async fn id(&self) -> ID {
        self.row.id.to_string().into()
    }

    /// What is paid.
    async fn order(&self) -> Order {
        Order(self.order.clone())
    }

    /// How far it is.
    async fn state(&self) -> CheckoutState {
        self.row.state.into()
    }

    /// Where to pay; null unless it is open, and for everyone but the client.
    async fn url(&self, ctx: &Context<'_>) -> Option<URL> {
        let url = self.row.url.clone().map(URL);
        url.filter(|_| ctx.viewer().is(self.order.client_id))
    }

    /// When it closes by itself.
    async fn expires_at(&self) -> DateTime {
        DateTime(*self.row.expires_at)
    }

    /// When it was asked for.
    async fn created_at(&self) -> DateTime {
        DateTime(*self.row.created_at)
    }
}

/// Money that goes back to the client. It shows to whom the order does.
#[derive(async_graphql::Description, Clone)]
pub struct Refund {
    pub(super) row: Arc<model::refunds::Refund>,
    pub(super) order: Arc<model::Order>,
}

impl Refund {
    /// The refund with this id, when the viewer may see its order.
    pub async fn by_id(ctx: &Context<'_>, id: RefundId) -> Result<Option<Self>> {
        let Some(row) = ctx.loaders().payments.refund_by_id.load(id).await? else {
            return Ok(None);
        };
        let order = Order::by_id(ctx, row.order_id).await?;
        Ok(order.map(|Order(order)| Self { row, order }))
    }
}

#[Object(use_type_description)]
impl Refund {
    /// Identity (`ref_…`).
    pub async fn id(&self) -> ID {
        self.row.id.to_string().into()
    }

    /// Of which order.
    async fn order(&self) -> Order {
        Order(self.order.clone())
    }

    /// How much.
    async fn amount(&self) -> Result<Money> {
        Money::of(self.row.amount_minor, &self.order.currency)
    }

    /// How far it is.
    async fn state(&self) -> RefundState {
        self.row.state.into()
    }

    /// Why, as a word.
    async fn cause(&self) -> RefundCause {
        self.row.cause.into()
    }

    /// Why, in words; empty where the cause says it all.
    async fn reason(&self) -> &str {
        &self.row.reason
    }

    /// Who of staff decided it; null where nobody did, and for everyone but staff with `orders:read`.
    async fn requested_by(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        match self.row.requested_by.filter(|_| is_staff(ctx.viewer())) {
            Some(id) => Ok(ctx.loaders().users.load(id).await?.map(User)),
            None => Ok(None),
        }
    }

    /// When it was decided.
    async fn created_at(&self) -> DateTime {
        DateTime(*self.row.created_at)
    }

    /// When it last changed.
    async fn updated_at(&self) -> DateTime {
        DateTime(*self.row.updated_at)
    }
}
