//! Checkout sessions: intent row → commit → call → result row (rule 11), and their end at the payment deadline.

use std::collections::BTreeMap;

use diesel_async::AsyncPgConnection;
use jiff::{SignedDuration, Timestamp, Unit};
use serde_json::json;
use url::Url;

use super::{
    model::{
        self, Order, OrderState,
        checkouts::{self, Checkout, CheckoutState},
    },
    service::{find, invalid_state, sees, state_at},
    settle::{Actor, currency, recompute, record, set_checkout},
};
use crate::{
    app::App,
    auth::viewer::Viewer,
    db::{
        Instant,
        ids::{CheckoutId, OrderId},
    },
    error::{Error, ErrorCode, Problem, Problems, Result},
    features::{
        audit::Entry,
        idempotency::{self, Begun},
    },
    integrations::payments::{
        CheckoutLine, CheckoutRequest, CheckoutSession, CheckoutStatus, GatewayError,
    },
    jobs::{self, Kind},
    money::Money,
    text,
};

/// The least that a session is open: Stripe's least of 30 minutes and one for the way there.
const LEAST_OPEN: SignedDuration = SignedDuration::from_mins(31);

/// Where the client goes from the gateway's page.
#[derive(Clone, Debug)]
pub struct Returns {
    /// After paying.
    pub success_url: String,
    /// Without paying.
    pub cancel_url: String,
}

/// Opens the checkout session of a pending order, by its client; answers the open one where there is one.
///
/// `order` is nothing for an id that can be no order's: the shape of the input is told first.
///
/// Errors: `INVALID_INPUT` (addresses, key), `NOT_FOUND`, `NOT_ALLOWED` for the other side, `INVALID_STATE` unless the
/// order waits for its payment, `PAYMENT_FAILED` when the gateway refuses, `IDEMPOTENCY_KEY_REUSED`; `UNAVAILABLE` when
/// the gateway does not answer, after which a job goes on and the same key finds the result.
pub async fn create(
    app: &App,
    viewer: &Viewer,
    order: Option<OrderId>,
    returns: &Returns,
    key: &str,
) -> Result<Checkout> {
    let now = app.clock.now();
    let user = viewer.require_user()?;
    let Returns {
        success_url,
        cancel_url,
    } = returns;
    let mut problems = Problems::new();
    let success_url = checked_url(app, &mut problems, "input.successUrl", success_url);
    let cancel_url = checked_url(app, &mut problems, "input.cancelUrl", cancel_url);
    idempotency::check_key(&mut problems, key);
    problems.check()?;
    let order = order.ok_or_else(|| Error::not_found("orderId"))?;
    let input = json!({ "orderId": order, "successUrl": success_url, "cancelUrl": cancel_url });
    let begun =
        idempotency::begin::<CheckoutId>(app, user, "checkoutCreate", key, &input, now).await?;
    let checkout = match begun {
        Begun::Repeat(id) => load(app, id).await?,
        Begun::Fresh(mut tx, ticket) => {
            let returns = Returns {
                success_url,
                cancel_url,
            };
            let checkout = intend(&mut tx, app, viewer, order, returns, now).await?;
            ticket.keep(&mut tx, &checkout.id).await?;
            tx.commit().await?;
            checkout
        }
    };
    let checkout = match checkout.state {
        CheckoutState::Creating => open(app, checkout, now).await?,
        _ => checkout,
    };
    if checkout.state == CheckoutState::Failed {
        return Err(Problem::new(
            ErrorCode::PaymentFailed,
            "The payment service refused to open a checkout.",
        )
        .into());
    }
    Ok(checkout)
}

fn checked_url(app: &App, problems: &mut Problems, path: &str, text: &str) -> String {
    let Some(text) = problems.take(path, text::http_url(text)) else {
        return String::new();
    };
    if !Url::parse(&text).is_ok_and(|url| app.config.allows_return(&url)) {
        problems.invalid(
            path,
            "This must be on an origin that checkout may return to.",
        );
    }
    text
}

