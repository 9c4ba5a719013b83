//! Batch loaders: what every `loaders.rs` is made of.
//!
//! A loader lives for one request and turns a level of the query into one statement. The crate's `try_…` alone are used: a
//! leader that is dropped answers the others `NotFound`, so loaders are never shared between requests.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    mem,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

pub use dataloader::BatchFn;
use futures_util::future::BoxFuture;

use crate::error::{Error, Result};

/// A loader of `V` by `K`, batched by `F`.
///
/// It reads when nobody has come for some turns. The crate alone reads after ten, whoever comes: a turn of a busy server takes
/// milliseconds, and each costs a poll of the whole request.
pub struct Loader<K, V, F>
where
    K: Eq + Hash + Clone,
    V: Clone,
    F: BatchFn<K, Result<V>>,
{
    loader: dataloader::cached::Loader<K, Result<V>, F>,
    come: Mutex<Come<K>>,
    failed: OnceLock<Error>,
}

/// Turns without a new key after which the level is there. Long lists take several to be asked for; one key alone takes one.
const CALM: usize = 3;

/// The keys of a request.
struct Come<K> {
    /// How often somebody came for a new one.
    times: usize,
    /// Those to be read.
    waiting: Keys<K>,
    /// Those that are read, or being read.
    taken: Keys<K>,
}

type Keys<K> = HashSet<K, foldhash::fast::RandomState>;

