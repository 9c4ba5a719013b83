//! What becomes of a profile when its person's account is suspended, reinstated or deleted. Each runs in the
//! transaction that decides about the account, with the person's row locked.

use jiff::Timestamp;

use crate::{
    app::App,
    db::{Instant, Transaction, ids::UserId},
    error::Result,
    features::{
        media::portfolio,
        providers::model::{self, Provider, ProviderStatus},
    },
};

/// What stands where a deleted person's profile had its name: bookings made still show it.
const ERASED_NAME: &str = "Deleted provider";

async fn save(
    tx: &mut Transaction,
    before: Provider,
    after: Provider,
    now: Timestamp,
) -> Result<()> {
    let after = Provider {
        version: before.version + 1,
        updated_at: Instant(now),
        ..after
    };
    Ok(model::save(tx, &after).await?)
}

/// Takes an approved profile out of every list for as long as its person is suspended.
pub async fn close_with_account(
    tx: &mut Transaction,
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
    save(tx, before, after, now).await
}

/// Brings back a profile that went with its person's account.
pub async fn reopen_with_account(
    tx: &mut Transaction,
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
    save(tx, before, after, now).await
}

/// Closes a profile for good, without its texts and pictures. What was booked keeps its terms.
pub async fn erase(tx: &mut Transaction, app: &App, person: UserId, now: Timestamp) -> Result<()> {
    let Some(before) = model::lock_of_user(tx, person).await? else {
        return Ok(());
    };
    portfolio::erase(tx, app, before.id, now).await?;
    let after = Provider {
        status: ProviderStatus::Withdrawn,
        display_name: ERASED_NAME.to_owned(),
        headline: String::new(),
        bio: String::new(),
        decision_reason: None,
        suspended_with_account: false,
        ..before.clone()
    };
    save(tx, before, after, now).await
}