/// Writes down that a session is wanted, or finds the one that there is.
async fn intend(
    tx: &mut AsyncPgConnection,
    app: &App,
    viewer: &Viewer,
    id: OrderId,
    returns: Returns,
    now: Timestamp,
) -> Result<Checkout> {
    let not_found = || Error::not_found("orderId");
    let order = model::by_id(tx, id).await?.ok_or_else(not_found)?;
    let booking = model::payable(tx, order.booking_id)
        .await?
        .filter(|of| sees(viewer, of.client_id, Some(of.provider_user_id)))
        .ok_or_else(not_found)?;
    if !viewer.is(order.client_id) {
        return Err(Error::not_allowed("Only the client pays an order."));
    }
    let (state, deadline) = model::lock_booking(tx, booking.id).await?;
    let order = model::lock(tx, id).await?.ok_or_else(not_found)?;
    if order.state != OrderState::Pending {
        return Err(invalid_state(
            "This order does not wait for a payment.",
            order.state.as_str(),
        ));
    }
    let state = state_at(&state, deadline, now);
    let Some(deadline) = deadline.filter(|_| state == "ACCEPTED") else {
        return Err(invalid_state(
            "The booking does not wait for a payment.",
            state,
        ));
    };
    for checkout in checkouts::of_order(tx, id).await? {
        match checkout.state {
            CheckoutState::Creating | CheckoutState::Open => return Ok(checkout),
            CheckoutState::Complete => {
                return Err(invalid_state(
                    "A payment for this order is on its way.",
                    order.state.as_str(),
                ));
            }
            CheckoutState::Expiring | CheckoutState::Expired | CheckoutState::Failed => {}
        }
    }
    let Returns {
        success_url,
        cancel_url,
    } = returns;
    let checkout = Checkout {
        id: CheckoutId(app.entropy.uuid_v7(now)),
        order_id: id,
        state: CheckoutState::Creating,
        gateway_session_id: None,
        url: None,
        success_url,
        cancel_url,
        expires_at: Instant(expires_at(*deadline, now)?),
        created_at: Instant(now),
        updated_at: Instant(now),
    };
    checkouts::insert(tx, &checkout).await?;
    let entry = Entry {
        action: "checkout.create",
        target: Some(("chk", checkout.id.0)),
        before: None,
        after: Some(json!({ "order": id.to_string() })),
    };
    record(tx, app, Actor::Viewer(viewer), now, entry).await?;
    let text = checkout.id.to_string();
    let at_deadline = format!("{text}:deadline");
    jobs::enqueue(
        tx,
        app,
        Kind::FinishCheckout,
        &at_deadline,
        &text,
        *deadline,
    )
    .await?;
    Ok(checkout)
}

/// When the gateway shall close the session by itself, in whole seconds.
fn expires_at(deadline: Timestamp, now: Timestamp) -> Result<Timestamp> {
    deadline
        .max(now + LEAST_OPEN)
        .round(
            jiff::TimestampRound::new()
                .smallest(Unit::Second)
                .mode(jiff::RoundMode::Ceil),
        )
        .map_err(Error::internal)
}

async fn load(app: &App, id: CheckoutId) -> Result<Checkout> {
    checkouts::by_id(&mut *app.db.conn().await?, id)
        .await?
        .ok_or_else(|| Error::internal("a checkout is gone"))
}

/// What the gateway is asked for; equal each time, because all of it is kept.
async fn request(app: &App, order: &Order, checkout: &Checkout) -> Result<CheckoutRequest> {
    let currency = currency(order)?;
    let lines = model::lines(&*app.db.conn().await?, &[order.id]).await?;
    let lines = lines.into_iter().map(|line| {
        let amount = Money::new(line.amount_minor, currency).and_then(Money::to_gateway);
        Ok(CheckoutLine {
            title: line.title,
            amount: amount.map_err(Error::internal)?,
            quantity: 1,
        })
    });
    Ok(CheckoutRequest {
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
    })
}

/// Asks the gateway for the session of an intent, again where a crash came in between, and writes the answer.
async fn open(app: &App, checkout: Checkout, now: Timestamp) -> Result<Checkout> {
    let order = find(app, checkout.order_id).await?;
    let request = request(app, &order, &checkout).await?;
    match app.payments.create_checkout(&request).await {
        Ok(session) => opened(app, &checkout, session, now).await,
        Err(error @ GatewayError::Unavailable(_)) => Err(Error::unavailable(error)),
        Err(error @ GatewayError::Unauthorized) => Err(Error::internal(error)),
        Err(error) => {
            tracing::error!(checkout = %checkout.id, %error, "the gateway refused a checkout");
            move_on(app, checkout.id, now, |state| match state {
                CheckoutState::Creating => CheckoutState::Failed,
                CheckoutState::Expiring => CheckoutState::Expired,
                other => other,
            })
            .await
        }
    }
}

