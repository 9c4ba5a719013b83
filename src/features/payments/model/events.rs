//! Rows of `payment_events`: every event that the gateway sent, once, as it came.

use diesel::{prelude::*, sql_types::BigInt};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use sha2::{Digest, Sha256};

use crate::db::{Instant, ids::OrderId, schema::payment_events};

/// An event as it is kept.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = payment_events, check_for_backend(diesel::pg::Pg))]
pub struct PaymentEvent {
    /// The gateway's id (`evt_…`).
    pub id: String,
    /// The gateway's word for what happened.
    pub kind: String,
    /// The order that it is about, once known.
    pub order_id: Option<OrderId>,
    /// What of it does not agree with the order.
    pub mismatch: Option<String>,
    /// The body as it came and was signed.
    pub raw_body: Vec<u8>,
    /// When it happened.
    pub created_at: Instant,
    /// When it came.
    pub received_at: Instant,
    /// The payment that it is about (`pi_…`).
    pub payment_intent: Option<String>,
}

/// Keeps an event; false when it is kept already. Waits for another delivery of it that is at work.
pub async fn insert(conn: &mut AsyncPgConnection, event: &PaymentEvent) -> QueryResult<bool> {
    let inserted = diesel::insert_into(payment_events::table)
        .values(event)
        .on_conflict(payment_events::id)
        .do_nothing()
        .execute(conn)
        .await?;
    Ok(inserted == 1)
}

/// Lets one event of a payment after the other: two that don't see each other yet could both miss the order that the
/// other one knows. The first lock of a webhook, before those of rows.
pub async fn lock_payment(conn: &mut AsyncPgConnection, payment_intent: &str) -> QueryResult<()> {
    let digest = Sha256::new()
        .chain_update(b"payment\0")
        .chain_update(payment_intent.as_bytes())
        .finalize();
    let number = digest
        .first_chunk::<8>()
        .map_or(0, |bytes| i64::from_be_bytes(*bytes));
    // Its result is `void`, which diesel has no type for.
    diesel::sql_query("SELECT pg_advisory_xact_lock($1)")
        .bind::<BigInt, _>(number)
        .execute(conn)
        .await?;
    Ok(())
}

/// The order that another event tied this payment to.
pub async fn order_of_payment(
    conn: &mut AsyncPgConnection,
    payment_intent: &str,
) -> QueryResult<Option<OrderId>> {
    payment_events::table
        .filter(payment_events::payment_intent.eq(payment_intent))
        .filter(payment_events::order_id.is_not_null())
        .order((payment_events::created_at, payment_events::id))
        .select(payment_events::order_id.assume_not_null())
        .first(conn)
        .await
        .optional()
}

/// Ties an event, and every other one of its payment that is not tied yet, to an order; answers how many.
pub async fn tie(
    conn: &mut AsyncPgConnection,
    id: &str,
    payment_intent: Option<&str>,
    order: OrderId,
) -> QueryResult<usize> {
    let free = payment_events::table.filter(payment_events::order_id.is_null());
    let set = payment_events::order_id.eq(order);
    match payment_intent {
        Some(payment) => {
            let of_it = payment_events::id
                .eq(id)
                .or(payment_events::payment_intent.assume_not_null().eq(payment));
            diesel::update(free.filter(of_it))
                .set(set)
                .execute(conn)
                .await
        }
        None => {
            let it = payment_events::id.eq(id);
            diesel::update(free.filter(it)).set(set).execute(conn).await
        }
    }
}

/// What is kept about an order: bodies and what did not agree, in no order that matters.
pub async fn of_order(
    conn: &mut AsyncPgConnection,
    order: OrderId,
) -> QueryResult<Vec<(String, Vec<u8>, Option<String>)>> {
    payment_events::table
        .filter(payment_events::order_id.eq(order))
        .order((payment_events::created_at, payment_events::id))
        .select((
            payment_events::id,
            payment_events::raw_body,
            payment_events::mismatch,
        ))
        .load(conn)
        .await
}

/// Writes down what of an event does not agree with its order.
pub async fn set_mismatch(
    conn: &mut AsyncPgConnection,
    id: &str,
    mismatch: Option<&str>,
) -> QueryResult<()> {
    diesel::update(payment_events::table.find(id))
        .set(payment_events::mismatch.eq(mismatch))
        .execute(conn)
        .await?;
    Ok(())
}
