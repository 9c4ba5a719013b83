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
        ids::{BookingId, ProviderId, UserId},
    },
    error::{Error, Result},
    jobs::{self, Kind},
};

/// Calls off what this provider has ahead, each with a full refund. Does nothing when staff have reinstated it.
///
/// Errors: when any of them failed, after all have had their turn.
pub async fn cancel_for_suspended_provider(app: &App, provider: ProviderId) -> Result<()> {
    let now = app.clock.now();
    let mut conn = app.db.conn().await?;
    if parties::takes_bookings(&mut conn, provider).await? {
        return Ok(());
    }
    let ahead = model::upcoming_of(&mut conn, None, Some(provider), Instant(now)).await?;
    drop(conn);
    call_off_all(app, Kind::CancelBookingsOfProvider, ahead, Out::Provider).await
}

/// Calls off what this person has ahead: as a client, with a refund by the policy; as a provider, with a full one.
/// Does nothing when the person is active again.
///
/// Errors: when any of them failed, after all have had their turn.
pub async fn cancel_for_suspended_user(app: &App, user: UserId) -> Result<()> {
    let now = app.clock.now();
    let mut conn = app.db.conn().await?;
    if parties::is_active(&mut conn, user).await? {
        return Ok(());
    }
    let ahead = model::upcoming_of(&mut conn, Some(user), None, Instant(now)).await?;
    let provider = parties::provider_of(&mut conn, user).await?;
    drop(conn);
    let as_client = call_off_all(app, Kind::CancelBookingsOfUser, ahead, Out::Client).await;
    if let Some(provider) = provider {
        cancel_for_suspended_provider(app, provider).await?;
    }
    as_client
}

async fn call_off_all(app: &App, kind: Kind, ahead: Vec<BookingId>, out: Out) -> Result<()> {
    let now = app.clock.now();
    let mut failed = 0;
    for id in ahead {
        let done = jobs::row(kind, id, || call_off_for(app, id, out, now)).await?;
        failed += usize::from(done.is_none());
    }
    if failed > 0 {
        return Err(Error::internal(format!(
            "{failed} bookings were not called off"
        )));
    }
    Ok(())
}
