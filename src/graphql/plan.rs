//! Read plans: how the hot lists are answered.
//!
//! A resolver that returns [`Planned`] hands over typed rows, and the plan does what execution would do below them, with
//! far less work:
//!
//! 1. the selection is compiled once (`compile`) into a tree of what to write and which edges to follow;
//! 2. each edge of a level is read for all of its rows at once, the edges side by side (`level`);
//! 3. one pass over the rows writes JSON ([`json`]), which the HTTP layer copies into the answer as it is.
//!
//! A type takes part by [`Readable`], next to its resolvers. Several may stand for one object of the schema: rows with
//! all of its columns, and cards with the few that lists show, which are tried first.
//! The plan must give what they give, byte for byte, and does
//! so only while all goes well: a field that it doesn't know, a row that is missing, a statement that fails – and the
//! resolvers answer instead, with their nulls, errors and paths. `tests/it/read_plans.rs` compares the two on random
//! selections.

mod compile;
pub mod json;
mod level;
mod merge;

use std::borrow::Cow;

use async_graphql::{
    Context, ContextSelectionSet, OutputType, Positioned, ServerResult, Value,
    parser::types::Field, registry::Registry,
};

use bytes::Bytes;

use self::{compile::Plan, json::Json};
pub use self::{
    compile::{Read, Selected},
    level::Shape,
};
use super::context::RequestContext;
use crate::{
    db::stats::plan_written,
    error::{Error, Result},
};

/// Rows that a plan can read on from and write: an object of the schema, or those of its columns that lists show.
pub trait Readable: Sized + Send + Sync + 'static {
    /// The object in the schema.
    type Object: OutputType;

    /// How a selected field is read; nothing for one that only its resolver can answer.
    fn read(field: &Selected<'_>) -> Option<Read<Self>>;
}

/// A value that is answered by a plan, or by its resolvers where no plan can: of the root, or below it where no list is on
/// the way (`merge`).
pub enum Planned<T> {
    /// Rows that a plan is still to be tried for.
    Rows(T),
    /// What a plan has written.
    Json(Bytes),
    /// Rows whose plan failed: their resolvers answer.
    Plain(T),
}

impl<T: OutputType> Planned<T> {
    /// Reads `cards` where they have all that is selected, and `rows` where they have not.
    pub async fn narrow<C: Readable<Object = T>>(
        ctx: &Context<'_>,
        cards: impl Future<Output = Result<C>>,
        rows: impl Future<Output = Result<T>>,
    ) -> Result<Self> {
        let below = ctx.with_selection_set(&ctx.item.node.selection_set);
        let Some(plan) = plan::<C>(&below) else {
            return rows.await.map(Self::Rows);
        };
        match written(&plan, &cards.await?, &below).await {
            Some(json) => Ok(Self::Json(json.into())),
            None => rows.await.map(Self::Plain),
        }
    }
}

#[async_trait::async_trait]
impl<T: Readable + OutputType> OutputType for Planned<T> {
    fn type_name() -> Cow<'static, str> {
        T::type_name()
    }

    fn qualified_type_name() -> String {
        T::qualified_type_name()
    }

    fn introspection_type_name(&self) -> Cow<'static, str> {
        T::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry)
    }

    async fn resolve(
        &self,
        ctx: &ContextSelectionSet<'_>,
        field: &Positioned<Field>,
    ) -> ServerResult<Value> {
        let rows = match self {
            Self::Json(json) => return Ok(Value::Binary(json.clone())),
            Self::Plain(rows) => return rows.resolve(ctx, field).await,
            Self::Rows(rows) => rows,
        };
        let json = match plan(ctx) {
            Some(plan) => written(&plan, rows, ctx).await,
            None => None,
        };
        match json {
            Some(json) => Ok(Value::Binary(json.into())),
            None => rows.resolve(ctx, field).await,
        }
    }
}

/// The plan for what is selected of a `T`; nothing where the resolvers must answer.
fn plan<T: Readable>(ctx: &ContextSelectionSet<'_>) -> Option<Plan<T>> {
    let request = ctx.data_unchecked::<RequestContext>();
    (request.app.config.read_plans && merge::is_alone(ctx))
        .then(|| Plan::of(ctx))
        .flatten()
}

/// The JSON of `value` as it is planned; nothing where the resolvers must answer.
async fn written<T: Readable>(
    plan: &Plan<T>,
    value: &T,
    ctx: &ContextSelectionSet<'_>,
) -> Option<Vec<u8>> {
    let request = ctx.data_unchecked::<RequestContext>();
    let rows = std::slice::from_ref(value);
    // A failed statement is the resolvers' to report, who know where in the answer it belongs. They read again what could be
    // read; what could not, their loaders know.
    let edges = match plan.follow(request, rows).await {
        Ok(edges) => edges,
        Err(error) => {
            // A plan that is wrong would show in nothing but its cost.
            if matches!(error, Error::Internal(_)) {
                tracing::warn!(?error, of = %T::Object::type_name(), "a read plan failed");
            }
            return None;
        }
    };
    let mut json = Json::default();
    plan.write(rows.first()?, 0, &edges, request, &mut json);
    let json = json.finish();
    match json {
        Some(_) => plan_written(),
        None => tracing::warn!(of = %T::Object::type_name(), "a read plan wrote no JSON"),
    }
    json
}
