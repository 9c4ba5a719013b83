//! Levels: the objects of one place in the selection, for all parents together.

use std::collections::HashSet;

use async_graphql::OutputType;
use foldhash::fast::RandomState;
use futures_util::future::{BoxFuture, join_all};

use super::{
    Readable,
    compile::{Plan, Step},
    json::Json,
};
use crate::{
    db::batch::Batch,
    error::{Error, Result},
    graphql::{context::RequestContext, loaders::Loaders},
};

/// What an edge leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One object, always.
    One,
    /// One object, or `null`.
    Maybe,
    /// A list.
    List,
}

/// An edge of a plan, from objects of type `T`.
pub trait Edge<T>: Send + Sync {
    /// Reads everything below the edge, for all these parents at once.
    fn follow<'plan: 'a, 'a>(
        &'plan self,
        request: &'a RequestContext,
        parents: &'a [T],
    ) -> BoxFuture<'a, Result<Box<dyn Level + 'plan>>>;
}

/// What was read below an edge.
pub trait Level: Send + Sync {
    /// Writes what belongs to this parent.
    fn write(&self, parent: usize, request: &RequestContext, json: &mut Json);
}

impl<T: Readable> Plan<T> {
    /// Reads what the edges lead to, all of them side by side.
    pub(super) async fn follow<'plan>(
        &'plan self,
        request: &RequestContext,
        rows: &[T],
    ) -> Result<Vec<Box<dyn Level + 'plan>>> {
        match self.edges.as_slice() {
            [] => Ok(Vec::new()),
            [only] => Ok(vec![only.follow(request, rows).await?]),
            // All to their end: what else could not be read is to be known too.
            edges => {
                let levels = edges.iter().map(|edge| edge.follow(request, rows));
                join_all(levels).await.into_iter().collect()
            }
        }
    }

    /// Writes one object; `index` is its place among those for which the edges were followed.
    pub(super) fn write(
        &self,
        row: &T,
        index: usize,
        edges: &[Box<dyn Level + '_>],
        request: &RequestContext,
        json: &mut Json,
    ) {
        for field in &self.fields {
            json.raw(&field.before);
            match &field.read {
                Step::TypeName => json.text(&T::Object::type_name()),
                Step::Leaf(write) => write(row, request, json),
                Step::Edge(edge) => match edges.get(*edge) {
                    Some(level) => level.write(index, request, json),
                    None => json.fail(),
                },
            }
        }
        json.raw("}");
    }
}

/// The children of several parents, one parent's after the other's.
pub(super) struct Families<C> {
    children: Vec<C>,
    /// Where each parent's children end.
    ends: Vec<usize>,
}

impl<C> Families<C> {
    fn of(parents: usize) -> Self {
        Self {
            children: Vec::with_capacity(parents),
            ends: Vec::with_capacity(parents),
        }
    }

    /// The children of the next parent have been added.
    fn end(&mut self, shape: Shape) -> Result<()> {
        let begin = self.ends.last().copied().unwrap_or_default();
        let count = self.children.len() - begin;
        let right = match shape {
            Shape::One => count == 1,
            Shape::Maybe => count <= 1,
            Shape::List => true,
        };
        self.ends.push(self.children.len());
        let wrong = || Error::internal(format!("an edge to one object leads to {count}"));
        right.then_some(()).ok_or_else(wrong)
    }
}

/// Where the children of parents come from.
pub(super) trait Source<T, C>: Send + Sync {
    /// The children of each parent.
    fn children<'a>(
        &'a self,
        shape: Shape,
        request: &'a RequestContext,
        parents: &'a [T],
    ) -> BoxFuture<'a, Result<Families<C>>>;
}

/// An edge to objects that the parent holds.
pub(super) struct Held<F>(pub(super) F);

impl<T, C, F> Source<T, C> for Held<F>
where
    T: Sync,
    C: Send,
    F: Fn(&T, &RequestContext, &mut Vec<C>) -> Result<()> + Send + Sync,
{
    fn children<'a>(
        &'a self,
        shape: Shape,
        request: &'a RequestContext,
        parents: &'a [T],
    ) -> BoxFuture<'a, Result<Families<C>>> {
        Box::pin(async move {
            let mut families = Families::of(parents.len());
            for parent in parents {
                (self.0)(parent, request, &mut families.children)?;
                families.end(shape)?;
            }
            Ok(families)
        })
    }
}