impl<K, V, F> Loader<K, V, F>
where
    K: Eq + Hash + Clone + std::fmt::Debug,
    V: Clone,
    F: BatchFn<K, Result<V>>,
{
    /// A loader for one request.
    pub fn new(batch: F) -> Self {
        let loader = dataloader::cached::Loader::new(batch).with_max_batch_size(usize::MAX);
        Self {
            loader: loader.with_yield_count(0),
            come: Mutex::new(Come {
                times: 0,
                waiting: Keys::default(),
                taken: Keys::default(),
            }),
            failed: OnceLock::new(),
        }
    }

    /// What this would read could not be read: it answers the same from now on, and doesn't try.
    pub fn fail(&self, error: &Error) {
        let _ = self.failed.set(error.clone());
    }

    /// The value of this key, with the others of its level in one statement.
    pub async fn load(&self, key: K) -> Result<V> {
        if let Some(error) = self.failed.get() {
            return Err(error.clone());
        }
        let mut times = self.with_come(|come| {
            if !come.taken.contains(&key) && come.waiting.insert(key.clone()) {
                come.times += 1;
            }
            come.times
        });
        let mut calm = 0;
        // Whoever sees first that the level is there reads for all; the others find it read, or wait for it.
        while let Some((now, alone)) = self.with_come(|come| {
            (!come.taken.contains(&key)).then_some((come.times, come.waiting.len() == 1))
        }) {
            if calm > 0 && (alone || calm > CALM) {
                let keys = self.with_come(|come| {
                    come.taken.extend(come.waiting.iter().cloned());
                    mem::take(&mut come.waiting)
                });
                let read = self.loader.try_load_many(keys.into_iter().collect());
                read.await.map_err(Error::internal)?;
                break;
            }
            calm = if now == times { calm + 1 } else { 1 };
            times = now;
            tokio::task::yield_now().await;
        }
        self.loader.try_load(key).await.map_err(Error::internal)?
    }

    fn with_come<T>(&self, change: impl FnOnce(&mut Come<K>) -> T) -> T {
        change(&mut self.come.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A batch that is read once, for a level whose keys are known together (`graphql::plan`), and not by a [`Loader`].
pub trait Batch: Send + Sync {
    /// What is asked for.
    type Key: Eq + Hash + Clone + Send + Sync;
    /// What a key has.
    type Value: Send + Sync;

    /// What each of these keys has, in one statement.
    fn read<'a>(&'a self, keys: &'a [Self::Key]) -> BoxFuture<'a, Found<Self::Key, Self::Value>>;
}

/// What a batch answers: something for each key.
pub type Found<K, V> = HashMap<K, Result<V>, foldhash::fast::RandomState>;

/// A row that may not be there.
pub type MaybeRow<V> = Option<Arc<V>>;

/// The rows of a list.
pub type Rows<V> = Arc<Vec<V>>;

/// Makes a type with `async fn load_all(&self, keys: &[Key]) -> Found<Key, Value>` a batch, in a loader and alone.
#[macro_export]
macro_rules! batch_fn {
    ($name:ty: $key:ty => $value:ty) => {
        impl $crate::db::batch::BatchFn<$key, $crate::error::Result<$value>> for $name {
            async fn load(
                &mut self,
                keys: &[$key],
            ) -> ::std::collections::HashMap<$key, $crate::error::Result<$value>> {
                self.load_all(keys).await.into_iter().collect()
            }
        }

        impl $crate::db::batch::Batch for $name {
            type Key = $key;
            type Value = $value;

            fn read<'a>(
                &'a self,
                keys: &'a [$key],
            ) -> ::futures_util::future::BoxFuture<'a, $crate::db::batch::Found<$key, $value>> {
                ::std::boxed::Box::pin(self.load_all(keys))
            }
        }
    };
}

/// The connection of a loader: shared with others, or in turn where its statement may take its time (`slow`).
#[macro_export]
macro_rules! lane {
    ($db:expr) => {
        $db.reader().await?
    };
    ($db:expr, slow) => {
        $crate::db::Reader::from($db.slow_reader().await?)
    };
}

/// Declares a loader of at most one row a key.
///
/// `query` is a model function `async fn(&AsyncPgConnection, &[Key]) -> QueryResult<Vec<Row>>`; it shares its connection, unless
/// `slow` stands at the end.
#[macro_export]
macro_rules! row_loader {
    ($(#[$doc:meta])* $name:ident: $key:ty => $row:ty, $query:path, |$r:ident| $of:expr $(, $lane:ident)?) => {
        $(#[$doc])*
        pub struct $name(pub $crate::db::Db);

        $crate::batch_fn!($name: $key => $crate::db::batch::MaybeRow<$row>);

        impl $name {
            async fn load_all(&self, keys: &[$key]) -> $crate::db::batch::Found<$key, $crate::db::batch::MaybeRow<$row>> {
                let outcome: $crate::error::Result<Vec<$row>> = async {
                    let conn = $crate::lane!(self.0 $(, $lane)?);
                    Ok(conn.timed($query(&conn, keys)).await?)
                }.await;
                match outcome {
                    Ok(rows) => {
                        let mut found: $crate::db::batch::Found<_, _> =
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
/// `query` is a model function `async fn(&AsyncPgConnection, &[Key]) -> QueryResult<Vec<Row>>`; it shares its connection, unless
/// `slow` stands at the end.
#[macro_export]
macro_rules! rows_loader {
    ($(#[$doc:meta])* $name:ident: $key:ty => $row:ty, $query:path, |$r:ident| $of:expr $(, $lane:ident)?) => {
        $(#[$doc])*
        pub struct $name(pub $crate::db::Db);

        $crate::batch_fn!($name: $key => $crate::db::batch::Rows<$row>);

        impl $name {
            async fn load_all(&self, keys: &[$key]) -> $crate::db::batch::Found<$key, $crate::db::batch::Rows<$row>> {
                let outcome: $crate::error::Result<Vec<$row>> = async {
                    let conn = $crate::lane!(self.0 $(, $lane)?);
                    Ok(conn.timed($query(&conn, keys)).await?)
                }.await;
                match outcome {
                    Ok(rows) => {
                        let mut lists: ::std::collections::HashMap<$key, Vec<$row>, ::foldhash::fast::RandomState> =
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

#[cfg(test)]
mod tests {
    use futures_util::future::try_join_all;

    use super::*;

    /// How many keys came at once, each time.
    type Counts = Arc<Mutex<Vec<usize>>>;

    struct Doubles(Counts);

    impl BatchFn<u32, Result<u32>> for Doubles {
        async fn load(&mut self, keys: &[u32]) -> HashMap<u32, Result<u32>> {
            self.0.lock().unwrap().push(keys.len());
            // As a statement would.
            tokio::task::yield_now().await;
            keys.iter().map(|key| (*key, Ok(2 * key))).collect()
        }
    }

    fn doubles() -> (Loader<u32, u32, Doubles>, Counts) {
        let read = Counts::default();
        (Loader::new(Doubles(Arc::clone(&read))), read)
    }

    #[tokio::test]
    async fn a_level_is_read_at_once_however_long_it_is() {
        let ((parents, read_parents), (children, read_children)) = (doubles(), doubles());
        let (parents, children) = (&parents, &children);
        let level = (0..3000).map(|key| async move {
            let child = parents.load(key).await?;
            // Each of them stands twice in the next level.
            children.load(child / 4).await
        });
        let found = try_join_all(level).await.unwrap();
        assert_eq!(found[..6], [0, 0, 2, 2, 4, 4]);
        assert_eq!(*read_parents.lock().unwrap(), [3000]);
        assert_eq!(*read_children.lock().unwrap(), [1500]);
        // What is known is not read again.
        assert_eq!(children.load(7).await.unwrap(), 14);
        assert_eq!(read_children.lock().unwrap().len(), 1);
    }
}
