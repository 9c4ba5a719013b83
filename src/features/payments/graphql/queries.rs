//! Queries of payments.

use async_graphql::{Context, ID, Object};

use super::{inputs::OrderFilter, types::Order};
use crate::{
    cursor::{PageArgs, Slice},
    error::Result,
    features::payments::{
        model::{self, Filter},
        service,
    },
    graphql::{args, connection::Connection, context::ContextExt},
};

/// The name of the lists' order in cursors.
const ORDER: &str = "order.created";

/// A page of the viewer's own orders, the newest first; for `Me.orders`.
pub async fn mine(ctx: &Context<'_>, args: PageArgs) -> Result<Connection<Order>> {
    let page = args.page(ORDER)?;
    let count = ctx.selects("totalCount");
    connection(service::mine(ctx.app(), ctx.viewer(), &page, count).await?)
}

fn connection(slice: Slice<model::Order>) -> Result<Connection<Order>> {
    Ok(Connection::of(
        slice,
        ORDER,
        |row| (row.created_at, row.id),
        Order,
    ))
}

/// Queries of payments.
#[derive(Default)]
pub struct PaymentQueries;

#[Object]
impl PaymentQueries {
    /// An order; null when there is none or you may not see it.
    async fn order(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The order (`ord_…`).")] id: ID,
    ) -> Result<Option<Order>> {
        match args::maybe_id(&id) {
            Some(id) => Order::by_id(ctx, id).await,
            None => Ok(None),
        }
    }

    /// Orders of everyone, the newest first.
    async fn orders(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which orders; all without it.")] filter: Option<OrderFilter>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without.")] first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Option<Connection<Order>>> {
        let page = PageArgs::new(first, after, last, before).page(ORDER)?;
        let OrderFilter {
            needs_attention,
            state,
        } = filter.unwrap_or_default();
        let filter = Filter {
            client: None,
            state: state.map(Into::into),
            needs_attention,
        };
        let count = ctx.selects("totalCount");
        connection(service::list(ctx.app(), filter, &page, count).await?).map(Some)
    }
}
