//! Rows of `refunds`.

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::{
    db::{
        Instant,
        ids::{OrderId, RefundId, UserId},
        schema::{orders, refunds},
    },
    text_enum,
};

text_enum! {
    /// How far a refund is. It only ever moves down this list: even a succeeded one can fail later (rule 10).
    pub enum RefundState {
        /// Decided; on its way to the client.
        Pending = "PENDING",
        /// Given back.
        Succeeded = "SUCCEEDED",
        /// Not given back; its amount is open again.
        Failed = "FAILED",
    }
}

text_enum! {
    /// Why money goes back.
    pub enum RefundCause {
        /// A cancellation, by the policy frozen in the booking or in full by the provider's side.
        Policy = "POLICY",
        /// Staff's decision.
        Staff = "STAFF",
        /// The payment came when the booking could not be kept (rule 7).
        LatePayment = "LATE_PAYMENT",
        /// The booking was paid already.
        DuplicatePayment = "DUPLICATE_PAYMENT",
        /// The provider did not come.
        NoShow = "NO_SHOW",
    }
}

/// Money that goes back to the client.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = refunds, check_for_backend(diesel::pg::Pg))]
pub struct Refund {
    /// Identity; the gateway's idempotency key follows from it.
    pub id: RefundId,
    /// Of which order.
    pub order_id: OrderId,
    /// Which payment of it (`pi_…`).
    pub payment_intent: String,
    /// In minor units of the order's currency.
    pub amount_minor: i64,
    /// How far it is.
    pub state: RefundState,
    /// Why, as a word.
    pub cause: RefundCause,
    /// Why, in words; empty where the cause says it all.
    pub reason: String,
    /// Who of staff decided it.
    pub requested_by: Option<UserId>,
    /// The gateway's id (`re_…`), once it has answered.
    pub gateway_refund_id: Option<String>,
    /// When it was decided.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

/// Adds a refund; the order is locked, so that the cap holds (rule 10).
pub async fn insert(conn: &mut AsyncPgConnection, refund: &Refund) -> QueryResult<()> {
    diesel::insert_into(refunds::table)
        .values(refund)
        .execute(conn)
        .await?;
    Ok(())
}

/// One refund.
pub async fn by_id(conn: &mut AsyncPgConnection, id: RefundId) -> QueryResult<Option<Refund>> {
    refunds::table
        .find(id)
        .select(Refund::as_select())
        .first(conn)
        .await
        .optional()
}

/// The refunds with these ids, in no order.
pub async fn by_ids(mut conn: &AsyncPgConnection, ids: &[RefundId]) -> QueryResult<Vec<Refund>> {
    refunds::table
        .filter(refunds::id.eq_any(ids))
        .select(Refund::as_select())
        .load(&mut conn)
        .await
}

/// The refunds of these orders, the oldest first.
pub async fn of_orders(mut conn: &AsyncPgConnection, ids: &[OrderId]) -> QueryResult<Vec<Refund>> {
    refunds::table
        .filter(refunds::order_id.eq_any(ids))
        .order((refunds::order_id, refunds::created_at, refunds::id))
        .select(Refund::as_select())
        .load(&mut conn)
        .await
}

/// The order from which this payment was given back.
pub async fn order_of_payment(
    conn: &mut AsyncPgConnection,
    payment_intent: &str,
) -> QueryResult<Option<OrderId>> {
    refunds::table
        .filter(refunds::payment_intent.eq(payment_intent))
        .select(refunds::order_id)
        .first(conn)
        .await
        .optional()
}

/// Writes state, gateway id and time; the order is locked.
pub async fn save(conn: &mut AsyncPgConnection, refund: &Refund) -> QueryResult<()> {
    diesel::update(refunds::table.find(refund.id))
        .set((
            refunds::state.eq(refund.state),
            refunds::gateway_refund_id.eq(refund.gateway_refund_id.as_deref()),
            refunds::updated_at.eq(refund.updated_at),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// The next hundred refunds by id, behind this one, that the gateway has not heard of since `before`; those of disputed
/// orders are held (rule 10).
pub async fn unfinished(
    conn: &mut AsyncPgConnection,
    before: Instant,
    behind: RefundId,
) -> QueryResult<Vec<RefundId>> {
    refunds::table
        .inner_join(orders::table.on(orders::id.eq(refunds::order_id)))
        .filter(refunds::id.gt(behind))
        .filter(refunds::state.eq(RefundState::Pending))
        .filter(refunds::gateway_refund_id.is_null())
        .filter(refunds::created_at.le(before))
        .filter(orders::disputed_at.is_null())
        .order(refunds::id)
        .limit(100)
        .select(refunds::id)
        .load(conn)
        .await
}
