//! Changes of one's own profile.

use serde_json::json;

use crate::{
    app::App,
    auth::viewer::Viewer,
    db::{
        Instant,
        ids::{CityId, UploadId},
    },
    error::{Error, ErrorCode, Problem, Problems, Result, violated_constraint},
    features::{
        audit::{self, Entry},
        media::{model::MediaPurpose, service as media},
        users::model::{self as users, Language, User},
    },
    patch::{Patch, expect_version},
    text,
};

/// What to change of oneself.
#[derive(Clone, Debug)]
pub struct Change {
    /// The name that everyone sees.
    pub display_name: Patch<String>,
    /// The unique handle.
    pub username: Patch<String>,
    /// The language of texts.
    pub language: Patch<Language>,
    /// The city; `Set(None)` for an id that cannot be a city's.
    pub city_id: Patch<Option<CityId>>,
    /// The upload that becomes the avatar; `Set(None)` for an id that cannot be an upload's.
    pub avatar_upload_id: Patch<Option<UploadId>>,
}

/// Changes the viewer's own profile; an edit that changes nothing leaves version and trail alone.
///
/// Errors: `INVALID_INPUT` for every bad field at once, `CONFLICT` for another version, `ALREADY_EXISTS` for a taken
/// username, `NOT_FOUND` for a city that isn't there.
pub async fn update(
    app: &App,
    viewer: &Viewer,
    change: Change,
    expected_version: Option<i32>,
) -> Result<User> {
    let id = viewer.require_user()?;
    let now = app.clock.now();
    let Change {
        display_name,
        username,
        language,
        city_id,
        avatar_upload_id,
    } = change;
    let mut problems = Problems::new();
    let display_name = match display_name {
        Patch::Keep => None,
        Patch::Clear => {
            problems.invalid("input.displayName", "A name is needed.");
            None
        }
        Patch::Set(name) => problems.take("input.displayName", text::single_line(&name, 1..=100)),
    };
    let username = match username {
        Patch::Set(name) => problems
            .take("input.username", text::username(&name))
            .map(Patch::Set),
        other => Some(other),
    };
    if language == Patch::Clear {
        problems.invalid("input.language", "A language is needed.");
    }
    problems.check()?;

    let mut tx = app.db.begin().await?;
    let Some(before) = users::lock_active(&mut tx, id).await? else {
        return Err(Error::Forbidden);
    };
    let city_id = match city_id {
        Patch::Set(None) => return Err(Error::not_found("input.cityId")),
        Patch::Set(Some(city)) => Some(city),
        Patch::Clear => None,
        Patch::Keep => before.city_id,
    };
    expect_version(expected_version, before.version)?;
    let avatar_media_id = match avatar_upload_id {
        Patch::Keep => before.avatar_media_id,
        Patch::Clear => None,
        Patch::Set(upload) => {
            let (purpose, path) = (MediaPurpose::Avatar, "input.avatarUploadId");
            let picture = media::uploaded(&mut tx, id, upload, purpose, path, now).await?;
            Some(picture.id)
        }
    };
    let after = User {
        display_name: display_name.unwrap_or_else(|| before.display_name.clone()),
        username: username.unwrap_or_default().apply(before.username.clone()),
        language: match language {
            Patch::Set(language) => language,
            _ => before.language,
        },
        city_id,
        avatar_media_id,
        version: before.version + 1,
        updated_at: Instant(now),
        ..before.clone()
    };
    let changed = audit::changed(&[
        ("displayName", before.display_name != after.display_name),
        ("username", before.username != after.username),
        ("language", before.language != after.language),
        ("city", before.city_id != after.city_id),
        ("avatar", before.avatar_media_id != after.avatar_media_id),
    ]);
    if changed.is_empty() {
        return Ok(before);
    }
    users::save(&mut tx, &after)
        .await
        .map_err(|error| match violated_constraint(&error) {
            Some("users_username_key") => {
                Problem::new(ErrorCode::AlreadyExists, "This username is taken.")
                    .at("input.username")
                    .into()
            }
            Some("users_city_id_fkey") => Error::not_found("input.cityId"),
            _ => Error::from(error),
        })?;
    if let Some(old) = before
        .avatar_media_id
        .filter(|old| after.avatar_media_id != Some(*old))
    {
        media::discard(&mut tx, app, old, now).await?;
    }
    let entry = Entry {
        action: "user.update",
        target: Some(("usr", id.0)),
        before: Some(json!({ "version": before.version })),
        after: Some(json!({ "changed": changed, "version": after.version })),
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(after)
}
