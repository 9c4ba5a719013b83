//! The rules of uploads and pictures.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use diesel_async::AsyncPgConnection;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::model::{self, Media, MediaPurpose, Upload};
use crate::{
    app::App,
    auth::viewer::Viewer,
    db::{
        Instant,
        ids::{MediaId, UploadId, UserId},
    },
    error::{Error, ErrorCode, Problem, Problems, Result},
    features::{
        audit::{self, ActorKind, Entry},
        users::model as users,
    },
    integrations::media::{ImageError, MediaKey, ProcessedImage},
    jobs::{self, Kind},
};

/// How long an upload's address works.
pub const UPLOAD_LIFE: SignedDuration = SignedDuration::from_mins(15);
/// How long a picture may wait to become an avatar or a part of a portfolio. The sweep waits an hour longer, so that the
/// two never meet.
pub const UNUSED_LIFE: SignedDuration = SignedDuration::from_hours(24);
/// So many announced uploads of a person may be open at once.
const OPEN_UPLOADS: i64 = 20;
/// Bytes of randomness in an upload's address.
const TOKEN_BYTES: usize = 32;

/// An announced upload, and the secret of its address.
#[derive(Clone, Debug)]
pub struct Announced {
    /// The upload.
    pub upload: Upload,
    /// The secret, which is stored nowhere.
    pub token: String,
}

/// Announces an upload of exactly `byte_size` bytes.
///
/// Errors: `INVALID_INPUT` for the size, `LIMIT_REACHED` for too many that were announced and did not come.
pub async fn begin(
    app: &App,
    viewer: &Viewer,
    purpose: MediaPurpose,
    byte_size: i64,
) -> Result<Announced> {
    let user = viewer.require_user()?;
    let now = app.clock.now();
    let largest = app.config.max_file_size;
    let mut problems = Problems::new();
    if !u64::try_from(byte_size).is_ok_and(|size| (1..=largest).contains(&size)) {
        let message = format!("A file has 1 to {largest} bytes.");
        problems.invalid("input.byteSize", message);
    }
    problems.check()?;

    let mut tx = app.db.begin().await?;
    // Makes announcements of one person take turns, so that they are counted right.
    users::lock_active(&mut tx, user)
        .await?
        .ok_or(Error::Forbidden)?;
    if model::count_open_uploads(&mut tx, user, Instant(now)).await? >= OPEN_UPLOADS {
        return Err(Problem::new(
            ErrorCode::LimitReached,
            "Too many announced uploads have not come: send them, or wait 15 minutes.",
        )
        .into());
    }
    let token = URL_SAFE_NO_PAD.encode(app.entropy.bytes::<TOKEN_BYTES>());
    let upload = Upload {
        id: UploadId(app.entropy.uuid_v7(now)),
        user_id: user,
        purpose,
        token_hash: token_hash(&token),
        byte_size,
        created_at: Instant(now),
        expires_at: Instant(now + UPLOAD_LIFE),
        used_at: None,
        media_id: None,
    };
    model::insert_upload(&mut tx, &upload).await?;
    let entry = Entry {
        action: "media.uploadBegin",
        target: Some(("upl", upload.id.0)),
        after: Some(json!({ "purpose": purpose, "byteSize": byte_size })),
        ..Entry::default()
    };
    audit::record(&mut tx, app, viewer, now, entry).await?;
    tx.commit().await?;
    Ok(Announced { upload, token })
}

