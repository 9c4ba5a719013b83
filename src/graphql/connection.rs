//! Relay connections over keyset pages.

use std::{borrow::Cow, sync::Arc};

use async_graphql::{Object, OutputType, SimpleObject, TypeName};
use serde::Serialize;

use super::plan::{Read, Readable, Selected, Shape};
use crate::{
    cursor,
    error::{Error, Result},
};

/// Where this page lies in the list.
#[derive(Clone, Debug, SimpleObject)]
pub struct PageInfo {
    /// Whether more follows after `endCursor`.
    pub has_next_page: bool,
    /// Whether more precedes `startCursor`.
    pub has_previous_page: bool,
    /// The cursor of the first node; null on an empty page.
    pub start_cursor: Option<String>,
    /// The cursor of the last node; null on an empty page.
    pub end_cursor: Option<String>,
}

/// A node and its place in the list.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(name_type)]
pub struct Edge<T: OutputType> {
    /// Opaque; pass it as `after` or `before`. It belongs to this order alone.
    pub cursor: String,
    /// The object.
    pub node: T,
}

impl<T: OutputType> TypeName for Edge<T> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Edge", <T as OutputType>::type_name()).into()
    }
}

/// What an [`Edge`] is made of, whatever the node.
struct Placed<T> {
    cursor: String,
    node: T,
}

/// Says the cursor of the row at a place of the page.
type CursorAt = Arc<dyn Fn(usize) -> Result<String> + Send + Sync>;

/// A page of a list that can grow. Cursors are made where they are asked for.
#[derive(Clone)]
pub struct Connection<T> {
    nodes: Vec<T>,
    cursor_at: CursorAt,
    has_next: bool,
    has_previous: bool,
    total: Option<i32>,
}

impl<T: OutputType> TypeName for Connection<T> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Connection", <T as OutputType>::type_name()).into()
    }
}

impl<T: Clone> Connection<T> {
    /// From a page of rows: the name of its order, a row's cursor values (ending in the id), and a row's node.
    pub fn of<R: Send + Sync + 'static, K: Serialize>(
        slice: cursor::Slice<R>,
        order: &'static str,
        values: impl Fn(&R) -> K + Send + Sync + 'static,
        node: impl Fn(Arc<R>) -> T,
    ) -> Self {
        Self::of_shared(&slice.shared(), order, values, node)
    }

    /// The same from rows that others have, too.
    pub fn of_shared<R: Send + Sync + 'static, K: Serialize>(
        slice: &cursor::Slice<Arc<R>>,
        order: &'static str,
        values: impl Fn(&R) -> K + Send + Sync + 'static,
        node: impl Fn(Arc<R>) -> T,
    ) -> Self {
        let rows = slice.rows.clone();
        let cursor_at = move |place: usize| {
            let row = rows.get(place).ok_or_else(|| Error::internal("no row"))?;
            cursor::encode(order, &values(row))
        };
        Self {
            nodes: slice.rows.iter().cloned().map(node).collect(),
            cursor_at: Arc::new(cursor_at),
            has_next: slice.has_next,
            has_previous: slice.has_previous,
            total: slice.total.and_then(|total| i32::try_from(total).ok()),
        }
    }

    fn placed(&self) -> impl Iterator<Item = Result<Placed<T>>> {
        let numbered = self.nodes.iter().enumerate();
        numbered.map(|(place, node)| {
            let (cursor, node) = ((self.cursor_at)(place)?, node.clone());
            Ok(Placed { cursor, node })
        })
    }

    fn info(&self) -> Result<PageInfo> {
        let last = self.nodes.len().checked_sub(1);
        let cursor = |place: Option<usize>| place.map(|place| (self.cursor_at)(place)).transpose();
        Ok(PageInfo {
            has_next_page: self.has_next,
            has_previous_page: self.has_previous,
            start_cursor: cursor(last.map(|_| 0))?,
            end_cursor: cursor(last)?,
        })
    }
}

/// A page of a list that can grow.
#[Object(name_type)]
impl<T: OutputType + Clone> Connection<T> {
    /// The nodes with their cursors.
    async fn edges(&self) -> Result<Vec<Edge<T>>> {
        self.placed()
            .map(|placed| placed.map(|Placed { cursor, node }| Edge { cursor, node }))
            .collect()
    }

    /// The nodes alone.
    async fn nodes(&self) -> &[T] {
        &self.nodes
    }

    /// Where this page lies in the list.
    async fn page_info(&self) -> Result<PageInfo> {
        self.info()
    }

    /// How many there are in all, up to 10 000; null beyond. Costs one more statement.
    async fn total_count(&self) -> Option<i32> {
        self.total
    }
}

impl<T: Readable + Clone> Readable for Connection<T>
where
    T::Object: Clone,
{
    type Object = Connection<T::Object>;

    fn read(field: &Selected<'_>) -> Option<Read<Self>> {
        match field.name() {
            "nodes" => field.held(Shape::List, |page: &Self, _, nodes: &mut Vec<T>| {
                nodes.extend_from_slice(&page.nodes);
                Ok(())
            }),
            "edges" => field.held(Shape::List, |page: &Self, _, edges| {
                for placed in page.placed() {
                    edges.push(placed?);
                }
                Ok(())
            }),
            "pageInfo" => field.held(Shape::One, |page: &Self, _, info| {
                info.push(page.info()?);
                Ok(())
            }),
            "totalCount" => Some(Read::Leaf(|page, _, json| {
                json.maybe(page.total, |json, total| json.int(total.into()));
            })),
            _ => None,
        }
    }
}

impl<T: Readable + Clone> Readable for Placed<T> {
    type Object = Edge<T::Object>;

    fn read(field: &Selected<'_>) -> Option<Read<Self>> {
        match field.name() {
            "cursor" => Some(Read::Leaf(|edge, _, json| json.text(&edge.cursor))),
            "node" => field.held(Shape::One, |edge: &Self, _, nodes| {
                nodes.push(edge.node.clone());
                Ok(())
            }),
            _ => None,
        }
    }
}

impl Readable for PageInfo {
    type Object = Self;

    fn read(field: &Selected<'_>) -> Option<Read<Self>> {
        Some(Read::Leaf(match field.name() {
            "hasNextPage" => |info, _, json| json.bool(info.has_next_page),
            "hasPreviousPage" => |info, _, json| json.bool(info.has_previous_page),
            "startCursor" => |info, _, json| json.maybe_text(info.start_cursor.as_deref()),
            "endCursor" => |info, _, json| json.maybe_text(info.end_cursor.as_deref()),
            _ => return None,
        }))
    }
}
