//! Orders: making one for an accepted booking, who sees it, and the lists.

use jiff::Timestamp;
use serde_json::json;

use super::model::{self, Filter, Order, OrderKey, OrderLine, OrderState, Payable};
use crate::{
    app::App,
    auth::viewer::Viewer,
    cursor::{Page, Slice},
    db::{
        Instant,
        ids::{BookingId, OrderId, OrderLineId, UserId},
    },
    error::{Error, ErrorCode, Problem, Problems, Result},
    features::{
        audit::{self, Entry},
        idempotency::{self, Begun},
    },
};

/// The permission to read any order.
const READ_ANY: &str = "orders:read";

/// Whether the viewer sees an order of this client, booked with this provider's person: the two, and staff.
pub fn sees(viewer: &Viewer, client: UserId, provider_user: Option<UserId>) -> bool {
    viewer.is(client) || provider_user.is_some_and(|user| viewer.is(user)) || viewer.may(READ_ANY)
}

/// Whether the viewer reads any order, and what staff alone sees of one.
pub fn is_staff(viewer: &Viewer) -> bool {
    viewer.may(READ_ANY)
}

/// The one answer for a state that does not allow something.
pub(super) fn invalid_state(message: &'static str, state: &str) -> Error {
    Problem::new(ErrorCode::InvalidState, message)
        .with(json!({ "state": state }))
        .into()
}

/// The booking's state at this instant: past its deadline an accepted one reads as expired (rule 8).
pub(super) fn state_at(state: &str, payment_deadline: Option<Instant>, now: Timestamp) -> &str {
    let overdue = payment_deadline.is_none_or(|deadline| *deadline <= now);
    if state == "ACCEPTED" && overdue {
        "EXPIRED"
    } else {
        state
    }
}

/// Makes the order of an accepted, priced booking, by its client.
///
/// Errors: `INVALID_INPUT` (the key), `NOT_FOUND`, `NOT_ALLOWED` for the other side, `INVALID_STATE` unless the booking
/// waits for its payment, `ALREADY_EXISTS` with `details.orderId`, `IDEMPOTENCY_KEY_REUSED`.
pub async fn create(
    app: &App,
    viewer: &Viewer,
    booking: Option<BookingId>,
    key: &str,
) -> Result<Order> {
    let now = app.clock.now();
    let user = viewer.require_user()?;
    let mut problems = Problems::new();
    idempotency::check_key(&mut problems, key);
    problems.check()?;
    let booking = booking.ok_or_else(|| Error::not_found("bookingId"))?;
    let begun = idempotency::begin::<OrderId>(
        app,
        user,
        "orderCreate",
        key,
        &json!({ "bookingId": booking }),
        now,
    )
    .await?;
    let (mut tx, ticket) = match begun {
        Begun::Repeat(id) => return find(app, id).await,
        Begun::Fresh(tx, ticket) => (tx, ticket),
    };
    let payable = model::payable(&mut tx, booking)
        .await?
        .filter(|of| {
            sees(viewer, of.client_id, Some(of.provider_user_id)) || viewer.may("bookings:read")
        })
        .ok_or_else(|| Error::not_found("bookingId"))?;
    if !viewer.is(payable.client_id) {
        return Err(Error::not_allowed("Only the client pays for a booking."));
    }
    let (state, deadline) = model::lock_booking(&mut tx, booking).await?;
    let state = state_at(&state, deadline, now);
    if state != "ACCEPTED" {
        return Err(invalid_state(
            "This booking does not wait for a payment.",
            state,
        ));
    }
    if payable.price_minor == 0 {
        return Err(invalid_state("This booking is free.", state));
    }
    let open = model::lock_of_booking(&mut tx, booking).await?;
    if let Some(order) = open.iter().find(|order| is_open(order.state)) {
        return Err(
            Problem::new(ErrorCode::AlreadyExists, "This booking has its order.")
                .with(json!({ "orderId": order.id.to_string() }))
                .into(),
        );
    }
    let (order, line) = from_booking(app, payable, now);
    model::insert(&mut tx, &order, &[line]).await?;
    let entry = Entry {
        action: "order.create",
        target: Some(("ord", order.id.0)),
        before: None,
        after: Some(json!({
            "booking": booking.to_string(),
            "totalMinor": order.total_minor,
            "currency": order.currency,
        })),
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    ticket.keep(&mut tx, &order.id).await?;
    tx.commit().await?;
    Ok(order)
}

/// Whether a booking with an order in this state can have no other.
fn is_open(state: OrderState) -> bool {
    matches!(
        state,
        OrderState::Pending | OrderState::Paid | OrderState::PartiallyRefunded
    )
}

/// An order with one line: the booked service at the frozen price.
fn from_booking(app: &App, payable: Payable, now: Timestamp) -> (Order, OrderLine) {
    let order = Order {
        id: OrderId(app.entropy.uuid_v7(now)),
        booking_id: payable.id,
        client_id: payable.client_id,
        state: OrderState::Pending,
        currency: payable.currency,
        total_minor: payable.price_minor,
        captured_minor: 0,
        refunded_minor: 0,
        paid_at: None,
        disputed_at: None,
        needs_attention: None,
        version: 1,
        created_at: Instant(now),
        updated_at: Instant(now),
        attention_seen: Vec::new(),
        lost_minor: 0,
    };
    let line = OrderLine {
        id: OrderLineId(app.entropy.uuid_v7(now)),
        order_id: order.id,
        position: 0,
        title: payable.service_title,
        amount_minor: payable.price_minor,
    };
    (order, line)
}

/// An order that is known to be there, whoever asks.
pub async fn find(app: &App, id: OrderId) -> Result<Order> {
    model::by_id(&mut *app.db.conn().await?, id)
        .await?
        .ok_or_else(|| Error::internal("an order is gone"))
}

/// The viewer's own orders, the newest first.
pub async fn mine(
    app: &App,
    viewer: &Viewer,
    page: &Page<OrderKey>,
    count: bool,
) -> Result<Slice<Order>> {
    let filter = Filter {
        client: Some(viewer.require_user()?),
        ..Filter::default()
    };
    list(app, filter, page, count).await
}

/// Orders for staff, the newest first; the field's audience is checked before.
pub async fn list(
    app: &App,
    filter: Filter,
    page: &Page<OrderKey>,
    count: bool,
) -> Result<Slice<Order>> {
    let mut conn = app.db.slow_reader().await?;
    let slice = page.slice(model::page(&mut conn, filter, page).await?);
    if count {
        let counted = model::count(&mut conn, filter).await?;
        return Ok(slice.with_total(counted));
    }
    Ok(slice)
}
