//! The rules of reports.

use diesel_async::AsyncPgConnection;
use serde_json::json;

use super::model::{self, Filter, Report, ReportKey, ReportReason, ReportState};
use crate::{
    app::App,
    auth::{permissions::known, viewer::Viewer},
    cursor::{Page, Slice},
    db::{
        Instant,
        ids::{BookingId, ReportId, ReviewId, UserId},
    },
    error::{Error, ErrorCode, Problem, Problems, Result, violated_constraint},
    features::{
        audit::{self, Entry},
        reviews::model as reviews,
        users::model::{self as users, UserStatus},
    },
    patch::expect_version,
    text,
};

/// The longest details and resolution, in characters.
const LONGEST: usize = 4000;

/// What is reported; nothing inside for an id that cannot be one.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// A person.
    User(Option<UserId>),
    /// A booking.
    Booking(Option<BookingId>),
    /// A review.
    Review(Option<ReviewId>),
}

/// A new report.
#[derive(Clone, Debug)]
pub struct NewReport {
    /// What is reported.
    pub target: Target,
    /// What it is about.
    pub reason: ReportReason,
    /// In the reporter's words.
    pub details: String,
}

/// The ids of what may be reported by the viewer, who has to see it.
async fn find_target(
    conn: &mut AsyncPgConnection,
    viewer: &Viewer,
    target: Target,
) -> Result<(Option<UserId>, Option<BookingId>, Option<ReviewId>)> {
    let own = |path: &str| -> Error {
        Problem::new(ErrorCode::SelfAction, "You cannot report yourself.")
            .at(path)
            .into()
    };
    match target {
        Target::User(id) => {
            let path = "input.target.userId";
            let id = id.ok_or_else(|| Error::not_found(path))?;
            users::by_id(conn, id)
                .await?
                .filter(|user| user.status != UserStatus::Deleted)
                .ok_or_else(|| Error::not_found(path))?;
            if viewer.is(id) {
                return Err(own(path));
            }
            Ok((Some(id), None, None))
        }
        Target::Booking(id) => {
            let path = "input.target.bookingId";
            let id = id.ok_or_else(|| Error::not_found(path))?;
            model::parties(conn, id)
                .await?
                .filter(|(client, provider)| {
                    viewer.is(*client) || viewer.is(*provider) || viewer.may(known::BOOKINGS_READ)
                })
                .ok_or_else(|| Error::not_found(path))?;
            Ok((None, Some(id), None))
        }
        Target::Review(id) => {
            let path = "input.target.reviewId";
            let id = id.ok_or_else(|| Error::not_found(path))?;
            let review = reviews::by_id(conn, id)
                .await?
                .filter(|review| review.is_visible_to(viewer))
                .ok_or_else(|| Error::not_found(path))?;
            if viewer.is(review.author_id) {
                return Err(own(path));
            }
            Ok((None, None, Some(id)))
        }
    }
}

