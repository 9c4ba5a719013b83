//! `bookingCancelQuote` and `bookingCancel`: one function says what it costs, so that both agree.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    change::{self, Actor, Change, acting_side, permit},
    create::again,
    machine::{Action, Side, State, decide},
    model::{self, Booking, parties},
    money::{self, RefundCause},
    paid::lock_parties,
    policy,
};
use crate::{
    app::App,
    auth::viewer::Viewer,
    db::{Transaction, ids::BookingId},
    error::{Error, Problems, Result},
    features::idempotency::{self, Begun},
    money::Money,
    text,
};

/// What a cancellation costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Percent of what was paid that goes back to the client, 0 to 100; 100 where nothing was.
    pub refund_percent: u32,
    /// What goes back to the client.
    pub refund: Money,
    /// What stays with the provider of what was paid and not given back before.
    pub fee: Money,
    /// Until when this holds; nothing where it does not change.
    pub valid_until: Option<Timestamp>,
}

/// What a cancellation by this side costs at this moment, when `left_minor` of the payment has not been given back yet.
fn quote_for(booking: &Booking, side: Side, left_minor: i64, now: Timestamp) -> Result<Quote> {
    let (percent, valid_until) = match (booking.state, side) {
        (State::Confirmed, Side::Client | Side::System) => {
            let share = policy::client_share(booking.cancellation_policy, *booking.starts_at, now);
            (share.percent, share.until)
        }
        (State::Confirmed, _) => (100, None),
        _ => (100, booking.facts().deadline()),
    };
    let share = money::share(booking, percent)?.refunded;
    let refund_minor = share.amount_minor().min(left_minor);
    let amount = |minor| Money::new(minor, share.currency()).map_err(Error::internal);
    Ok(Quote {
        refund_percent: percent,
        refund: amount(refund_minor)?,
        fee: amount(left_minor.saturating_sub(refund_minor))?,
        valid_until,
    })
}

/// What the viewer's cancellation would cost now; nothing where they may not cancel, or not know of the booking.
pub async fn quote(app: &App, viewer: &Viewer, id: BookingId) -> Result<Option<Quote>> {
    let now = app.clock.now();
    let mut conn = app.db.slow_reader().await?;
    let Some(booking) = model::find_visible(&conn, viewer, id).await? else {
        return Ok(None);
    };
    match booking.side_of(viewer) {
        Some(side) if decide(&booking.facts(), Action::Cancel, side, now).is_ok() => {
            let left = money::left(&mut conn, &booking, false).await?;
            quote_for(&booking, side, left, now).map(Some)
        }
        _ => Ok(None),
    }
}

/// A cancelled booking, and what that cost.
#[derive(Clone, Debug)]
pub struct Cancelled {
    /// The booking as it is now.
    pub booking: Booking,
    /// What it cost.
    pub quote: Quote,
}

/// What a repeat needs to answer the same.
#[derive(Serialize, Deserialize)]
struct Kept {
    booking: BookingId,
    percent: u32,
    refund_minor: i64,
    fee_minor: i64,
}

