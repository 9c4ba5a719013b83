//! Batch loaders: what every `loaders.rs` is made of.
//!
//! A loader lives for one request and turns a level of the query into one statement. `try_load` alone is used: a
//! leader that is dropped answers the others `NotFound`, so loaders are never shared between requests.

use std::{hash::Hash, sync::Arc};

pub use dataloader::BatchFn;

use crate::error::{Error, Result};

/// A loader of `V` by `K`, batched by `F`.
pub struct Loader<K, V, F>(dataloader::cached::Loader<K, Result<V>, F>)
where
    K: Eq + Hash + Clone,
    V: Clone,
    F: BatchFn<K, Result<V>>;

impl<K, V, F> Loader<K, V, F>
where
    K: Eq + Hash + Clone + std::fmt::Debug,
    V: Clone,
    F: BatchFn<K, Result<V>>,
{
    /// A loader for one request.
    pub fn new(batch: F) -> Self {
        Self(dataloader::cached::Loader::new(batch).with_max_batch_size(usize::MAX))
    }

    /// The value of this key, with the others of its level in one statement.
    pub async fn load(&self, key: K) -> Result<V> {
        self.0.try_load(key).await.map_err(Error::internal)?
    }
}

/// A row that may not be there.
pub type MaybeRow<V> = Option<Arc<V>>;

/// The rows of a list.
pub type Rows<V> = Arc<Vec<V>>;

/// Declares a loader of at most one row a key.
///
/// `query` is a model function `async fn(&mut AsyncPgConnection, &[Key]) -> QueryResult<Vec<Row>>`.
#[macro_export]
macro_rules! row_loader {
    ($(#[$doc:meta])* $name:ident: $key:ty => $row:ty, $query:path, |$r:ident| $of:expr) => {
        $(#[$doc])*
        pub struct $name(pub $crate::db::Db);

        impl $crate::db::batch::BatchFn<$key, $crate::error::Result<$crate::db::batch::MaybeRow<$row>>> for $name {
            async fn load(
                &mut self,
                keys: &[$key],
            ) -> ::std::collections::HashMap<$key, $crate::error::Result<$crate::db::batch::MaybeRow<$row>>> {
                let outcome: $crate::error::Result<Vec<$row>> = async {
                    let mut conn = self.0.conn().await?;
                    Ok($query(&mut conn, keys).await?)
                }.await;
                match outcome {
                    Ok(rows) => {
                        let mut found: ::std::collections::HashMap<_, _> =
                            keys.iter().map(|key| (key.clone(), Ok(None))).collect();
                        for $r in rows {
                            found.insert($of, Ok(Some(::std::sync::Arc::new($r))));
                        }
                        found
                    }
                    Err(error) => keys.iter().map(|key| (key.clone(), Err(error.clone()))).collect(),
                }
            }
        }
    };
}

/// Declares a loader of a list of rows a key, in the order in which the statement gave them.
///
/// `query` is a model function `async fn(&mut AsyncPgConnection, &[Key]) -> QueryResult<Vec<Row>>`.
#[macro_export]
macro_rules! rows_loader {
    ($(#[$doc:meta])* $name:ident: $key:ty => $row:ty, $query:path, |$r:ident| $of:expr) => {
        $(#[$doc])*
        pub struct $name(pub $crate::db::Db);

        impl $crate::db::batch::BatchFn<$key, $crate::error::Result<$crate::db::batch::Rows<$row>>> for $name {
            async fn load(
                &mut self,
                keys: &[$key],
            ) -> ::std::collections::HashMap<$key, $crate::error::Result<$crate::db::batch::Rows<$row>>> {
                let outcome: $crate::error::Result<Vec<$row>> = async {
                    let mut conn = self.0.conn().await?;
                    Ok($query(&mut conn, keys).await?)
                }.await;
                match outcome {
                    Ok(rows) => {
                        let mut lists: ::std::collections::HashMap<$key, Vec<$row>> =
                            keys.iter().map(|key| (key.clone(), Vec::new())).collect();
                        for $r in rows {
                            lists.entry($of).or_default().push($r);
                        }
                        lists.into_iter().map(|(key, rows)| (key, Ok(::std::sync::Arc::new(rows)))).collect()
                    }
                    Err(error) => keys.iter().map(|key| (key.clone(), Err(error.clone()))).collect(),
                }
            }
        }
    };
}
