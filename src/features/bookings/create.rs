//! `bookingCreate`: a client asks for a listed time, which is held at once.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{
    change, deadlines,
    machine::{self, State},
    model::{
        self, Booking,
        held::{self, Clash, HeldTime},
        parties::{self, Price},
    },
};
use crate::{
    app::App,
    auth::viewer::Viewer,
    db::{
        Instant, Transaction,
        ids::{BookingId, HeldTimeId, ProviderId, ServiceId},
    },
    error::{Error, ErrorCode, Problem, Problems, Result},
    features::{
        availabilities::slots,
        blocks::model as blocks,
        boundary::model as boundary,
        idempotency::{self, Begun},
        providers::model::{self as providers, ProviderStatus},
        users::model::{self as users, UserStatus},
    },
    text,
};

/// What a client asks for.
#[derive(Clone, Debug, Serialize)]
pub struct NewBooking {
    /// Whom to book; nothing where the text is no provider's id.
    pub provider_id: Option<ProviderId>,
    /// For what; nothing where the text is no service's id.
    pub service_id: Option<ServiceId>,
    /// From when.
    pub starts_at: Timestamp,
    /// For the provider to read, at most 2 000 characters.
    pub note: String,
}

/// Asks for a time, which is held until the provider answers (rules 1, 3 to 6, 8 and 23).
pub async fn create(
    app: &App,
    viewer: &Viewer,
    input: &NewBooking,
    idempotency_key: &str,
) -> Result<Booking> {
    let now = app.clock.now();
    let client = viewer.require_user()?;
    let mut problems = Problems::new();
    let note = problems.take("input.note", text::multi_line(&input.note, 0..=2000));
    idempotency::check_key(&mut problems, idempotency_key);
    problems.check()?;
    let note = note.unwrap_or_default();
    let begun = idempotency::begin(app, client, "bookingCreate", idempotency_key, input, now);
    let (mut tx, ticket) = match begun.await? {
        Begun::Repeat(id) => return again(app, id).await,
        Begun::Fresh(tx, ticket) => (tx, ticket),
    };
    let NewBooking {
        provider_id,
        service_id,
        starts_at,
        note: _,
    } = input;
    let provider_id = provider_id.ok_or_else(|| Error::not_found("input.providerId"))?;
    let service_id = service_id.ok_or_else(|| Error::not_found("input.serviceId"))?;

    let person = users::lock(&mut tx, client).await?;
    if person.is_none_or(|person| person.status != UserStatus::Active) {
        return Err(Error::Forbidden);
    }
    let provider = providers::lock(&mut tx, provider_id)
        .await?
        .ok_or_else(|| Error::not_found("input.providerId"))?;
    if provider.user_id == client {
        return Err(
            Problem::new(ErrorCode::SelfAction, "You cannot book yourself.")
                .at("input.providerId")
                .into(),
        );
    }
    if provider.status != ProviderStatus::Approved {
        return Err(Error::not_found("input.providerId"));
    }
    if blocks::exists_between(&mut tx, client, provider.user_id).await? {
        return Err(blocked());
    }
    let price = parties::bookable_prices(&mut tx, &[provider_id], &[service_id])
        .await?
        .pop()
        .ok_or_else(|| Error::not_found("input.serviceId"))?;
    let boundary_version = acknowledged_version(&mut tx, client).await?;
    deadlines::expire_overdue_of(&mut tx, app, client, provider_id, now).await?;

    let ends_at = listed_end(
        &mut tx,
        app,
        provider_id,
        *starts_at,
        price.duration_minutes,
        now,
    )
    .await?;
    let Price {
        price_minor,
        currency,
        duration_minutes,
        ..
    } = price;
    let booking = Booking {
        id: BookingId(app.entropy.uuid_v7(now)),
        client_id: client,
        provider_id,
        provider_user_id: provider.user_id,
        service_id,
        state: State::Requested,
        version: 1,
        starts_at: Instant(*starts_at),
        ends_at: Instant(ends_at),
        note,
        price_minor,
        currency,
        duration_minutes,
        cancellation_policy: provider.cancellation_policy,
        boundary_version,
        buffer_before_minutes: 0,
        buffer_after_minutes: 0,
        answer_deadline: Instant(machine::answer_deadline(now, *starts_at)),
        payment_deadline: None,
        reason: None,
        closed_by: None,
        absent_side: None,
        completed_at: None,
        needs_attention: None,
        contested: false,
        created_at: Instant(now),
        updated_at: Instant(now),
    };
    let id = HeldTimeId(app.entropy.uuid_v7(now));
    let held = HeldTime::of(id, &booking, None, *starts_at, ends_at).ok_or_else(not_listed)?;
    check_free(&mut tx, &held).await?;
    model::insert(&mut tx, &booking).await?;
    held::take(&mut tx, &held).await?.map_err(clashes)?;
    change::record_created(&mut tx, app, &booking, viewer, now).await?;
    ticket.keep(&mut tx, &booking.id).await?;
    tx.commit().await?;
    Ok(booking)
}

