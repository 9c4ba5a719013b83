//! Queries of providers.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use super::{Provider, ProviderFilter, ProviderSort, ProviderStatus, plan::ProviderCard};
use crate::{
    cursor::{PageArgs, Slice},
    error::Result,
    features::providers::{
        model::{APPLICATIONS, ListedProvider, Order},
        service,
    },
    graphql::{args, connection::Connection, context::ContextExt, plan::Planned},
};

/// A page of what a search found.
fn found<R: ListedProvider + Send + Sync + 'static, T: Clone>(
    slice: Slice<R>,
    order: &Order,
    node: impl Fn(Arc<R>) -> T,
) -> Connection<T> {
    let (name, order) = (order.name(), order.clone());
    Connection::of(slice, name, move |row| order.values(row), node)
}

/// Queries of providers.
#[derive(Default)]
pub struct ProviderQueries;

#[Object]
impl ProviderQueries {
    /// Approved providers. A cursor belongs to its `sort` and may be used with another filter.
    async fn providers(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which ones; all without.")] filter: Option<ProviderFilter>,
        #[graphql(desc = "How to sort.", default_with = "ProviderSort::Rating")] sort: ProviderSort,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without.")] first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Planned<Connection<Provider>>> {
        let page =
            PageArgs::new(first, after, last, before).with_page_info(ctx.selects("pageInfo"));
        let search = filter.unwrap_or_default().into();
        let count = ctx.selects("totalCount");
        let query = service::search(ctx.app(), search, sort.into(), &page, count)?;
        let cards = async {
            let cards = query.page(ctx.app()).await?;
            Ok(found(cards, &query.order, ProviderCard))
        };
        let rows = async {
            let rows = query.page(ctx.app()).await?;
            Ok(found(rows, &query.order, Provider))
        };
        // Boxed, or the future of every field of `Query` would be as large as the search's, and be moved as often as it is
        // wrapped.
        Box::pin(Planned::narrow(ctx, cards, rows)).await
    }

    /// One provider; null when there is none with this id or you may not know of it.
    async fn provider(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The provider (`prv_…`).")] id: ID,
    ) -> Result<Option<Planned<Provider>>> {
        match args::maybe_id(&id) {
            Some(id) => Ok(Provider::by_id(ctx, id).await?.map(Planned::Rows)),
            None => Ok(None),
        }
    }

    /// Profiles in a state, who applied first comes first. Nothing sorts as null.
    async fn provider_applications(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "In which state; those that wait without.",
            default_with = "ProviderStatus::Pending"
        )]
        status: ProviderStatus,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without.")] first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Option<Connection<Provider>>> {
        let page = PageArgs::new(first, after, last, before);
        let count = ctx.selects("totalCount");
        let slice = service::applications(ctx.app(), status.into(), &page, count).await?;
        Ok(Some(Connection::of(
            slice,
            APPLICATIONS,
            |row| (row.applied_at, row.id),
            Provider,
        )))
    }
}
