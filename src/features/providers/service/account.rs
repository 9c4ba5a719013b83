//! What becomes of a profile when its person's account is suspended, reinstated or deleted. Each runs in the
//! transaction that decides about the account, with the person's row locked.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::state;
use crate::{
    app::App,
    auth::viewer::Viewer,
    db::{Instant, Transaction, ids::UserId},
    error::Result,
    features::{
        audit::{self, Entry},
        media::portfolio,
        providers::model::{self, Provider, ProviderStatus},
    },
};

/// What stands where a deleted person's profile had its name: bookings made still show it.
const ERASED_NAME: &str = "Deleted provider";

/// Writes the profile and its row of the trail; `told` is what it is now.
async fn save(
    tx: &mut Transaction,
    app: &App,
    viewer: &Viewer,
    action: &'static str,
    (before, after): (Provider, Provider),
    told: Value,
    now: Timestamp,
) -> Result<()> {
    let after = Provider {
        version: before.version + 1,
        updated_at: Instant(now),
        ..after
    };
    model::save(tx, &after).await?;
    let entry = Entry {
        action,
        target: Some(("prv", after.id.0)),
        before: Some(state(&before)),
        after: Some(told),
    };
    Ok(audit::record(tx, app, viewer, now, entry).await?)
}

/// What it is because of the account, and not by a decision about the profile.
fn by_account(after: &Provider) -> Value {
    json!({ "status": after.status, "by": "account" })
}

/// Takes an approved profile out of every list for as long as its person is suspended.
pub async fn close_with_account(
    tx: &mut Transaction,
    app: &App,
    viewer: &Viewer,
    person: UserId,
    now: Timestamp,
) -> Result<()> {
    let profile = model::lock_of_user(tx, person).await?;
    let Some(before) = profile.filter(|it| it.status == ProviderStatus::Approved) else {
        return Ok(());
    };
    let after = Provider {
        status: ProviderStatus::Suspended,
        suspended_with_account: true,
        ..before.clone()
    };
    let told = by_account(&after);
    let change = (before, after);
    save(tx, app, viewer, "provider.suspend", change, told, now).await
}

/// Brings back a profile that went with its person's account.
pub async fn reopen_with_account(
    tx: &mut Transaction,
    app: &App,
    viewer: &Viewer,
    person: UserId,
    now: Timestamp,
) -> Result<()> {
    let profile = model::lock_of_user(tx, person).await?;
    let Some(before) = profile.filter(|it| it.suspended_with_account) else {
        return Ok(());
    };
    let after = Provider {
        status: ProviderStatus::Approved,
        suspended_with_account: false,
        ..before.clone()
    };
    let told = by_account(&after);
    let change = (before, after);
    save(tx, app, viewer, "provider.reinstate", change, told, now).await
}

/// Closes a profile for good, without its texts and pictures. What was booked keeps its terms.
pub async fn erase(
    tx: &mut Transaction,
    app: &App,
    viewer: &Viewer,
    person: UserId,
    now: Timestamp,
) -> Result<()> {
    let Some(before) = model::lock_of_user(tx, person).await? else {
        return Ok(());
    };
    let removed = portfolio::erase(tx, app, before.id, now).await?;
    let after = Provider {
        status: ProviderStatus::Withdrawn,
        display_name: ERASED_NAME.to_owned(),
        headline: String::new(),
        bio: String::new(),
        decision_reason: None,
        suspended_with_account: false,
        ..before.clone()
    };
    let changed = audit::changed(&[
        ("displayName", before.display_name != after.display_name),
        ("headline", before.headline != after.headline),
        ("bio", before.bio != after.bio),
        ("media", !removed.is_empty()),
    ]);
    let told =
        json!({ "status": after.status, "by": "account", "changed": changed, "removed": removed });
    let change = (before, after);
    save(tx, app, viewer, "provider.erase", change, told, now).await
}
