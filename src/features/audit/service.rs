//! Reading the audit trail, and writing down who was refused an account.

use serde_json::json;

use super::{
    Entry,
    model::{self, AuditEvent, EventKey, Filter},
    record_refused,
};
use crate::{
    app::App,
    auth::viewer::Viewer,
    cursor::{Page, Slice},
    error::{Error, ErrorCode, Problem, Result},
    text,
};

/// The permission that opens who reported (rule 19).
const REPORTERS: &str = "reports:read";

/// Whether the viewer may read this entry, one of whoever may read the trail.
pub fn sees(viewer: &Viewer, event: &AuditEvent) -> bool {
    event.action != model::REPORT_CREATE || viewer.may(REPORTERS)
}

/// A page of the trail, the newest first. Who may not know reporters gets no entry of a report that was made: its actor
/// would be told by a filter, too.
///
/// `BAD_REQUEST` for an action or address of more than 100 characters, and for `from` not before `to`.
pub async fn events(
    app: &App,
    viewer: &Viewer,
    filter: Filter,
    page: &Page<EventKey>,
    count: bool,
) -> Result<Slice<AuditEvent>> {
    for (name, typed) in [
        ("action", &filter.action),
        ("ipAddress", &filter.ip_address),
    ] {
        if let Some(typed) = typed {
            text::single_line(typed, 1..=100)
                .map_err(|error| Error::bad_request(format!("`{name}` {error}.")))?;
        }
    }
    if let (Some(from), Some(to)) = (filter.from, filter.to)
        && *from >= *to
    {
        return Err(Error::bad_request("`from` must be before `to`."));
    }
    let filter = Filter {
        without_reporters: !viewer.may(REPORTERS),
        ..filter
    };
    Ok(model::page(&mut *app.db.slow_reader().await?, &filter, page, count).await?)
}

/// Whether a problem says that the viewer reached for an account of which they don't know the code or password, or that
/// is not theirs, or reached too often, and not only that something was in the way. What is malformed counts, too: it used
/// up a try of its network address.
fn reached_too_far(problem: &Problem) -> bool {
    matches!(
        problem.code,
        ErrorCode::NotAllowed
            | ErrorCode::InvalidCode
            | ErrorCode::InvalidCredentials
            | ErrorCode::InvalidInput
            | ErrorCode::TooManyAttempts
    )
}

/// Whether [`refusal`] writes this outcome down.
pub fn is_refusal<T>(outcome: &Result<T>) -> bool {
    matches!(outcome, Err(Error::Rejected(problems)) if problems.iter().any(reached_too_far))
}

/// Writes down that somebody was refused an account, and passes the answer on. What staff are refused is written where
/// it is answered ([`super::refusals`]).
pub async fn refusal<T>(
    app: &App,
    viewer: &Viewer,
    action: &'static str,
    target: Option<(&'static str, uuid::Uuid)>,
    outcome: Result<T>,
) -> Result<T> {
    if let Err(Error::Rejected(problems)) = &outcome
        && let Some(problem) = problems.iter().find(|problem| reached_too_far(problem))
    {
        let entry = Entry {
            action,
            target,
            after: Some(json!({ "code": problem.code.as_str() })),
            ..Entry::default()
        };
        let mut conn = app.db.conn().await?;
        record_refused(&mut conn, app, viewer, app.clock.now(), entry).await?;
    }
    outcome
}
