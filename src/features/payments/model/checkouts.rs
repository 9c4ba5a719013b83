//! Rows of `checkouts`.

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::{
    db::{
        Instant,
        ids::{CheckoutId, OrderId},
        schema::checkouts,
    },
    text_enum,
};

text_enum! {
    /// How far a checkout session is.
    pub enum CheckoutState {
        /// Asked for; the gateway has not answered yet.
        Creating = "CREATING",
        /// The client may pay.
        Open = "OPEN",
        /// To be closed at the gateway; nobody should pay any more.
        Expiring = "EXPIRING",
        /// Closed unpaid.
        Expired = "EXPIRED",
        /// The client went through it; the money is there or on its way.
        Complete = "COMPLETE",
        /// The gateway refused it, or the money that was on its way did not arrive.
        Failed = "FAILED",
    }
}

/// A session at the gateway in which a client pays an order.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = checkouts, check_for_backend(diesel::pg::Pg))]
pub struct Checkout {
    /// Identity; the gateway's idempotency key follows from it.
    pub id: CheckoutId,
    /// What is paid.
    pub order_id: OrderId,
    /// How far it is.
    pub state: CheckoutState,
    /// The gateway's id, once it has answered.
    pub gateway_session_id: Option<String>,
    /// Where to pay.
    pub url: Option<String>,
    /// Where the client goes after paying.
    pub success_url: String,
    /// Where the client goes without paying.
    pub cancel_url: String,
    /// When the gateway closes it by itself.
    pub expires_at: Instant,
    /// When it was asked for.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

/// Adds an intent.
pub async fn insert(conn: &mut AsyncPgConnection, checkout: &Checkout) -> QueryResult<()> {
    diesel::insert_into(checkouts::table)
        .values(checkout)
        .execute(conn)
        .await?;
    Ok(())
}

/// One checkout.
pub async fn by_id(conn: &mut AsyncPgConnection, id: CheckoutId) -> QueryResult<Option<Checkout>> {
    checkouts::table
        .find(id)
        .select(Checkout::as_select())
        .first(conn)
        .await
        .optional()
}

/// The checkouts with these ids, in no order.
pub async fn by_ids(
    mut conn: &AsyncPgConnection,
    ids: &[CheckoutId],
) -> QueryResult<Vec<Checkout>> {
    checkouts::table
        .filter(checkouts::id.eq_any(ids))
        .select(Checkout::as_select())
        .load(&mut conn)
        .await
}

/// The checkouts of an order, the oldest first. Its order is locked by whoever changes one.
pub async fn of_order(conn: &mut AsyncPgConnection, id: OrderId) -> QueryResult<Vec<Checkout>> {
    checkouts::table
        .filter(checkouts::order_id.eq(id))
        .order(checkouts::id)
        .select(Checkout::as_select())
        .load(conn)
        .await
}

/// The newest checkout of each of these orders.
pub async fn newest_of_orders(
    mut conn: &AsyncPgConnection,
    ids: &[OrderId],
) -> QueryResult<Vec<Checkout>> {
    checkouts::table
        .filter(checkouts::order_id.eq_any(ids))
        .distinct_on(checkouts::order_id)
        .order((checkouts::order_id, checkouts::id.desc()))
        .select(Checkout::as_select())
        .load(&mut conn)
        .await
}

/// The order whose session this is.
pub async fn order_of_session(
    conn: &mut AsyncPgConnection,
    session: &str,
) -> QueryResult<Option<OrderId>> {
    checkouts::table
        .filter(checkouts::gateway_session_id.eq(session))
        .select(checkouts::order_id)
        .first(conn)
        .await
        .optional()
}

/// Writes state, session, address and time; the order is locked.
pub async fn save(conn: &mut AsyncPgConnection, checkout: &Checkout) -> QueryResult<()> {
    diesel::update(checkouts::table.find(checkout.id))
        .set((
            checkouts::state.eq(checkout.state),
            checkouts::gateway_session_id.eq(checkout.gateway_session_id.as_deref()),
            checkouts::url.eq(checkout.url.as_deref()),
            checkouts::updated_at.eq(checkout.updated_at),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// The next hundred checkouts by id, behind this one, that nobody has touched since `before` although there is
/// something to do about them.
pub async fn unfinished(
    conn: &mut AsyncPgConnection,
    before: Instant,
    now: Instant,
    behind: CheckoutId,
) -> QueryResult<Vec<CheckoutId>> {
    checkouts::table
        .filter(checkouts::id.gt(behind))
        .filter(
            checkouts::state
                .eq_any([CheckoutState::Creating, CheckoutState::Expiring])
                .or(checkouts::state
                    .eq(CheckoutState::Open)
                    .and(checkouts::expires_at.le(now))),
        )
        .filter(checkouts::updated_at.le(before))
        .order(checkouts::id)
        .limit(100)
        .select(checkouts::id)
        .load(conn)
        .await
}