/// Writes down the session that the gateway opened.
async fn opened(
    app: &App,
    checkout: &Checkout,
    session: CheckoutSession,
    now: Timestamp,
) -> Result<Checkout> {
    let mut tx = app.db.begin().await?;
    let gone = || Error::internal("a checkout or its order is gone");
    let mut order = model::lock(&mut tx, checkout.order_id)
        .await?
        .ok_or_else(gone)?;
    let mut checkout = checkouts::by_id(&mut tx, checkout.id)
        .await?
        .ok_or_else(gone)?;
    if checkout.gateway_session_id.is_none() {
        checkout.gateway_session_id = Some(session.id);
        let state = match (checkout.state, session.status) {
            (CheckoutState::Creating, CheckoutStatus::Open) if session.url.is_some() => {
                checkout.url = session.url;
                CheckoutState::Open
            }
            (CheckoutState::Creating, CheckoutStatus::Complete) => CheckoutState::Complete,
            (CheckoutState::Creating, _) => CheckoutState::Expired,
            // Closed while the gateway was at work: it is ended there too.
            (state, _) => state,
        };
        set_checkout(&mut tx, app, &mut checkout, state, Actor::Gateway, now).await?;
        // What was paid before this row knew its session.
        recompute(&mut tx, app, &mut order, 0, Actor::Gateway, now).await?;
        checkout = checkouts::by_id(&mut tx, checkout.id)
            .await?
            .ok_or_else(gone)?;
    }
    tx.commit().await?;
    Ok(checkout)
}

/// Moves a checkout on under its order's lock.
async fn move_on(
    app: &App,
    id: CheckoutId,
    now: Timestamp,
    next: impl FnOnce(CheckoutState) -> CheckoutState + Send,
) -> Result<Checkout> {
    let mut tx = app.db.begin().await?;
    let gone = || Error::internal("a checkout is gone");
    let order = checkouts::by_id(&mut tx, id)
        .await?
        .ok_or_else(gone)?
        .order_id;
    model::lock(&mut tx, order).await?;
    let mut checkout = checkouts::by_id(&mut tx, id).await?.ok_or_else(gone)?;
    let state = next(checkout.state);
    if state != checkout.state {
        set_checkout(&mut tx, app, &mut checkout, state, Actor::System, now).await?;
    }
    tx.commit().await?;
    Ok(checkout)
}

/// Does what is left to do about a checkout: opens what was only intended, ends what nobody should pay any more.
pub(super) async fn finish(app: &App, id: CheckoutId) -> Result<()> {
    let now = app.clock.now();
    let mut checkout = load(app, id).await?;
    let order = find(app, checkout.order_id).await?;
    let booking = model::payable(&mut *app.db.conn().await?, order.booking_id).await?;
    let payable = order.state == OrderState::Pending
        && booking.is_some_and(|of| state_at(&of.state, of.payment_deadline, now) == "ACCEPTED");
    if !payable {
        checkout = move_on(app, id, now, |state| match state {
            CheckoutState::Creating | CheckoutState::Open => CheckoutState::Expiring,
            other => other,
        })
        .await?;
    }
    if matches!(
        checkout.state,
        CheckoutState::Creating | CheckoutState::Expiring
    ) && checkout.gateway_session_id.is_none()
    {
        if *checkout.expires_at <= now {
            // Whatever the gateway made of it has closed by itself.
            checkout = move_on(app, id, now, |state| match state {
                CheckoutState::Creating | CheckoutState::Expiring => CheckoutState::Expired,
                other => other,
            })
            .await?;
        } else {
            checkout = open(app, checkout, now).await?;
        }
    }
    let CheckoutState::Expiring = checkout.state else {
        return Ok(());
    };
    let Some(session) = &checkout.gateway_session_id else {
        return Ok(());
    };
    let ended = end_at_gateway(app, id, session).await?;
    move_on(app, id, now, |state| match state {
        CheckoutState::Expiring => ended,
        other => other,
    })
    .await?;
    Ok(())
}

/// Ends a session at the gateway; answers how it stands there.
async fn end_at_gateway(app: &App, id: CheckoutId, session: &str) -> Result<CheckoutState> {
    let key = format!("{id}:expire");
    match app.payments.expire_checkout(session, &key).await {
        Ok(_) | Err(GatewayError::NotFound) => return Ok(CheckoutState::Expired),
        Err(GatewayError::InvalidState(_)) => {}
        Err(error) => return Err(Error::unavailable(error)),
    }
    let found = app.payments.retrieve_checkout(session).await;
    match found.map_err(Error::unavailable)?.status {
        // What was paid comes as a webhook, and rule 7 says what becomes of it.
        CheckoutStatus::Complete => Ok(CheckoutState::Complete),
        CheckoutStatus::Expired => Ok(CheckoutState::Expired),
        CheckoutStatus::Open => Err(Error::unavailable("the gateway keeps a session open")),
    }
}
