//! The rules of reviews.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::model::{self, Review};
use crate::{
    app::App,
    auth::{permissions::known, viewer::Viewer},
    db::{
        Instant, Transaction,
        ids::{BookingId, ProviderId, ReviewId, UserId},
    },
    error::{Error, ErrorCode, Problem, Problems, Result, violated_constraint},
    features::audit::{self, Entry},
    patch::expect_version,
    text,
};

/// How long after a booking's completion it may be reviewed (rule 20).
pub const WINDOW: SignedDuration = SignedDuration::from_hours(30 * 24);
/// The longest comment, reply and reason, in characters.
const LONGEST: usize = 2000;

/// Until when, inclusive, a booking that was completed then may be reviewed.
pub fn window_end(completed_at: Timestamp) -> Result<Timestamp> {
    completed_at.checked_add(WINDOW).map_err(Error::internal)
}

/// Reviews a booking.
///
/// Errors: `INVALID_INPUT` for every bad field at once, `NOT_FOUND`, `NOT_ALLOWED` for who is not its client,
/// `SELF_ACTION`, `INVALID_STATE` unless it is COMPLETED, `ALREADY_EXISTS`, `WINDOW_CLOSED`.
pub async fn create(
    app: &App,
    viewer: &Viewer,
    booking: Option<BookingId>,
    rating: i32,
    comment: &str,
) -> Result<Review> {
    let author = viewer.require_user()?;
    let now = app.clock.now();
    let mut problems = Problems::new();
    if !(1..=5).contains(&rating) {
        problems.invalid("input.rating", "A rating goes from 1 to 5.");
    }
    let comment = problems.take("input.comment", text::multi_line(comment, 0..=LONGEST));
    problems.check()?;
    let not_found = || Error::not_found("bookingId");

    let mut tx = app.db.begin().await?;
    let id = booking.ok_or_else(not_found)?;
    // Read without a lock first: the provider's row is locked before the booking's.
    let seen = model::reviewed_booking(&mut tx, id, false)
        .await?
        .filter(|booking| {
            viewer.is(booking.client_id)
                || viewer.is(booking.provider_user_id)
                || viewer.may(known::BOOKINGS_READ)
        })
        .ok_or_else(not_found)?;
    if !viewer.is(seen.client_id) {
        return Err(Error::not_allowed(
            "Only the client of a booking reviews it.",
        ));
    }
    if viewer.is(seen.provider_user_id) {
        return Err(
            Problem::new(ErrorCode::SelfAction, "You cannot review yourself.")
                .at("bookingId")
                .into(),
        );
    }
    model::lock_provider(&mut tx, seen.provider_id).await?;
    let booking = model::reviewed_booking(&mut tx, id, true)
        .await?
        .ok_or_else(not_found)?;
    let completed_at = match booking.completed_at {
        Some(at) if booking.state == "COMPLETED" => *at,
        _ => {
            return Err(Problem::new(
                ErrorCode::InvalidState,
                "Only a completed booking can be reviewed.",
            )
            .at("bookingId")
            .with(json!({ "state": booking.state }))
            .into());
        }
    };
    let already = || -> Error {
        Problem::new(ErrorCode::AlreadyExists, "You have reviewed this booking.")
            .at("bookingId")
            .into()
    };
    if !model::by_booking_ids(&tx, &[id]).await?.is_empty() {
        return Err(already());
    }
    let window_end = window_end(completed_at)?;
    if now > window_end {
        return Err(Problem::new(
            ErrorCode::WindowClosed,
            "A booking can be reviewed within 30 days of its completion.",
        )
        .at("bookingId")
        .with(json!({ "until": window_end }))
        .into());
    }
    let review = Review {
        id: ReviewId(app.entropy.uuid_v7(now)),
        booking_id: id,
        provider_id: booking.provider_id,
        author_id: author,
        rating,
        comment: comment.unwrap_or_default(),
        visible: true,
        hidden_reason: None,
        reply: None,
        replied_at: None,
        version: 1,
        created_at: Instant(now),
        updated_at: Instant(now),
    };
    model::insert(&mut tx, &review)
        .await
        .map_err(|error| match violated_constraint(&error) {
            Some("reviews_booking_id_key") => already(),
            _ => Error::from(error),
        })?;
    let entry = Entry {
        action: "review.create",
        target: Some(("rev", review.id.0)),
        after: Some(json!({ "booking": id, "rating": rating })),
        ..Entry::default()
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(review)
}

/// Whether the viewer may know of this provider.
pub async fn knows_provider(app: &App, viewer: &Viewer, id: ProviderId) -> Result<bool> {
    let conn = app.db.reader().await?;
    let found = conn.timed(model::owner_and_status(&conn, id)).await?;
    Ok(found.is_some_and(|(owner, status)| {
        status == "APPROVED" || viewer.is(owner) || viewer.may(known::PROVIDERS_READ)
    }))
}

/// The review, when the viewer may know of it, and the provider's person.
async fn visible(
    tx: &mut Transaction,
    viewer: &Viewer,
    id: ReviewId,
) -> Result<(Review, UserId, String)> {
    let review = model::by_id(tx, id)
        .await?
        .filter(|review| review.is_visible_to(viewer))
        .ok_or_else(|| Error::not_found("id"))?;
    let (owner, status) = model::owner_and_status(tx, review.provider_id)
        .await?
        .ok_or_else(|| Error::internal("a review without a provider"))?;
    let open = status == "APPROVED"
        || viewer.is(owner)
        || viewer.is(review.author_id)
        || viewer.may(known::PROVIDERS_READ)
        || viewer.may(known::REVIEWS_MODERATE);
    if open {
        Ok((review, owner, status))
    } else {
        Err(Error::not_found("id"))
    }
}

/// Writes the provider's reply, or writes it anew.
///
/// Errors: `INVALID_INPUT`, `NOT_FOUND`, `NOT_ALLOWED` for who is not the provider, `INVALID_STATE` while the provider is
/// not approved, `CONFLICT`.
pub async fn reply(
    app: &App,
    viewer: &Viewer,
    id: Option<ReviewId>,
    reply: &str,
    expected_version: Option<i32>,
) -> Result<Review> {
    let now = app.clock.now();
    let mut problems = Problems::new();
    let reply = problems.take("input.reply", text::multi_line(reply, 1..=LONGEST));
    problems.check()?;

    let mut tx = app.db.begin().await?;
    let id = id.ok_or_else(|| Error::not_found("id"))?;
    let (_, owner, status) = visible(&mut tx, viewer, id).await?;
    if !viewer.is(owner) {
        return Err(Error::not_allowed("Only the provider replies to a review."));
    }
    let before = model::lock(&mut tx, id)
        .await?
        .filter(|review| review.is_visible_to(viewer))
        .ok_or_else(|| Error::not_found("id"))?;
    if status != "APPROVED" {
        return Err(Problem::new(
            ErrorCode::InvalidState,
            "Only an approved provider replies in public.",
        )
        .with(json!({ "state": status }))
        .into());
    }
    expect_version(expected_version, before.version)?;
    let after = Review {
        reply,
        replied_at: Some(Instant(now)),
        version: before.version + 1,
        updated_at: Instant(now),
        ..before.clone()
    };
    model::save_reply(&mut tx, &after).await?;
    let entry = Entry {
        action: "review.reply",
        target: Some(("rev", id.0)),
        before: Some(json!({ "repliedAt": before.replied_at, "version": before.version })),
        after: Some(json!({
            "changed": audit::changed(&[("reply", before.reply != after.reply)]),
            "repliedAt": after.replied_at,
            "version": after.version,
        })),
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(after)
}

fn state(review: &Review) -> &'static str {
    if review.visible { "VISIBLE" } else { "HIDDEN" }
}

/// Hides a review, or restores it. The viewer is staff with `reviews:moderate`.
///
/// Errors: `INVALID_INPUT` (no reason for hiding), `NOT_FOUND`, `SELF_ACTION` for its author and its provider (rule 5),
/// `INVALID_STATE` when it is so already, `CONFLICT`.
pub async fn moderate(
    app: &App,
    viewer: &Viewer,
    id: Option<ReviewId>,
    show: bool,
    reason: Option<&str>,
    expected_version: Option<i32>,
) -> Result<Review> {
    let now = app.clock.now();
    let mut problems = Problems::new();
    let reason = match reason {
        Some(reason) => problems.take("input.reason", text::multi_line(reason, 1..=LONGEST)),
        None if show => None,
        None => {
            problems.invalid("input.reason", "A reason is needed to hide a review.");
            None
        }
    };
    problems.check()?;

    let mut tx = app.db.begin().await?;
    let id = id.ok_or_else(|| Error::not_found("id"))?;
    let (seen, owner, _) = visible(&mut tx, viewer, id).await?;
    if viewer.is(owner) || viewer.is(seen.author_id) {
        return Err(Problem::new(
            ErrorCode::SelfAction,
            "You cannot moderate a review by you or of you.",
        )
        .at("id")
        .into());
    }
    // The trigger writes the provider's rating, and the provider comes before the review in the order of locks.
    model::lock_provider(&mut tx, seen.provider_id).await?;
    let before = model::lock(&mut tx, id)
        .await?
        .ok_or_else(|| Error::not_found("id"))?;
    expect_version(expected_version, before.version)?;
    if before.visible == show {
        return Err(
            Problem::new(ErrorCode::InvalidState, "The review is so already.")
                .with(json!({ "state": state(&before) }))
                .into(),
        );
    }
    let after = Review {
        visible: show,
        hidden_reason: reason.clone().filter(|_| !show),
        version: before.version + 1,
        updated_at: Instant(now),
        ..before.clone()
    };
    model::save_visibility(&mut tx, &after).await?;
    let entry = Entry {
        action: "review.moderate",
        target: Some(("rev", id.0)),
        before: Some(json!({ "state": state(&before) })),
        after: Some(json!({ "state": state(&after), "reason": reason })),
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(after)
}

/// Hides the review of a booking in which the provider did not come after all, says the viewer (rules.md, no-show); the
/// caller holds the locks of the provider and the booking. False when there is nothing to hide.
pub async fn hide_of_booking(
    conn: &mut diesel_async::AsyncPgConnection,
    app: &App,
    viewer: &Viewer,
    booking: BookingId,
    reason: &str,
    now: Timestamp,
) -> Result<bool> {
    let Some(id) = model::by_booking_ids(conn, &[booking])
        .await?
        .first()
        .map(|review| review.id)
    else {
        return Ok(false);
    };
    let Some(review) = model::lock(conn, id).await?.filter(|review| review.visible) else {
        return Ok(false);
    };
    let hidden = Review {
        visible: false,
        hidden_reason: Some(reason.to_owned()),
        version: review.version + 1,
        updated_at: Instant(now),
        ..review.clone()
    };
    model::save_visibility(conn, &hidden).await?;
    let entry = Entry {
        action: "review.hide",
        target: Some(("rev", id.0)),
        before: Some(json!({ "state": state(&review) })),
        after: Some(json!({ "state": state(&hidden), "by": "noShow", "booking": booking })),
    };
    audit::record(conn, app, viewer, now, entry).await?;
    Ok(true)
}
