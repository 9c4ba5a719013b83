//! Finding bookings.

use async_graphql::{Context, ID, Object};

use super::{
    inputs::{BookingsFilter, BookingsOfFilter},
    types::{Booking, BookingCancelQuote},
};
use crate::{
    cursor::PageArgs,
    db::ids::{BookingId, ProviderId, UserId},
    error::Result,
    features::bookings::{
        model::pages::Filter,
        service::{self, Order},
    },
    graphql::{args, connection::Connection, context::ContextExt},
};

/// `me.bookings`: what this person booked, the latest start first.
pub async fn bookings_of_client(
    ctx: &Context<'_>,
    client: UserId,
    filter: Option<BookingsOfFilter>,
    page: PageArgs,
) -> Result<Connection<Booking>> {
    let filter = Filter {
        client_id: Some(client),
        ..filter.unwrap_or_default().into()
    };
    list(ctx, &filter, Order::Start, page).await
}

/// `me.provider.bookings`: what a provider is booked for, the latest start first. The caller has checked that the
/// viewer may see it.
pub async fn bookings_of_provider(
    ctx: &Context<'_>,
    provider: ProviderId,
    filter: Option<BookingsOfFilter>,
    page: PageArgs,
) -> Result<Connection<Booking>> {
    let filter = Filter {
        provider_id: Some(provider),
        ..filter.unwrap_or_default().into()
    };
    list(ctx, &filter, Order::Start, page).await
}

async fn list(
    ctx: &Context<'_>,
    filter: &Filter,
    order: Order,
    page: PageArgs,
) -> Result<Connection<Booking>> {
    let page = page
        .with_page_info(ctx.selects("pageInfo"))
        .page(order.name())?;
    let count = ctx.selects("totalCount");
    let slice = service::page(ctx.app(), filter, order, &page, count).await?;
    Ok(Connection::of(
        slice,
        order.name(),
        move |row| order.place(row),
        Booking,
    ))
}

/// Queries of bookings.
#[derive(Default)]
pub struct BookingQueries;

#[Object]
impl BookingQueries {
    /// A booking of yours, or any for staff with `bookings:read`; null when there is none or you may not see it.
    async fn booking(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The booking (`bkg_…`).")] id: ID,
    ) -> Result<Option<Booking>> {
        match args::maybe_id::<BookingId>(&id) {
            Some(id) => Booking::by_id(ctx, id).await,
            None => Ok(None),
        }
    }

    /// Finds bookings, the latest request first. An id that is none finds nothing.
    async fn bookings(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which ones; all without.")] filter: Option<BookingsFilter>,
        #[graphql(desc = "How many from the start, 1 to 100; 20 without.")] first: Option<i32>,
        #[graphql(desc = "Only what follows this cursor.")] after: Option<String>,
        #[graphql(desc = "How many from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only what precedes this cursor.")] before: Option<String>,
    ) -> Result<Option<Connection<Booking>>> {
        let page = PageArgs::new(first, after, last, before);
        let filter = filter.unwrap_or_default().read();
        let nothing = || Filter {
            states: Some(Vec::new()),
            ..Filter::default()
        };
        list(ctx, &filter.unwrap_or_else(nothing), Order::Creation, page)
            .await
            .map(Some)
    }

    /// What cancelling a booking would cost you now: exactly what `bookingCancel` then does. Null when you may not
    /// cancel it now (`Booking.viewerActions` says why) or not see it.
    async fn booking_cancel_quote(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The booking (`bkg_…`).")] id: ID,
    ) -> Result<Option<BookingCancelQuote>> {
        let Some(id) = args::maybe_id::<BookingId>(&id) else {
            return Ok(None);
        };
        let quote = service::quote(ctx.app(), ctx.viewer(), id).await?;
        Ok(quote.map(Into::into))
    }
}
