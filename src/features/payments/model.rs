//! Rows of `orders` and `order_lines`, and what of a booking an order is made from.

pub mod checkouts;
pub mod events;
pub mod refunds;

use diesel::{
    pg::Pg,
    prelude::*,
    sql_types::{Timestamptz, Uuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::{
    cursor::{LARGEST_COUNT, Page},
    db::{
        Instant,
        ids::{BookingId, OrderId, OrderLineId, ProviderId, UserId},
        keyset::Limited,
        schema::{bookings, order_lines, orders, providers, services},
    },
    keyset, text_enum,
};

text_enum! {
    /// How far an order is (rules.md, Orders and payments).
    pub enum OrderState {
        /// Waits for the payment.
        Pending = "PENDING",
        /// Paid, nothing given back.
        Paid = "PAID",
        /// Paid, and a part given back or on its way back.
        PartiallyRefunded = "PARTIALLY_REFUNDED",
        /// Paid, and all given back or on its way back.
        Refunded = "REFUNDED",
        /// Never paid in time.
        Expired = "EXPIRED",
        /// Its booking was cancelled before a payment.
        Cancelled = "CANCELLED",
    }
}

/// What a client owes or has paid for a booking.
#[derive(Clone, Debug, PartialEq, Queryable, Selectable, Insertable)]
#[diesel(table_name = orders, check_for_backend(diesel::pg::Pg))]
pub struct Order {
    /// Identity.
    pub id: OrderId,
    /// What is paid for.
    pub booking_id: BookingId,
    /// Who pays: the booking's client.
    pub client_id: UserId,
    /// How far it is.
    pub state: OrderState,
    /// ISO 4217 code of every amount of this order.
    pub currency: String,
    /// The sum of the lines, in minor units.
    pub total_minor: i64,
    /// All that was paid, further payments included, in minor units.
    pub captured_minor: i64,
    /// All that was given back or is on its way back, in minor units; never above what was captured (rule 10).
    pub refunded_minor: i64,
    /// When the payment that counts was made.
    pub paid_at: Option<Instant>,
    /// When the first of the disputes that are still open began; refunds are held since.
    pub disputed_at: Option<Instant>,
    /// What a person must look at.
    pub needs_attention: Option<String>,
    /// Counts the kept events, refunds, closings and settlings.
    pub version: i32,
    /// When it was made.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
    /// The reasons to look at it that staff have settled (`fold::OrderFacts::reasons`); only ever added to.
    pub attention_seen: Vec<String>,
    /// What the client's bank took back in disputes that are lost, in minor units; never above what was captured.
    pub lost_minor: i64,
}

/// A line of an order.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = order_lines, check_for_backend(diesel::pg::Pg))]
pub struct OrderLine {
    /// Identity.
    pub id: OrderLineId,
    /// Whose line it is.
    pub order_id: OrderId,
    /// Its place, from 0.
    pub position: i32,
    /// What it is, as the client reads it.
    pub title: String,
    /// In minor units of the order's currency.
    pub amount_minor: i64,
}

/// What of a booking payments need to know.
#[derive(Clone, Debug, Queryable)]
pub struct Payable {
    /// The booking.
    pub id: BookingId,
    /// Who pays.
    pub client_id: UserId,
    /// Who is booked.
    pub provider_id: ProviderId,
    /// The provider's person.
    pub provider_user_id: UserId,
    /// The booking's state, as it is stored.
    pub state: String,
    /// The frozen price in minor units; 0 is free.
    pub price_minor: i64,
    /// Its ISO 4217 code.
    pub currency: String,
    /// Until when an accepted booking may be paid.
    pub payment_deadline: Option<Instant>,
    /// What is booked, for the order's line.
    pub service_title: String,
}

/// A booking as payments see it.
pub async fn payable(conn: &mut AsyncPgConnection, id: BookingId) -> QueryResult<Option<Payable>> {
    bookings::table
        .inner_join(providers::table.on(providers::id.eq(bookings::provider_id)))
        .inner_join(services::table.on(services::id.eq(bookings::service_id)))
        .filter(bookings::id.eq(id))
        .select((
            bookings::id,
            bookings::client_id,
            bookings::provider_id,
            providers::user_id,
            bookings::state,
            bookings::price_minor,
            bookings::currency,
            bookings::payment_deadline,
            services::title,
        ))
        .first(conn)
        .await
        .optional()
}

/// Locks a booking's row (after user and provider where those are needed, before its order); answers its state and
/// until when it may be paid.
pub async fn lock_booking(
    conn: &mut AsyncPgConnection,
    id: BookingId,
) -> QueryResult<(String, Option<Instant>)> {
    bookings::table
        .find(id)
        .select((bookings::state, bookings::payment_deadline))
        .for_no_key_update()
        .first(conn)
        .await
}

/// Locks a provider's row.
pub async fn lock_provider(conn: &mut AsyncPgConnection, id: ProviderId) -> QueryResult<()> {
    providers::table
        .find(id)
        .select(providers::id)
        .for_no_key_update()
        .first::<ProviderId>(conn)
        .await?;
    Ok(())
}

/// The people behind some bookings' providers: booking and the provider's person.
pub async fn provider_users(
    mut conn: &AsyncPgConnection,
    ids: &[BookingId],
) -> QueryResult<Vec<(BookingId, UserId)>> {
    bookings::table
        .inner_join(providers::table.on(providers::id.eq(bookings::provider_id)))
        .filter(bookings::id.eq_any(ids))
        .select((bookings::id, providers::user_id))
        .load(&mut conn)
        .await
}

/// The orders with these ids, in no order.
pub async fn by_ids(mut conn: &AsyncPgConnection, ids: &[OrderId]) -> QueryResult<Vec<Order>> {
    orders::table
        .filter(orders::id.eq_any(ids))
        .select(Order::as_select())
        .load(&mut conn)
        .await
}

/// One order.
pub async fn by_id(conn: &mut AsyncPgConnection, id: OrderId) -> QueryResult<Option<Order>> {
    orders::table
        .find(id)
        .select(Order::as_select())
        .first(conn)
        .await
        .optional()
}

/// Locks an order, the last in the written order, and reads it.
pub async fn lock(conn: &mut AsyncPgConnection, id: OrderId) -> QueryResult<Option<Order>> {
    orders::table
        .find(id)
        .select(Order::as_select())
        .for_no_key_update()
        .first(conn)
        .await
        .optional()
}

/// Locks every order of a booking, the newest first, and reads them.
pub async fn lock_of_booking(
    conn: &mut AsyncPgConnection,
    id: BookingId,
) -> QueryResult<Vec<Order>> {
    orders::table
        .filter(orders::booking_id.eq(id))
        .order(orders::id.desc())
        .select(Order::as_select())
        .for_no_key_update()
        .load(conn)
        .await
}

/// Every order of a booking, the newest first.
pub async fn of_booking(conn: &mut AsyncPgConnection, id: BookingId) -> QueryResult<Vec<Order>> {
    orders::table
        .filter(orders::booking_id.eq(id))
        .order(orders::id.desc())
        .select(Order::as_select())
        .load(conn)
        .await
}

/// The newest order of each of these bookings.
pub async fn newest_of_bookings(
    mut conn: &AsyncPgConnection,
    ids: &[BookingId],
) -> QueryResult<Vec<Order>> {
    orders::table
        .filter(orders::booking_id.eq_any(ids))
        .distinct_on(orders::booking_id)
        .order((
            orders::booking_id,
            orders::created_at.desc(),
            orders::id.desc(),
        ))
        .select(Order::as_select())
        .load(&mut conn)
        .await
}

/// Adds an order with its lines.
pub async fn insert(
    conn: &mut AsyncPgConnection,
    order: &Order,
    lines: &[OrderLine],
) -> QueryResult<()> {
    diesel::insert_into(orders::table)
        .values(order)
        .execute(conn)
        .await?;
    diesel::insert_into(order_lines::table)
        .values(lines)
        .execute(conn)
        .await?;
    Ok(())
}

/// Writes what changes in an order; the row is locked.
pub async fn save(conn: &mut AsyncPgConnection, order: &Order) -> QueryResult<()> {
    diesel::update(orders::table.find(order.id))
        .set((
            orders::state.eq(order.state),
            orders::captured_minor.eq(order.captured_minor),
            orders::refunded_minor.eq(order.refunded_minor),
            orders::paid_at.eq(order.paid_at),
            orders::disputed_at.eq(order.disputed_at),
            orders::needs_attention.eq(order.needs_attention.as_deref()),
            orders::version.eq(order.version),
            orders::updated_at.eq(order.updated_at),
            orders::attention_seen.eq(&order.attention_seen),
            orders::lost_minor.eq(order.lost_minor),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// The lines of these orders, in their places.
pub async fn lines(mut conn: &AsyncPgConnection, ids: &[OrderId]) -> QueryResult<Vec<OrderLine>> {
    order_lines::table
        .filter(order_lines::order_id.eq_any(ids))
        .order((order_lines::order_id, order_lines::position))
        .select(OrderLine::as_select())
        .load(&mut conn)
        .await
}

/// Which orders a list shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    /// Of this client alone.
    pub client: Option<UserId>,
    /// In this state alone.
    pub state: Option<OrderState>,
    /// Only those which need a person, or only those which don't.
    pub needs_attention: Option<bool>,
}

type Boxed<'a> = orders::BoxedQuery<'a, Pg>;

impl Filter {
    fn apply<'a>(self, mut query: Boxed<'a>) -> Boxed<'a> {
        let Self {
            client,
            state,
            needs_attention,
        } = self;
        if let Some(client) = client {
            query = query.filter(orders::client_id.eq(client));
        }
        if let Some(state) = state {
            query = query.filter(orders::state.eq(state));
        }
        match needs_attention {
            Some(true) => query.filter(orders::needs_attention.is_not_null()),
            Some(false) => query.filter(orders::needs_attention.is_null()),
            None => query,
        }
    }
}

/// The values of a cursor of [`page`]: creation and id.
pub type OrderKey = (Instant, OrderId);

/// The statement of [`page`].
pub type PageQuery = Limited<
    orders::BoxedQuery<
        'static,
        Pg,
        diesel::helper_types::SqlTypeOf<diesel::helper_types::AsSelect<Order, Pg>>,
    >,
>;

/// The statement of [`page`].
pub fn page_query(filter: Filter, page: &Page<OrderKey>) -> PageQuery {
    let all = orders::table.into_boxed();
    let (query, in_state) = match filter {
        // The one condition, which an index holds in this order.
        Filter {
            client: None,
            state: Some(state),
            needs_attention: None,
        } => (all.filter(orders::state.eq_any([state])), true),
        others => (others.apply(all), false),
    };
    let query = query.select(Order::as_select());
    keyset!(query, page, true, |(created, id)| (
        orders::created_at: Timestamptz = created,
        orders::id: Uuid = id,
    ), of in_state => orders::state)
}

/// A page of orders, the newest first.
pub async fn page(
    conn: &mut AsyncPgConnection,
    filter: Filter,
    page: &Page<OrderKey>,
) -> QueryResult<Vec<Order>> {
    page_query(filter, page).load(conn).await
}

/// How many orders the filter lets through, up to one more than is told.
pub async fn count(conn: &mut AsyncPgConnection, filter: Filter) -> QueryResult<i64> {
    filter
        .apply(orders::table.into_boxed())
        .limit(LARGEST_COUNT + 1)
        .select(orders::id)
        .load::<OrderId>(conn)
        .await
        .map(|ids| i64::try_from(ids.len()).unwrap_or(i64::MAX))
}
