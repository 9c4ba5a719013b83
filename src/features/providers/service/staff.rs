//! What staff decide about providers.

use serde_json::{Value, json};

use super::{invalid_state, lock, lock_with_owner, state};
use crate::{
    app::App,
    auth::viewer::Viewer,
    db::{Instant, Transaction, ids::ProviderId},
    error::{ErrorCode, Problem, Problems, Result},
    features::{
        audit::{self, Entry},
        providers::model::{self, Provider, ProviderStatus},
        users::model::{self as users, UserStatus},
    },
    jobs,
    patch::expect_version,
    text,
};

/// The built-in role of approved providers.
const ROLE: &str = "PROVIDER";

/// What staff say to an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The provider can be found and booked.
    Approve,
    /// The person is told why and may apply again.
    Reject,
}

impl Decision {
    /// As the audit trail calls it.
    fn action(self) -> &'static str {
        match self {
            Self::Approve => "provider.approve",
            Self::Reject => "provider.reject",
        }
    }
}

/// A reason as it is kept; `INVALID_INPUT` where one is needed and missing.
fn reason(problems: &mut Problems, typed: Option<&str>, needed: bool) -> Option<String> {
    match typed.filter(|typed| !typed.trim().is_empty()) {
        Some(typed) => problems.take("input.reason", text::multi_line(typed, 1..=2000)),
        None if needed => {
            problems.invalid("input.reason", "A reason is needed.");
            None
        }
        None => None,
    }
}

/// Rule 5.
fn refuse_self(viewer: &Viewer, provider: &Provider) -> Result<()> {
    if !provider.is_owned_by(viewer) {
        return Ok(());
    }
    let message = "You cannot decide about your own profile.";
    Err(Problem::new(ErrorCode::SelfAction, message).at("id").into())
}

/// What is public has a person who may use the service: a suspended one's profile waits for them.
fn needs_active(owner: UserStatus) -> Result<()> {
    let message = match owner {
        UserStatus::Active => return Ok(()),
        UserStatus::Suspended => "The account is suspended: reinstate the person first.",
        UserStatus::Deleted => "The account is deleted.",
    };
    Err(Problem::new(ErrorCode::InvalidState, message)
        .at("id")
        .with(json!({ "state": owner }))
        .into())
}

/// Writes a decision: the role comes with an approval and goes with a suspension.
async fn save(
    mut tx: Transaction,
    app: &App,
    viewer: &Viewer,
    action: &'static str,
    before: &Provider,
    after: Provider,
    reason: Option<&str>,
) -> Result<Provider> {
    let role = match after.status {
        ProviderStatus::Approved => json!({ "granted": ROLE }),
        ProviderStatus::Suspended => json!({ "taken": ROLE }),
        _ => Value::Null,
    };
    model::save(&mut tx, &after).await?;
    let mut was = state(before);
    let mut is = json!({ "status": after.status, "reason": reason, "role": role });
    if before.suspended_with_account != after.suspended_with_account {
        // The status stays as it is: what changes is that it no longer goes back with the account's.
        for (told, of) in [(&mut was, before), (&mut is, &after)] {
            if let Some(told) = told.as_object_mut() {
                let with_account = of.suspended_with_account.into();
                told.insert("suspendedWithAccount".to_owned(), with_account);
            }
        }
    }
    let entry = Entry {
        action,
        target: Some(("prv", after.id.0)),
        before: Some(was),
        after: Some(is),
    };
    audit::record(&mut tx, app, viewer, *after.updated_at, entry).await?;
    tx.commit().await?;
    Ok(after)
}

