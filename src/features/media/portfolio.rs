//! The rules of portfolios.

use diesel_async::AsyncPgConnection;
use jiff::Timestamp;
use serde_json::json;

use super::{
    model::{self, MediaPurpose, PortfolioItem, ProviderMedia},
    service,
};
use crate::{
    app::App,
    auth::viewer::Viewer,
    db::{
        Instant, Transaction,
        ids::{MediaId, ProviderId, ProviderMediaId, UploadId, UserId},
    },
    error::{Error, ErrorCode, Problem, Problems, Result, violated_constraint},
    features::{
        audit::{self, Entry},
        providers::model::{self as providers, Provider, ProviderStatus},
    },
    text,
};

/// The most pictures of a portfolio.
const MOST: usize = 30;
/// The longest caption, in characters.
const CAPTION: usize = 300;

/// Locks the viewer's profile, which has to wait or be approved. Changes of a portfolio take turns by it.
async fn lock_own(conn: &mut AsyncPgConnection, user: UserId) -> Result<Provider> {
    let provider = providers::lock_of_user(conn, user)
        .await?
        .ok_or_else(|| Error::not_allowed("Only who has applied as a provider has a portfolio."))?;
    if matches!(
        provider.status,
        ProviderStatus::Pending | ProviderStatus::Approved
    ) {
        return Ok(provider);
    }
    Err(
        Problem::new(ErrorCode::InvalidState, "The profile is closed to changes.")
            .with(json!({ "state": provider.status }))
            .into(),
    )
}

/// A picture in this provider's portfolio.
async fn own_item(
    conn: &mut AsyncPgConnection,
    provider: ProviderId,
    id: Option<ProviderMediaId>,
) -> Result<PortfolioItem> {
    model::items_by_ids(conn, id.as_slice())
        .await?
        .pop()
        .filter(|item| item.row.provider_id == provider)
        .ok_or_else(|| Error::not_found("id"))
}

fn entry(action: &'static str, provider: ProviderId, after: serde_json::Value) -> Entry {
    Entry {
        action,
        target: Some(("prv", provider.0)),
        after: Some(after),
        ..Entry::default()
    }
}

/// Adds an uploaded picture to the end of the viewer's portfolio.
///
/// Errors: `INVALID_INPUT`, `NOT_FOUND` for the upload, `NOT_ALLOWED` without a profile, `INVALID_STATE` for a closed
/// profile or an upload that has not come, `EXPIRED`, `ALREADY_EXISTS`, `LIMIT_REACHED`.
pub async fn attach(
    app: &App,
    viewer: &Viewer,
    upload: Option<UploadId>,
    caption: &str,
) -> Result<PortfolioItem> {
    let user = viewer.require_user()?;
    let now = app.clock.now();
    let mut problems = Problems::new();
    let caption = problems.take("input.caption", text::single_line(caption, 0..=CAPTION));
    problems.check()?;

    let mut tx = app.db.begin().await?;
    let purpose = MediaPurpose::Portfolio;
    let media = service::uploaded(&mut tx, user, upload, purpose, "uploadId", now).await?;
    let provider = lock_own(&mut tx, user).await?;
    let there = model::portfolios(&tx, &[provider.id]).await?;
    if there.len() >= MOST {
        return Err(Problem::new(
            ErrorCode::LimitReached,
            format!("A portfolio has at most {MOST} pictures."),
        )
        .into());
    }
    let row = ProviderMedia {
        id: ProviderMediaId(app.entropy.uuid_v7(now)),
        provider_id: provider.id,
        media_id: media.id,
        caption: caption.unwrap_or_default(),
        position: there.last().map_or(0, |last| last.row.position + 1),
        created_at: Instant(now),
    };
    model::insert_item(&mut tx, &row)
        .await
        .map_err(|error| match violated_constraint(&error) {
            Some("provider_media_media_id_key") => {
                Problem::new(ErrorCode::AlreadyExists, "It is in your portfolio already.")
                    .at("uploadId")
                    .into()
            }
            Some("provider_media_media_id_fkey") => Error::not_found("uploadId"),
            _ => Error::from(error),
        })?;
    let after = json!({ "media": media.id });
    let entry = entry("provider.mediaAttach", provider.id, after);
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(PortfolioItem { row, media })
}

