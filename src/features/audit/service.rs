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
    error::{Error, ErrorCode, Result},
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

/// Writes down that the viewer was refused, where that is why nothing was done, and passes the answer on.
pub async fn refusal<T>(
    app: &App,
    viewer: &Viewer,
    action: &'static str,
    target: Option<(&'static str, uuid::Uuid)>,
    outcome: Result<T>,
) -> Result<T> {
    if let Err(Error::Rejected(problems)) = &outcome
        && let Some(problem) = problems
            .iter()
            .find(|problem| problem.code == ErrorCode::NotAllowed)
    {
        let entry = Entry {
            action,
            target,
            after: Some(json!({ "refused": problem.message })),
            ..Entry::default()
        };
        let mut conn = app.db.conn().await?;
        record_refused(&mut conn, app, viewer, app.clock.now(), entry).await?;
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
