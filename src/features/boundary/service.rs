//! The rules of boundary rules.

use serde_json::json;

use super::model::{self, BoundaryPolicy};
use crate::{
    app::App,
    auth::viewer::Viewer,
    db::Instant,
    error::{Error, ErrorCode, Problem, Problems, Result, violated_constraint},
    features::audit::{self, Entry},
    text,
};

/// The longest text of a version, in characters.
const LONGEST: usize = 20_000;

/// A version, and when the viewer acknowledged it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The version.
    pub policy: BoundaryPolicy,
    /// Nothing when the viewer has not, or is nobody.
    pub acknowledged_at: Option<Instant>,
}

/// The version in force; nothing while there is none.
pub async fn current(app: &App, viewer: &Viewer) -> Result<Option<Seen>> {
    let conn = app.db.reader().await?;
    let found = match viewer.user_id() {
        Some(user) => conn.timed(model::current_for(&conn, user)).await?,
        None => conn
            .timed(model::current(&conn))
            .await?
            .map(|policy| (policy, None)),
    };
    Ok(found.map(|(policy, acknowledged_at)| Seen {
        policy,
        acknowledged_at,
    }))
}

fn superseded(path: &str, current: i32) -> Error {
    Problem::new(
        ErrorCode::Conflict,
        "There is a newer version of the boundary rules.",
    )
    .at(path)
    .with(json!({ "version": current }))
    .into()
}

/// Acknowledges the version in force; doing so again changes nothing.
///
/// Errors: `NOT_FOUND` for a version that was never published, `CONFLICT` for one that is no longer in force.
pub async fn acknowledge(app: &App, viewer: &Viewer, version: i32) -> Result<Seen> {
    let user = viewer.require_user()?;
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    let (policy, acknowledged_at) = model::current_for(&tx, user)
        .await?
        .filter(|(policy, _)| (1..=policy.version).contains(&version))
        .ok_or_else(|| Error::not_found("version"))?;
    if version != policy.version {
        return Err(superseded("version", policy.version));
    }
    if acknowledged_at.is_some()
        || !model::acknowledge(&mut tx, user, version, Instant(now)).await?
    {
        // Of two at once, the other one's time is what was kept.
        let acknowledged_at = acknowledged_at.or(Some(Instant(now)));
        return Ok(Seen {
            policy,
            acknowledged_at,
        });
    }
    let entry = Entry {
        action: "boundary.acknowledge",
        target: Some(("usr", user.0)),
        after: Some(json!({ "version": version })),
        ..Entry::default()
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(Seen {
        policy,
        acknowledged_at: Some(Instant(now)),
    })
}

/// Publishes the next version, which comes into force at once; everyone has to acknowledge it before they book again.
///
/// Errors: `INVALID_INPUT` for the text, `CONFLICT` when `expected_version` is not the one in force or another version is
/// published at the same moment.
pub async fn publish(
    app: &App,
    viewer: &Viewer,
    body: &str,
    expected_version: Option<i32>,
) -> Result<Seen> {
    let user = viewer.require_user()?;
    let now = app.clock.now();
    let mut problems = Problems::new();
    let body = problems.take("input.text", text::multi_line(body, 1..=LONGEST));
    problems.check()?;
    let body = body.unwrap_or_default();

    let mut tx = app.db.begin().await?;
    let current = model::current(&tx)
        .await?
        .map_or(0, |policy| policy.version);
    if expected_version.is_some_and(|expected| expected != current) {
        return Err(superseded("expectedVersion", current));
    }
    let policy = BoundaryPolicy {
        version: current + 1,
        body,
        published_at: Instant(now),
        published_by: Some(user),
    };
    model::insert(&mut tx, &policy)
        .await
        .map_err(|error| match violated_constraint(&error) {
            Some("boundary_policies_pkey") => superseded("input.text", policy.version),
            _ => Error::from(error),
        })?;
    let entry = Entry {
        action: "boundary.publish",
        target: Some(("usr", user.0)),
        before: Some(json!({ "version": current })),
        after: Some(json!({ "version": policy.version })),
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(Seen {
        policy,
        acknowledged_at: None,
    })
}