/// Approves an application, which grants the role PROVIDER, or rejects it with a reason.
///
/// Errors: `INVALID_INPUT`, `NOT_FOUND`, `SELF_ACTION` for one's own, `INVALID_STATE` unless it waits and, to be approved,
/// its person's account is active, `CONFLICT`.
pub async fn review(
    app: &App,
    viewer: &Viewer,
    id: Option<ProviderId>,
    decision: Decision,
    typed_reason: Option<&str>,
    expected_version: Option<i32>,
) -> Result<Provider> {
    let now = app.clock.now();
    let mut problems = Problems::new();
    let reason = reason(&mut problems, typed_reason, decision == Decision::Reject);
    problems.check()?;
    let action = decision.action();

    let mut tx = app.db.begin().await?;
    let (before, owner) = lock_with_owner(&mut tx, viewer, id).await?;
    refuse_self(viewer, &before)?;
    if decision == Decision::Approve {
        needs_active(owner)?;
    }
    if before.status != ProviderStatus::Pending {
        return Err(invalid_state(&before, "The application does not wait."));
    }
    expect_version(expected_version, before.version)?;
    let (status, decision_reason) = match decision {
        Decision::Approve => {
            users::grant_role(&mut tx, before.user_id, ROLE, Instant(now)).await?;
            (ProviderStatus::Approved, None)
        }
        Decision::Reject => (ProviderStatus::Rejected, reason.clone()),
    };
    let after = Provider {
        status,
        decision_reason,
        reviewed_at: Some(Instant(now)),
        reviewed_by: viewer.user_id(),
        version: before.version + 1,
        updated_at: Instant(now),
        ..before.clone()
    };
    save(tx, app, viewer, action, &before, after, reason.as_deref()).await
}

/// Suspends an approved provider: the profile leaves every list, the role PROVIDER is taken, and a job cancels the
/// open bookings (rules.md, Bookings, "a party is suspended"). One that is closed with its person's account stays closed
/// from now on when the account is reinstated.
///
/// Errors: `INVALID_INPUT`, `NOT_FOUND`, `SELF_ACTION` for one's own, `INVALID_STATE` unless approved, `CONFLICT`.
pub async fn suspend(
    app: &App,
    viewer: &Viewer,
    id: Option<ProviderId>,
    typed_reason: &str,
    expected_version: Option<i32>,
) -> Result<Provider> {
    const ACTION: &str = "provider.suspend";
    let now = app.clock.now();
    let mut problems = Problems::new();
    let reason = reason(&mut problems, Some(typed_reason), true);
    problems.check()?;

    let mut tx = app.db.begin().await?;
    let before = lock(&mut tx, viewer, id).await?;
    refuse_self(viewer, &before)?;
    if before.status != ProviderStatus::Approved && !before.suspended_with_account {
        let message = "Only an approved provider can be suspended.";
        return Err(invalid_state(&before, message));
    }
    expect_version(expected_version, before.version)?;
    users::take_role(&mut tx, before.user_id, ROLE).await?;
    jobs::enqueue(
        &mut tx,
        app,
        jobs::Kind::CancelBookingsOfProvider,
        &before.id.to_string(),
        &json!({ "providerId": before.id }),
        now,
    )
    .await?;
    let after = Provider {
        status: ProviderStatus::Suspended,
        suspended_with_account: false,
        decision_reason: reason.clone(),
        reviewed_at: Some(Instant(now)),
        reviewed_by: viewer.user_id(),
        version: before.version + 1,
        updated_at: Instant(now),
        ..before.clone()
    };
    save(tx, app, viewer, ACTION, &before, after, reason.as_deref()).await
}

/// Takes a suspension back.
///
/// Errors: `NOT_FOUND`, `SELF_ACTION` for one's own, `INVALID_STATE` unless suspended while the person's account is
/// active, `CONFLICT`.
pub async fn reinstate(
    app: &App,
    viewer: &Viewer,
    id: Option<ProviderId>,
    expected_version: Option<i32>,
) -> Result<Provider> {
    const ACTION: &str = "provider.reinstate";
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    let (before, owner) = lock_with_owner(&mut tx, viewer, id).await?;
    refuse_self(viewer, &before)?;
    needs_active(owner)?;
    if before.status != ProviderStatus::Suspended {
        return Err(invalid_state(&before, "The provider is not suspended."));
    }
    expect_version(expected_version, before.version)?;
    users::grant_role(&mut tx, before.user_id, ROLE, Instant(now)).await?;
    let after = Provider {
        status: ProviderStatus::Approved,
        decision_reason: None,
        reviewed_at: Some(Instant(now)),
        reviewed_by: viewer.user_id(),
        version: before.version + 1,
        updated_at: Instant(now),
        ..before.clone()
    };
    save(tx, app, viewer, ACTION, &before, after, None).await
}