/// Writes another line under a picture of the viewer's portfolio.
///
/// Errors: `INVALID_INPUT`, `NOT_FOUND` for one that is not in it, `NOT_ALLOWED` without a profile, `INVALID_STATE` for
/// a closed one.
pub async fn update(
    app: &App,
    viewer: &Viewer,
    id: Option<ProviderMediaId>,
    caption: &str,
) -> Result<PortfolioItem> {
    let user = viewer.require_user()?;
    let now = app.clock.now();
    let mut problems = Problems::new();
    let caption = problems.take("input.caption", text::single_line(caption, 0..=CAPTION));
    problems.check()?;

    let mut tx = app.db.begin().await?;
    let provider = lock_own(&mut tx, user).await?;
    let mut item = own_item(&mut tx, provider.id, id).await?;
    let before = std::mem::replace(&mut item.row.caption, caption.unwrap_or_default());
    if before == item.row.caption {
        return Ok(item);
    }
    model::save_caption(&mut tx, item.row.id, &item.row.caption).await?;
    let after = json!({ "media": item.media.id, "changed": ["caption"] });
    let entry = entry("provider.mediaUpdate", provider.id, after);
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(item)
}

/// Puts the viewer's portfolio into this order: each of its pictures once. Answers it.
///
/// Errors: `INVALID_INPUT` for one twice, `NOT_FOUND` for one that is not in it, `NOT_ALLOWED` without a profile,
/// `INVALID_STATE` for a closed one, `CONFLICT` when one is missing, because it was added meanwhile.
pub async fn reorder(
    app: &App,
    viewer: &Viewer,
    ids: &[Option<ProviderMediaId>],
) -> Result<Vec<PortfolioItem>> {
    let user = viewer.require_user()?;
    let now = app.clock.now();
    let mut problems = Problems::new();
    for (number, id) in ids.iter().enumerate() {
        if id.is_some() && ids.iter().take(number).any(|earlier| earlier == id) {
            problems.invalid(&format!("ids.{number}"), "Each picture is given once.");
        }
    }
    problems.check()?;

    let mut tx = app.db.begin().await?;
    let provider = lock_own(&mut tx, user).await?;
    let there = model::portfolios(&tx, &[provider.id]).await?;
    let mut ordered = Vec::with_capacity(ids.len());
    for (number, id) in ids.iter().enumerate() {
        let item = there
            .iter()
            .find(|item| Some(item.row.id) == *id)
            .ok_or_else(|| Error::not_found(&format!("ids.{number}")))?;
        ordered.push(item.clone());
    }
    if ordered.len() < there.len() {
        return Err(Problem::new(
            ErrorCode::Conflict,
            "Give every picture of the portfolio: one was added meanwhile.",
        )
        .at("ids")
        .into());
    }
    for (position, item) in (0..).zip(&mut ordered) {
        item.row.position = position;
    }
    let known: Vec<ProviderMediaId> = ordered.iter().map(|item| item.row.id).collect();
    model::save_order(&mut tx, provider.id, &known).await?;
    let entry = entry(
        "provider.mediaReorder",
        provider.id,
        json!({ "order": known }),
    );
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(ordered)
}

/// Takes every picture out of a portfolio, for good; answers which. The caller writes the audit row.
pub async fn erase(
    tx: &mut Transaction,
    app: &App,
    provider: ProviderId,
    now: Timestamp,
) -> Result<Vec<MediaId>> {
    let mut removed = Vec::new();
    for item in model::portfolios(tx, &[provider]).await? {
        model::delete_item(tx, provider, item.row.id).await?;
        service::discard(tx, app, item.media.id, now).await?;
        removed.push(item.media.id);
    }
    Ok(removed)
}

/// Takes a picture out of the viewer's portfolio; it is gone for good. Answers it.
///
/// Errors: `NOT_FOUND` for one that is not in it, `NOT_ALLOWED` without a profile, `INVALID_STATE` for a closed one.
pub async fn remove(
    app: &App,
    viewer: &Viewer,
    id: Option<ProviderMediaId>,
) -> Result<PortfolioItem> {
    let user = viewer.require_user()?;
    let now = app.clock.now();
    let mut tx = app.db.begin().await?;
    let provider = lock_own(&mut tx, user).await?;
    let missing = || Error::not_found("id");
    let id = id.ok_or_else(missing)?;
    let row = model::delete_item(&mut tx, provider.id, id).await?;
    let row = row.ok_or_else(missing)?;
    let media = service::discard(&mut tx, app, row.media_id, now).await?;
    let media = media.ok_or_else(|| Error::internal("a portfolio's picture is gone"))?;
    let after = json!({ "removed": media.id });
    let entry = entry("provider.mediaRemove", provider.id, after);
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(PortfolioItem { row, media })
}