fn token_hash(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

/// Why bytes were not taken.
#[derive(Debug)]
pub enum UploadError {
    /// No upload has this secret.
    NotFound,
    /// It was used, or its time is over.
    Gone,
    /// It is no picture that we take.
    BadImage(ImageError),
    /// What broke here.
    Other(Error),
}

impl<E: Into<Error>> From<E> for UploadError {
    fn from(error: E) -> Self {
        Self::Other(error.into())
    }
}

/// The upload of an address, before its bytes are read.
pub async fn expected(app: &App, token: &str) -> Result<Upload, UploadError> {
    let now = app.clock.now();
    let upload = model::upload_of_token(&mut *app.db.conn().await?, &token_hash(token)).await?;
    let upload = upload.ok_or(UploadError::NotFound)?;
    if upload.used_at.is_some() || *upload.expires_at <= now {
        return Err(UploadError::Gone);
    }
    Ok(upload)
}

/// Takes the bytes of an upload, whose size was checked; the picture is kept or the upload may be tried again.
///
/// It is claimed in a transaction of its own before the work: of two requests with one address, one goes on. What a crash
/// leaves claimed is removed by the sweep.
pub async fn receive(app: &App, upload: &Upload, bytes: Bytes) -> Result<Media, UploadError> {
    let now = app.clock.now();
    if !model::claim_upload(&mut *app.db.conn().await?, upload.id, Instant(now)).await? {
        return Err(UploadError::Gone);
    }
    match keep(app, upload, bytes, now).await {
        Ok(media) => Ok(media),
        Err(error) => {
            model::release_upload(&mut *app.db.conn().await?, upload.id).await?;
            Err(error)
        }
    }
}

async fn keep(
    app: &App,
    upload: &Upload,
    bytes: Bytes,
    now: Timestamp,
) -> Result<Media, UploadError> {
    let ProcessedImage {
        bytes,
        image_type,
        width,
        height,
        sha256,
    } = app
        .media
        .process_image(bytes, app.config.max_file_size)
        .await
        .map_err(UploadError::BadImage)?;
    let key = MediaKey::new(upload.id.0);
    let media = Media {
        id: MediaId(upload.id.0),
        owner_id: upload.user_id,
        purpose: upload.purpose,
        storage_key: key.to_string(),
        content_type: image_type.content_type().to_owned(),
        byte_size: i64::try_from(bytes.len()).map_err(Error::internal)?,
        width: i32::try_from(width).map_err(Error::internal)?,
        height: i32::try_from(height).map_err(Error::internal)?,
        sha256: sha256.to_vec(),
        created_at: Instant(now),
    };
    app.media.put(key, bytes).await.map_err(Error::internal)?;
    let mut tx = app.db.begin().await?;
    model::insert(&mut tx, &media).await?;
    model::finish_upload(&mut tx, upload.id, media.id).await?;
    let entry = Entry {
        action: "media.upload",
        target: Some(("med", media.id.0)),
        after: Some(json!({
            "owner": media.owner_id, "contentType": media.content_type, "byteSize": media.byte_size,
        })),
        ..Entry::default()
    };
    // Whoever has the address may send the bytes, so it is nobody's signed-in act.
    audit::record_ours(&mut tx, app, ActorKind::System, now, entry).await?;
    tx.commit().await?;
    Ok(media)
}

/// A picture, for its public address.
pub async fn find(app: &App, id: MediaId) -> Result<Option<Media>> {
    let conn = app.db.reader().await?;
    let found = conn.timed(model::by_ids(&conn, &[id])).await?;
    Ok(found.into_iter().next())
}

/// The picture that a person's upload became, to be used for this purpose. `path` is the argument that named it.
///
/// Errors: `NOT_FOUND`, `INVALID_INPUT` for another purpose, `INVALID_STATE` while the bytes have not come, `EXPIRED` when
/// they came more than a day ago.
pub async fn uploaded(
    conn: &mut AsyncPgConnection,
    owner: UserId,
    upload: Option<UploadId>,
    purpose: MediaPurpose,
    path: &str,
    now: Timestamp,
) -> Result<Media> {
    let not_found = || Error::not_found(path);
    let upload = model::upload(conn, upload.ok_or_else(not_found)?)
        .await?
        .filter(|upload| upload.user_id == owner)
        .ok_or_else(not_found)?;
    if upload.purpose != purpose {
        let message = format!("The upload was announced for {}.", upload.purpose);
        return Err(Problem::new(ErrorCode::InvalidInput, message)
            .at(path)
            .into());
    }
    let Some(id) = upload.media_id else {
        return Err(
            Problem::new(ErrorCode::InvalidState, "The file has not come yet.")
                .at(path)
                .with(json!({ "state": "WAITING" }))
                .into(),
        );
    };
    let media = model::by_id(conn, id).await?.ok_or_else(not_found)?;
    if now.duration_since(*media.created_at) > UNUSED_LIFE {
        return Err(Problem::new(
            ErrorCode::Expired,
            "The file was sent more than a day ago: send it again.",
        )
        .at(path)
        .into());
    }
    Ok(media)
}

/// Forgets a picture that nothing refers to any more and answers it, if it was there; its file goes after the
/// transaction.
pub async fn discard(
    conn: &mut AsyncPgConnection,
    app: &App,
    id: MediaId,
    now: Timestamp,
) -> Result<Option<model::Media>> {
    let gone = model::delete(conn, id).await?;
    if gone.is_some() {
        enqueue_removal(conn, app, id.0, now).await?;
    }
    Ok(gone)
}

/// Has the file of this id removed after the transaction.
pub(super) async fn enqueue_removal(
    conn: &mut AsyncPgConnection,
    app: &App,
    id: uuid::Uuid,
    now: Timestamp,
) -> Result<()> {
    jobs::enqueue(conn, app, Kind::RemoveMediaFile, &id.to_string(), &id, now).await
}
