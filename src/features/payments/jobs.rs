//! Background work of payments. Each job looks at the rows as they are, so that running it late, twice or in two
//! processes changes nothing more.

use jiff::SignedDuration;
use uuid::Uuid;

use super::{checkouts, model, refunds};
use crate::{
    app::App,
    db::{
        Instant,
        ids::{CheckoutId, RefundId},
    },
    error::{Error, Result},
    jobs::{self, Kind},
};

/// An intent older than this was left by a crash, or its job was.
const LEFT_BEHIND: SignedDuration = SignedDuration::from_mins(1);

/// Brings a refund to the gateway.
pub async fn create_refund(app: &App, payload: &serde_json::Value) -> Result<()> {
    let id: RefundId = id_of(payload)?;
    refunds::send(app, id).await
}

/// Opens, ends or leaves alone a checkout, whatever its row and its booking ask for.
pub async fn finish_checkout(app: &App, payload: &serde_json::Value) -> Result<()> {
    let id: CheckoutId = id_of(payload)?;
    checkouts::finish(app, id).await
}

/// Enqueues what crashes and lost jobs left unfinished, page by page, so that what stays unfinished keeps no other.
pub async fn sweep(app: &App) -> Result<()> {
    let now = app.clock.now();
    let before = Instant(now - LEFT_BEHIND);
    let mut conn = app.db.conn().await?;
    let mut behind = CheckoutId(Uuid::nil());
    loop {
        let page = model::checkouts::unfinished(&mut conn, before, Instant(now), behind).await?;
        let Some(last) = page.last() else { break };
        behind = *last;
        for id in page {
            let (key, id) = (format!("{id}:sweep"), id.to_string());
            jobs::ensure(&mut conn, app, Kind::FinishCheckout, &key, &id).await?;
        }
    }
    let mut behind = RefundId(Uuid::nil());
    loop {
        let page = model::refunds::unfinished(&mut conn, before, behind).await?;
        let Some(last) = page.last() else { break };
        behind = *last;
        for id in page {
            let id = id.to_string();
            jobs::ensure(&mut conn, app, Kind::CreateRefund, &id, &id).await?;
        }
    }
    Ok(())
}

fn id_of<T: std::str::FromStr>(payload: &serde_json::Value) -> Result<T> {
    payload
        .as_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Error::internal("the job's payload is no id"))
}
