//! Relay connections over keyset pages.

use std::borrow::Cow;

use async_graphql::{OutputType, SimpleObject, TypeName};
use serde::Serialize;

use crate::{cursor, error::Result};

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

/// A page of a list that can grow.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(name_type)]
pub struct Connection<T: OutputType> {
    /// The nodes with their cursors.
    pub edges: Vec<Edge<T>>,
    /// The nodes alone.
    pub nodes: Vec<T>,
    /// Where this page lies in the list.
    pub page_info: PageInfo,
    /// How many there are in all, up to 10 000; null beyond. Costs one more statement.
    pub total_count: Option<i32>,
}

impl<T: OutputType> TypeName for Connection<T> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Connection", <T as OutputType>::type_name()).into()
    }
}

impl<T: OutputType + Clone> Connection<T> {
    /// From a page of rows: the name of its order, a row's cursor values (ending in the id), and a row's node.
    pub fn of<R, K: Serialize>(
        slice: cursor::Slice<R>,
        order: &str,
        values: impl Fn(&R) -> K,
        node: impl Fn(R) -> T,
    ) -> Result<Self> {
        let cursor::Slice {
            rows,
            has_next,
            has_previous,
            total,
        } = slice;
        let mut edges = Vec::with_capacity(rows.len());
        for row in rows {
            let cursor = cursor::encode(order, &values(&row))?;
            edges.push(Edge {
                cursor,
                node: node(row),
            });
        }
        Ok(Self {
            nodes: edges.iter().map(|edge| edge.node.clone()).collect(),
            page_info: PageInfo {
                has_next_page: has_next,
                has_previous_page: has_previous,
                start_cursor: edges.first().map(|edge| edge.cursor.clone()),
                end_cursor: edges.last().map(|edge| edge.cursor.clone()),
            },
            edges,
            total_count: total.and_then(|total| i32::try_from(total).ok()),
        })
    }
}
