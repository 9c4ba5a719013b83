//! Orders, checkouts and refunds in the schema.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object};

use super::{
    checkouts, model,
    model::Filter,
    refunds::{self, Wish},
    service::{self, is_staff, sees},
};
use crate::{
    cursor::PageArgs,
    db::{
        ids::{BookingId, OrderId},
        retry_conflict,
    },
    error::{Error, Result},
    features::{bookings::graphql::types::Booking, users::graphql::User},
    graphql::{
        args,
        connection::Connection,
        context::ContextExt,
        money::Money,
        scalars::{DateTime, Int64, URL},
    },
    payload,
};

/// The name of the lists' order in cursors.
const ORDER: &str = "order.created";

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

    /// When the client's bank disputed the payment; refunds are held since. Null without a dispute and when it is won.
    async fn disputed_at(&self) -> Option<DateTime> {
        self.0.disputed_at.map(|at| DateTime(*at))
    }

    /// What a person must look at, in English; null where nothing, and for everyone but staff with `orders:read`.
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

/// A session at the payment service in which a client pays an order.
#[derive(async_graphql::Description, Clone)]
pub struct Checkout {
    row: Arc<model::checkouts::Checkout>,
    order: Arc<model::Order>,
}

#[Object(use_type_description)]
impl Checkout {
    /// Identity (`chk_…`).
    async fn id(&self) -> ID {
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

/// Money that goes back to the client.
#[derive(async_graphql::Description, Clone)]
pub struct Refund {
    row: Arc<model::refunds::Refund>,
    order: Arc<model::Order>,
}

#[Object(use_type_description)]
impl Refund {
    /// Identity (`ref_…`).
    async fn id(&self) -> ID {
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
    /// Why, 1 to 2 000 characters; the client reads it.
    pub reason: String,
}

/// Which orders to list.
#[derive(InputObject, Default)]
pub struct OrderFilter {
    /// Only those which need a person, or only those which don't.
    pub needs_attention: Option<bool>,
    /// Only those in this state.
    pub state: Option<OrderState>,
}

/// A page of the viewer's own orders, the newest first; for `Me.orders`.
pub async fn mine(ctx: &Context<'_>, args: PageArgs) -> Result<Connection<Order>> {
    let page = args.page(ORDER)?;
    let count = ctx.selects("totalCount");
    connection(service::mine(ctx.app(), ctx.viewer(), &page, count).await?)
}

fn connection(slice: crate::cursor::Slice<model::Order>) -> Result<Connection<Order>> {
    Connection::of(
        slice,
        ORDER,
        |row| (row.created_at, row.id),
        |row| Order(Arc::new(row)),
    )
}

/// Queries of payments.
#[derive(Default)]
pub struct PaymentQueries;

#[Object]
impl PaymentQueries {
    /// An order; null when there is none or you may not see it.
    async fn order(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The order (`ord_…`).")] id: ID,
    ) -> Result<Option<Order>> {
        match args::maybe_id(&id) {
            Some(id) => Order::by_id(ctx, id).await,
            None => Ok(None),
        }
    }

    /// Orders of everyone, the newest first.
    async fn orders(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which orders; all without it.")] filter: Option<OrderFilter>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without.")] first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Connection<Order>> {
        let page = PageArgs {
            first,
            after,
            last,
            before,
        }
        .page(ORDER)?;
        let OrderFilter {
            needs_attention,
            state,
        } = filter.unwrap_or_default();
        let filter = Filter {
            client: None,
            state: state.map(Into::into),
            needs_attention,
        };
        let count = ctx.selects("totalCount");
        connection(service::list(ctx.app(), filter, &page, count).await?)
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
}