/// An edge to objects that one statement reads.
pub(super) struct Loaded<K, M, F> {
    pub(super) key: K,
    pub(super) batch: M,
    pub(super) fail: fn(&Loaders, &Error),
    pub(super) fill: F,
}

impl<T, C, B, K, M, F> Source<T, C> for Loaded<K, M, F>
where
    T: Sync,
    C: Send,
    B: Batch,
    K: Fn(&T) -> Option<B::Key> + Send + Sync,
    M: Fn(&RequestContext) -> B + Send + Sync,
    F: Fn(&T, &B::Value, &RequestContext, &mut Vec<C>) -> Result<()> + Send + Sync,
{
    fn children<'a>(
        &'a self,
        shape: Shape,
        request: &'a RequestContext,
        parents: &'a [T],
    ) -> BoxFuture<'a, Result<Families<C>>> {
        Box::pin(async move {
            let keys: Vec<Option<B::Key>> = parents.iter().map(&self.key).collect();
            let mut seen = HashSet::with_capacity_and_hasher(keys.len(), RandomState::default());
            let asked: Vec<B::Key> = keys
                .iter()
                .flatten()
                .filter(|key| seen.insert(*key))
                .cloned()
                .collect();
            let mut families = Families::of(parents.len());
            let found = if asked.is_empty() {
                Default::default()
            } else {
                (self.batch)(request).read(&asked).await
            };
            for (parent, key) in parents.iter().zip(&keys) {
                if let Some(key) = key {
                    let value = found
                        .get(key)
                        .ok_or_else(|| Error::internal("a batch left a key out"))?;
                    let value = value.as_ref().map_err(|error| {
                        (self.fail)(request.loaders(), error);
                        error.clone()
                    })?;
                    (self.fill)(parent, value, request, &mut families.children)?;
                }
                families.end(shape)?;
            }
            Ok(families)
        })
    }
}

/// An edge whose children come from `source` and are read on by `plan`.
pub(super) struct Follow<C, S> {
    pub(super) plan: Plan<C>,
    pub(super) shape: Shape,
    pub(super) source: S,
}

impl<T, C, S> Edge<T> for Follow<C, S>
where
    T: Readable,
    C: Readable,
    S: Source<T, C>,
{
    fn follow<'plan: 'a, 'a>(
        &'plan self,
        request: &'a RequestContext,
        parents: &'a [T],
    ) -> BoxFuture<'a, Result<Box<dyn Level + 'plan>>> {
        Box::pin(async move {
            let families = self.source.children(self.shape, request, parents).await?;
            let edges = self.plan.follow(request, &families.children).await?;
            let level: Box<dyn Level + 'plan> = Box::new(Below {
                plan: &self.plan,
                shape: self.shape,
                families,
                edges,
            });
            Ok(level)
        })
    }
}

/// The children of an edge with what lies below them.
struct Below<'plan, C> {
    plan: &'plan Plan<C>,
    shape: Shape,
    families: Families<C>,
    edges: Vec<Box<dyn Level + 'plan>>,
}

impl<C: Readable> Level for Below<'_, C> {
    fn write(&self, parent: usize, request: &RequestContext, json: &mut Json) {
        let Families { children, ends } = &self.families;
        let begin = parent
            .checked_sub(1)
            .and_then(|before| ends.get(before).copied())
            .unwrap_or_default();
        let end = ends.get(parent).copied().unwrap_or(begin);
        let mut place = begin;
        let mut family = children.iter().skip(begin).take(end - begin);
        let mut next = |json: &mut Json| {
            let child = family.next()?;
            self.plan.write(child, place, &self.edges, request, json);
            place += 1;
            Some(())
        };
        match self.shape {
            Shape::One | Shape::Maybe => next(json).unwrap_or_else(|| json.null()),
            Shape::List => {
                json.raw("[");
                for at in begin..end {
                    if at > begin {
                        json.raw(",");
                    }
                    next(json);
                }
                json.raw("]");
            }
        }
    }
}