/// The booking of an earlier request with the same idempotency key, as it is now.
pub(super) async fn again(app: &App, id: BookingId) -> Result<Booking> {
    model::by_ids(&*app.db.reader().await?, &[id])
        .await?
        .pop()
        .ok_or_else(|| Error::internal("a kept booking is gone"))
}

/// The end of a booking of so many minutes from `start`, which must be a listed time (rule 6).
pub(super) async fn listed_end(
    tx: &mut Transaction,
    app: &App,
    provider: ProviderId,
    start: Timestamp,
    duration_minutes: i32,
    now: Timestamp,
) -> Result<Timestamp> {
    let end = start
        .checked_add(SignedDuration::from_mins(i64::from(duration_minutes)))
        .map_err(|_| not_listed())?;
    let window = parties::window_around(tx, provider, Instant(start), Instant(end)).await?;
    let listed = window.is_some_and(|window| slots::Grid::of(app).lists(*window, start, now));
    if listed { Ok(end) } else { Err(not_listed()) }
}

fn not_listed() -> Error {
    Problem::new(
        ErrorCode::OutsideAvailability,
        "This is not one of the provider's bookable times.",
    )
    .at("input.startsAt")
    .into()
}

/// Refuses a time at which one of the two has something else.
pub(super) async fn check_free(tx: &mut Transaction, held: &HeldTime) -> Result<()> {
    match held::clash(tx, held).await? {
        Some(clash) => Err(clashes(clash)),
        None => Ok(()),
    }
}

/// What a client reads when one of the two has something else at that time.
pub(super) fn clashes(clash: Clash) -> Error {
    let problem = match clash {
        Clash::Client => Problem::new(
            ErrorCode::OverlapsOwnBooking,
            "The client has another booking at this time.",
        ),
        Clash::Provider => Problem::new(ErrorCode::SlotTaken, "Somebody else has this time."),
    };
    problem.at("input.startsAt").into()
}

/// One of the two has blocked the other; which of them is nobody's business.
pub(super) fn blocked() -> Error {
    Problem::new(ErrorCode::Blocked, "One of you has blocked the other.").into()
}

/// The version of the boundary rules in force, which the client must have acknowledged.
async fn acknowledged_version(tx: &mut Transaction, client: crate::db::ids::UserId) -> Result<i32> {
    let missing = |version: Option<i32>| -> Error {
        Problem::new(
            ErrorCode::BoundaryNotAcknowledged,
            "The current boundary rules must be acknowledged first.",
        )
        .with(serde_json::json!({ "version": version }))
        .into()
    };
    match boundary::current_for(tx, client).await? {
        Some((policy, Some(_))) => Ok(policy.version),
        Some((policy, None)) => Err(missing(Some(policy.version))),
        None => Err(missing(None)),
    }
}
