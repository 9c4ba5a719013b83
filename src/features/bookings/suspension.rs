//! A party is suspended, deleted or erased: its bookings that have not started are called off. Jobs, enqueued in the
//! transaction that closes the account.

use super::{
    cancel::{Out, call_off_for},
    model::{self, parties},
};
use crate::{
    app::App,
    db::{
        Instant,
        ids::{ProviderId, UserId},
        retry_conflict,
    },
    error::Result,
};

/// Calls off what this provider has ahead, each with a full refund. Does nothing when staff have reinstated it.
pub async fn cancel_for_suspended_provider(app: &App, provider: ProviderId) -> Result<()> {
    let now = app.clock.now();
    let mut conn = app.db.conn().await?;
    if parties::takes_bookings(&mut conn, provider).await? {
        return Ok(());
    }
    let ahead = model::upcoming_of(&mut conn, None, Some(provider), Instant(now)).await?;
    drop(conn);
    for id in ahead {
        retry_conflict(|| call_off_for(app, id, Out::Provider, now)).await?;
    }
    Ok(())
}

/// Calls off what this person has ahead: as a client, with a refund by the policy; as a provider, with a full one.
/// Does nothing when the person is active again.
pub async fn cancel_for_suspended_user(app: &App, user: UserId) -> Result<()> {
    let now = app.clock.now();
    let mut conn = app.db.conn().await?;
    if parties::is_active(&mut conn, user).await? {
        return Ok(());
    }
    let ahead = model::upcoming_of(&mut conn, Some(user), None, Instant(now)).await?;
    let provider = parties::provider_of(&mut conn, user).await?;
    drop(conn);
    for id in ahead {
        retry_conflict(|| call_off_for(app, id, Out::Client, now)).await?;
    }
    match provider {
        Some(provider) => cancel_for_suspended_provider(app, provider).await,
        None => Ok(()),
    }
}
