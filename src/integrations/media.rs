//! Uploaded files: where they are kept, and what is done to pictures before.
//!
//! A file is never served as it came. Its type is read from its bytes, its header is checked
//! before anything is decoded, and it is written anew from its pixels, which leaves behind the
//! place where a photo was taken, whatever else rode along, and any second meaning of the bytes
//! (security.md, uploads). Keys are ours, so that no name of a caller's reaches the disk.

mod image;

use std::{fmt, ops::Range, path::Path, sync::Arc};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    Error as StoreError, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload,
    local::LocalFileSystem, path::Path as StorePath,
};
use tokio::sync::Semaphore;
use uuid::Uuid;

pub use self::image::{ImageError, ImageType, MAX_PIXELS, ProcessedImage};

/// Pictures worked on at once: one may need some 400 MB for a moment.
const IMAGES_AT_ONCE: usize = 2;

/// Keeps uploaded files: in a local folder. Cheap to clone.
#[derive(Clone)]
pub struct MediaStore {
    store: Arc<dyn ObjectStore>,
    images: Arc<Semaphore>,
}

/// Where a file is kept. Made from a row's id, never from anything that a caller wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MediaKey(Uuid);

/// A file that is being read.
pub struct MediaFile {
    /// How many bytes will come.
    pub length: u64,
    /// The bytes, piece by piece.
    pub bytes: BoxStream<'static, Result<Bytes, MediaError>>,
}

/// The store failed; for logs, and for users an internal fault.
#[derive(Debug, thiserror::Error)]
#[error("the media store failed: {0}")]
pub struct MediaError(String);

impl MediaKey {
    /// The key of the file whose row has this id.
    #[must_use]
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    fn path(self) -> StorePath {
        StorePath::from(self.to_string())
    }
}

impl fmt::Display for MediaKey {
    /// `ab/cd/<32 hex digits>`, with the id's last digits in front: the first ones are its time,
    /// which would put all of an hour's files into one folder.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [.., first, second] = *self.0.as_bytes();
        write!(f, "{first:02x}/{second:02x}/{}", self.0.as_simple())
    }
}

impl MediaStore {
    /// Files in this folder, which is made if it isn't there.
    ///
    /// # Errors
    /// When it can't be made or is no folder.
    pub fn local(folder: &Path) -> Result<Self, MediaError> {
        std::fs::create_dir_all(folder).map_err(|error| MediaError(error.to_string()))?;
        // Written through to the disk: the row that names the file is, too.
        let store = LocalFileSystem::new_with_prefix(folder)
            .map_err(MediaError::from)?
            .with_fsync(true);
        Ok(Self::over(Arc::new(store)))
    }

    /// Files in any store.
    #[must_use]
    pub fn over(store: Arc<dyn ObjectStore>) -> Self {
        let images = Arc::new(Semaphore::new(IMAGES_AT_ONCE));
        Self { store, images }
    }

    /// Keeps a file: all of it or nothing, in place of an earlier one with this key.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put(&self, key: MediaKey, bytes: Bytes) -> Result<(), MediaError> {
        self.store
            .put(&key.path(), PutPayload::from_bytes(bytes))
            .await?;
        Ok(())
    }

    /// The file, or a part of it from `range.start` to before `range.end` in bytes, cut at the file's end: its length
    /// and its bytes as they are read, so that a slow reader holds a piece of it and never all. `None` if there is no
    /// such file. An empty range, or one that begins behind the end, is an error: the caller knows the size from its
    /// row.
    ///
    /// # Errors
    /// When the store fails or the range is not in the file.
    pub async fn open(
        &self,
        key: MediaKey,
        range: Option<Range<u64>>,
    ) -> Result<Option<MediaFile>, MediaError> {
        let options = GetOptions {
            range: range.map(GetRange::Bounded),
            ..GetOptions::default()
        };
        let found = present(self.store.get_opts(&key.path(), options).await)?;
        Ok(found.map(|found| MediaFile {
            length: found.range.end.saturating_sub(found.range.start),
            bytes: found.into_stream().map_err(MediaError::from).boxed(),
        }))
    }

    /// Removes the file; one that isn't there is none the less gone.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delete(&self, key: MediaKey) -> Result<(), MediaError> {
        present(self.store.delete(&key.path()).await)?;
        Ok(())
    }

    /// Makes an uploaded picture fit to be shown: checked, upright, without metadata, at most `most` bytes. Works on a
    /// thread of its own; waits while two others are worked on.
    ///
    /// # Errors
    /// [`ImageError`] says what is wrong with the picture.
    pub async fn process_image(
        &self,
        bytes: Bytes,
        most: u64,
    ) -> Result<ProcessedImage, ImageError> {
        let permit = self.images.clone().acquire_owned().await;
        let permit = permit.map_err(|_| ImageError::Damaged)?;
        let work = tokio::task::spawn_blocking(move || {
            // Kept to the end even where nobody waits any more, since the memory is in use.
            let _permit = permit;
            image::process(&bytes, most)
        });
        work.await.unwrap_or_else(|error| {
            tracing::warn!(%error, "a decoder died over a picture");
            Err(ImageError::Damaged)
        })
    }
}

impl From<StoreError> for MediaError {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

fn present<T>(outcome: Result<T, StoreError>) -> Result<Option<T>, MediaError> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
