//! Reading the audit trail, and writing down what was refused before any service was reached.

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
    features::roles::reach::LAST_ADMIN,
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
    Ok(model::page(&mut *app.db.conn().await?, &filter, page, count).await?)
}

/// Whether a problem says that the viewer reached too far, and not only that something was in the way: at what somebody
/// else may do, at themselves, at the last administrator, or at an account of which they don't know the code or password.
fn reached_too_far(problem: &Problem) -> bool {
    match problem.code {
        ErrorCode::NotAllowed
        | ErrorCode::SelfAction
        | ErrorCode::InvalidCode
        | ErrorCode::InvalidCredentials => true,
        ErrorCode::InvalidState => {
            let state = problem
                .details
                .as_ref()
                .and_then(|details| details.get("state"));
            state.is_some_and(|state| state == LAST_ADMIN)
        }
        _ => false,
    }
}

fn refused(action: &'static str, target: Target, problem: &Problem) -> Entry {
    Entry {
        action,
        target,
        after: Some(json!({ "code": problem.code.as_str(), "refused": problem.message })),
        ..Entry::default()
    }
}

/// On what: the id's prefix and the id.
type Target = Option<(&'static str, uuid::Uuid)>;

/// Writes down that the viewer was refused, where they reached too far, and passes the answer on.
pub async fn refusal<T>(
    app: &App,
    viewer: &Viewer,
    action: &'static str,
    target: Target,
    outcome: Result<T>,
) -> Result<T> {
    if let Err(Error::Rejected(problems)) = &outcome
        && let Some(problem) = problems.iter().find(|problem| reached_too_far(problem))
    {
        let entry = refused(action, target, problem);
        let mut conn = app.db.conn().await?;
        record_refused(&mut conn, app, viewer, app.clock.now(), entry).await?;
    }
    outcome
}

/// The same of an operation on many: an entry for each of `targets` that was refused, whose place the problem's field
/// ends in.
pub async fn refusal_of_each<T>(
    app: &App,
    viewer: &Viewer,
    action: &'static str,
    targets: &[Target],
    outcome: Result<T>,
) -> Result<T> {
    if let Err(Error::Rejected(problems)) = &outcome
        && problems.iter().any(reached_too_far)
    {
        let now = app.clock.now();
        let mut tx = app.db.begin().await?;
        for problem in problems.iter().filter(|problem| reached_too_far(problem)) {
            let place = problem.field.last().and_then(|place| place.parse().ok());
            let target = place.and_then(|place: usize| targets.get(place).copied());
            let entry = refused(action, target.flatten(), problem);
            record_refused(&mut tx, app, viewer, now, entry).await?;
        }
        tx.commit().await?;
    }
    outcome
}

/// Writes down that a signed-in person asked for a field of staff with other rights. What fails is only logged: the
/// answer is a refusal anyway.
pub async fn forbidden(app: &App, viewer: &Viewer, field: &'static str) {
    let Some(person) = viewer.signed_in() else {
        return;
    };
    if !app.refusals.is_new(person.session_id, field) {
        return;
    }
    let written = async {
        let entry = Entry {
            action: "access.refused",
            after: Some(json!({ "field": field })),
            ..Entry::default()
        };
        let mut conn = app.db.conn().await?;
        record_refused(&mut conn, app, viewer, app.clock.now(), entry).await?;
        Ok::<_, Error>(())
    };
    if let Err(error) = written.await {
        tracing::error!(%error, field, "a refusal was not written to the audit trail");
    }
}