/// Reports a person, a booking or a review to staff.
///
/// Errors: `INVALID_INPUT`, `NOT_FOUND` for what the viewer doesn't see, `SELF_ACTION` (rule 5), `ALREADY_EXISTS` while
/// an earlier report of the viewer about the same is open.
pub async fn create(app: &App, viewer: &Viewer, report: NewReport) -> Result<Report> {
    let reporter = viewer.require_user()?;
    let now = app.clock.now();
    let NewReport {
        target,
        reason,
        details,
    } = report;
    let mut problems = Problems::new();
    let least = usize::from(reason == ReportReason::Other);
    let details = problems.take("input.details", text::multi_line(&details, least..=LONGEST));
    problems.check()?;

    let mut tx = app.db.begin().await?;
    let (user_id, booking_id, review_id) = find_target(&mut tx, viewer, target).await?;
    let report = Report {
        id: ReportId(app.entropy.uuid_v7(now)),
        reporter_id: reporter,
        user_id,
        booking_id,
        review_id,
        reason,
        details: details.unwrap_or_default(),
        state: ReportState::Open,
        resolution: None,
        resolved_by: None,
        resolved_at: None,
        version: 1,
        created_at: Instant(now),
    };
    model::insert(&mut tx, &report)
        .await
        .map_err(|error| match violated_constraint(&error) {
            Some("reports_one_open") => Problem::new(
                ErrorCode::AlreadyExists,
                "Staff have not yet decided your earlier report about this.",
            )
            .at("input.target")
            .into(),
            _ => Error::from(error),
        })?;
    let entry = Entry {
        action: "report.create",
        target: Some(("rep", report.id.0)),
        after: Some(json!({ "reason": reason })),
        ..Entry::default()
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(report)
}

/// Closes a report as `outcome`, which is not OPEN. The viewer is staff with `reports:resolve`.
///
/// Errors: `INVALID_INPUT`, `NOT_FOUND`, `SELF_ACTION` for a report by the viewer or about them, `INVALID_STATE` when it
/// is closed, `CONFLICT`.
pub async fn resolve(
    app: &App,
    viewer: &Viewer,
    id: Option<ReportId>,
    outcome: ReportState,
    resolution: &str,
    expected_version: Option<i32>,
) -> Result<Report> {
    let staff = viewer.require_user()?;
    let now = app.clock.now();
    let mut problems = Problems::new();
    let resolution = problems.take(
        "input.resolution",
        text::multi_line(resolution, 1..=LONGEST),
    );
    problems.check()?;

    let mut tx = app.db.begin().await?;
    let not_found = || Error::not_found("id");
    let before = model::lock(&mut tx, id.ok_or_else(not_found)?)
        .await?
        .ok_or_else(not_found)?;
    let concerned = model::concerned(&mut tx, &before).await?;
    if staff == before.reporter_id || concerned.contains(&staff) {
        return Err(Problem::new(
            ErrorCode::SelfAction,
            "You cannot decide a report that concerns you.",
        )
        .at("id")
        .into());
    }
    expect_version(expected_version, before.version)?;
    if before.state != ReportState::Open {
        return Err(
            Problem::new(ErrorCode::InvalidState, "The report is decided already.")
                .at("id")
                .with(json!({ "state": before.state }))
                .into(),
        );
    }
    let after = Report {
        state: outcome,
        resolution,
        resolved_by: Some(staff),
        resolved_at: Some(Instant(now)),
        version: before.version + 1,
        ..before.clone()
    };
    model::save_decision(&mut tx, &after).await?;
    let entry = Entry {
        action: "report.resolve",
        target: Some(("rep", after.id.0)),
        before: Some(json!({ "state": before.state })),
        after: Some(json!({ "state": after.state, "resolution": after.resolution })),
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(after)
}

/// The viewer's own reports, the newest first.
pub async fn mine(
    app: &App,
    viewer: &Viewer,
    page: &Page<ReportKey>,
    count: bool,
) -> Result<Slice<Report>> {
    let filter = Filter {
        reporter: Some(viewer.require_user()?),
        ..Filter::default()
    };
    list(app, filter, true, page, count).await
}

/// Staff's queue, the oldest first.
pub async fn queue(
    app: &App,
    state: Option<ReportState>,
    reason: Option<ReportReason>,
    page: &Page<ReportKey>,
    count: bool,
) -> Result<Slice<Report>> {
    let filter = Filter {
        reporter: None,
        state,
        reason,
    };
    list(app, filter, false, page, count).await
}

async fn list(
    app: &App,
    filter: Filter,
    newest_first: bool,
    page: &Page<ReportKey>,
    count: bool,
) -> Result<Slice<Report>> {
    let mut conn = app.db.slow_reader().await?;
    let slice = page.slice(model::list(&mut conn, filter, newest_first, page).await?);
    if count {
        return Ok(slice.with_total(model::count(&mut conn, filter).await?));
    }
    Ok(slice)
}