/// Calls a booking off: REQUESTED by its client, ACCEPTED and CONFIRMED by either side, each by staff.
pub async fn cancel(
    app: &App,
    viewer: &Viewer,
    id: Option<BookingId>,
    reason: Option<&str>,
    expected_version: Option<i32>,
    idempotency_key: &str,
) -> Result<Cancelled> {
    let now = app.clock.now();
    let actor = viewer.require_user()?;
    let mut problems = Problems::new();
    let reason = reason
        .and_then(|reason| problems.take("input.reason", text::multi_line(reason, 0..=2000)))
        .filter(|reason| !reason.is_empty());
    idempotency::check_key(&mut problems, idempotency_key);
    problems.check()?;
    let input = (id, &reason, expected_version);
    let begun = idempotency::begin(app, actor, "bookingCancel", idempotency_key, &input, now);
    let (mut tx, ticket) = match begun.await? {
        Begun::Repeat(Kept {
            booking,
            percent,
            refund_minor,
            fee_minor,
        }) => {
            let booking = again(app, booking).await?;
            let currency = money::share(&booking, percent)?.refunded.currency();
            let amount = |minor| Money::new(minor, currency).map_err(Error::internal);
            let quote = Quote {
                refund_percent: percent,
                refund: amount(refund_minor)?,
                fee: amount(fee_minor)?,
                valid_until: None,
            };
            return Ok(Cancelled { booking, quote });
        }
        Begun::Fresh(tx, ticket) => (tx, ticket),
    };
    let id = id.ok_or_else(|| Error::not_found("id"))?;
    let booking = model::lock(&mut tx, id)
        .await?
        .filter(|booking| booking.is_visible_to(viewer))
        .ok_or_else(|| Error::not_found("id"))?;
    let side = acting_side(&booking, viewer)?;
    let facts = booking.facts();
    permit(
        &booking,
        &facts,
        Action::Cancel,
        side,
        expected_version,
        now,
    )?;
    let left = money::left(&mut tx, &booking, true).await?;
    let quote = quote_for(&booking, side, left, now)?;
    let change = Change {
        action: Action::Cancel,
        actor: Actor::Person(viewer, side),
        reason,
        now,
    };
    let after = call_off(&mut tx, app, &booking, change, &quote).await?;
    let kept = Kept {
        booking: after.id,
        percent: quote.refund_percent,
        refund_minor: quote.refund.amount_minor(),
        fee_minor: quote.fee.amount_minor(),
    };
    ticket.keep(&mut tx, &kept).await?;
    tx.commit().await?;
    let quote = Quote {
        valid_until: None,
        ..quote
    };
    Ok(Cancelled {
        booking: after,
        quote,
    })
}

async fn call_off(
    tx: &mut Transaction,
    app: &App,
    booking: &Booking,
    change: Change<'_>,
    quote: &Quote,
) -> Result<Booking> {
    let (actor, now) = (change.actor, change.now);
    let after = Booking {
        state: State::Cancelled,
        closed_by: Some(change.actor.side()),
        reason: change.reason.clone(),
        ..booking.clone()
    };
    let after = change::apply(tx, app, booking, after, change).await?;
    if quote.refund.amount_minor() > 0 {
        let what = (quote.refund_percent, RefundCause::Policy);
        money::refund_due(tx, app, &after, what, actor, now).await?;
    }
    Ok(after)
}

/// Which party of a booking is out: suspended, deleted or erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Out {
    /// The client's account.
    Client,
    /// The provider's profile, or its person's account.
    Provider,
}

/// Calls off one booking of a party who is out: in full when it is the provider, by the policy when it is the client.
/// Does nothing to one that has started or ended meanwhile, nor when the party is back: both are read under the locks,
/// client, provider, booking (habit 5).
pub(super) async fn call_off_for(app: &App, id: BookingId, out: Out, now: Timestamp) -> Result<()> {
    let mut tx = app.db.begin().await?;
    if !lock_parties(&mut tx, id).await? {
        return Ok(());
    }
    let Some(booking) = model::lock(&mut tx, id).await? else {
        return Ok(());
    };
    let is_back = match out {
        Out::Client => parties::is_active(&mut tx, booking.client_id).await?,
        Out::Provider => parties::takes_bookings(&mut tx, booking.provider_id).await?,
    };
    if is_back || decide(&booking.facts(), Action::Suspend, Side::System, now).is_err() {
        return Ok(());
    }
    // For the refund, the side that is out stands for the system.
    let (side, why) = match out {
        Out::Client => (Side::Client, "The client's account is closed."),
        Out::Provider => (Side::Provider, "The provider's account is closed."),
    };
    let left = money::left(&mut tx, &booking, true).await?;
    let quote = quote_for(&booking, side, left, now)?;
    let change = Change {
        action: Action::Suspend,
        actor: Actor::Job,
        reason: Some(why.to_owned()),
        now,
    };
    call_off(&mut tx, app, &booking, change, &quote).await?;
    tx.commit().await
}
