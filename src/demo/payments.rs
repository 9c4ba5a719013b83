//! The payments of the demo data's orders, made by the sandbox: an order is what its kept events say (rule 9), so one
//! without events could be neither cancelled nor refunded.

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::{
    app::App,
    clock::Clock,
    db::{
        Instant,
        ids::{CheckoutId, OrderId},
        schema::{checkouts, orders, payment_events},
    },
    error::{Error, Result},
    features::payments::model::{
        self, Order, OrderLine,
        checkouts::{Checkout, CheckoutState},
        events::PaymentEvent,
    },
    integrations::payments::{
        CheckoutLine, CheckoutRequest,
        sandbox::SandboxGateway,
        webhook_event::{EventKind, WebhookEvent},
    },
    money::{Currency, Money},
};

/// Pays every order at the time that its row says.
pub(super) async fn pay(conn: &mut AsyncPgConnection, app: &App) -> Result<()> {
    let paid: Vec<Order> = orders::table.select(Order::as_select()).load(conn).await?;
    let ids: Vec<OrderId> = paid.iter().map(|order| order.id).collect();
    let mut lines: HashMap<OrderId, Vec<OrderLine>> = HashMap::new();
    for line in model::lines(conn, &ids).await? {
        lines.entry(line.order_id).or_default().push(line);
    }
    let (mut sessions, mut events) = (Vec::new(), Vec::new());
    for order in &paid {
        let lines = lines.remove(&order.id).unwrap_or_default();
        let (session, event) = payment(app, order, lines).await?;
        sessions.push(session);
        events.push(event);
    }
    diesel::insert_into(checkouts::table)
        .values(&sessions)
        .execute(conn)
        .await?;
    diesel::insert_into(payment_events::table)
        .values(&events)
        .execute(conn)
        .await?;
    Ok(())
}

/// The session in which an order was paid, and the event that said so.
async fn payment(
    app: &App,
    order: &Order,
    lines: Vec<OrderLine>,
) -> Result<(Checkout, PaymentEvent)> {
    let broken = || Error::internal("a demo order is not paid");
    let at = order.paid_at.ok_or_else(broken)?;
    let [secret, ..] = app.config.stripe_webhook_secrets.as_slice() else {
        return Err(broken());
    };
    let base = app.config.base_url.clone();
    let gateway = SandboxGateway::new(base, secret.clone(), Clock::manual(*at));
    let currency = Currency::parse(&order.currency).map_err(Error::internal)?;
    let checkout = Checkout {
        // An order of its own has one session, so the order's identity will do, and is the same on every machine.
        id: CheckoutId(order.id.0),
        order_id: order.id,
        state: CheckoutState::Complete,
        gateway_session_id: None,
        url: None,
        success_url: app.config.link("/graphiql"),
        cancel_url: app.config.link("/graphiql"),
        expires_at: Instant(*at + jiff::SignedDuration::from_mins(30)),
        created_at: order.created_at,
        updated_at: at,
    };
    let lines = lines.into_iter().map(|line| {
        let amount = Money::new(line.amount_minor, currency).and_then(Money::to_gateway);
        Ok(CheckoutLine {
            title: line.title,
            amount: amount.map_err(Error::internal)?,
            quantity: 1,
        })
    });
    let request = CheckoutRequest {
        idempotency_key: checkout.id.to_string(),
        order_id: order.id.to_string(),
        lines: lines.collect::<Result<_>>()?,
        currency: currency.code().to_ascii_lowercase(),
        expires_at: *checkout.expires_at,
        success_url: checkout.success_url.clone(),
        cancel_url: checkout.cancel_url.clone(),
        customer_email: None,
        locale: None,
        metadata: BTreeMap::new(),
    };
    let (session, event) = gateway
        .pay_at_once(&request)
        .await
        .map_err(Error::internal)?;
    let raw_body = event.to_string().into_bytes();
    let event = WebhookEvent::parse(&raw_body).map_err(Error::internal)?;
    let payment_intent = match &event.kind {
        EventKind::CheckoutSession { session, .. } => session.payment_intent.clone(),
        _ => None,
    };
    let event = PaymentEvent {
        id: event.id,
        kind: event.event_type,
        order_id: Some(order.id),
        mismatch: None,
        raw_body,
        created_at: Instant(event.created),
        received_at: at,
        payment_intent,
    };
    let checkout = Checkout {
        gateway_session_id: Some(session.id),
        ..checkout
    };
    Ok((checkout, event))
}
