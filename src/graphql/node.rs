//! `node(id)` and `nodes(ids)`: every public type by its typed id.

use async_graphql::{Context, ID, Interface, Object};
use futures_util::future::try_join_all;

use super::{args, context::ContextExt};
use crate::{
    db::ids::{
        BookingId, CategoryId, CityId, MediaId, OrderId, ProviderId, ProviderMediaId,
        ProviderServiceId, ReportId, ReviewId, ServiceId, TypedId, UserId,
    },
    error::Result,
    features::{
        bookings::graphql::Booking,
        catalog::graphql::{Category, City, Service},
        media::graphql::{Media, ProviderMedia},
        payments::graphql::Order,
        providers::graphql::{Provider, ProviderService},
        reports::graphql::Report,
        reviews::graphql::Review,
        users::graphql::User,
    },
};

/// An object with an identity.
#[derive(Interface)]
#[graphql(field(
    name = "id",
    ty = "ID",
    desc = "Identity: the type's prefix and a UUID in base 32."
))]
pub enum Node {
    /// A person.
    User(User),
    /// An order.
    Order(Order),
    /// A public picture.
    Media(Media),
    /// A picture in a provider's portfolio.
    ProviderMedia(ProviderMedia),
    /// A review.
    Review(Review),
    /// A report to staff.
    Report(Report),
    /// A category of services.
    Category(Category),
    /// A city.
    City(City),
    /// A service of the catalog.
    Service(Service),
    /// A provider.
    Provider(Provider),
    /// A provider's price for a service.
    ProviderService(ProviderService),
    /// A booking.
    Booking(Booking),
}

/// The object of this id, as far as the viewer may see it.
async fn load(ctx: &Context<'_>, id: &ID) -> Result<Option<Node>> {
    let Some((prefix, _)) = id.split_once('_') else {
        return Ok(None);
    };
    Ok(match prefix {
        UserId::PREFIX => match args::maybe_id::<UserId>(id) {
            Some(user) => ctx
                .loaders()
                .users
                .load(user)
                .await?
                .map(|row| Node::User(User(row))),
            None => None,
        },
        MediaId::PREFIX => match args::maybe_id(id) {
            Some(id) => Media::by_id(ctx, id).await?.map(Node::Media),
            None => None,
        },
        ProviderMediaId::PREFIX => match args::maybe_id(id) {
            Some(id) => ProviderMedia::by_id(ctx, id)
                .await?
                .map(Node::ProviderMedia),
            None => None,
        },
        ReviewId::PREFIX => match args::maybe_id(id) {
            Some(review) => Review::by_id(ctx, review).await?.map(Node::Review),
            None => None,
        },
        ReportId::PREFIX => match args::maybe_id(id) {
            Some(report) => Report::by_id(ctx, report).await?.map(Node::Report),
            None => None,
        },
        CategoryId::PREFIX => match args::maybe_id(id) {
            Some(id) => Category::by_id(ctx, id).await?.map(Node::Category),
            None => None,
        },
        CityId::PREFIX => match args::maybe_id(id) {
            Some(id) => City::by_id(ctx, id).await?.map(Node::City),
            None => None,
        },
        ServiceId::PREFIX => match args::maybe_id(id) {
            Some(id) => Service::by_id(ctx, id).await?.map(Node::Service),
            None => None,
        },
        ProviderId::PREFIX => match args::maybe_id(id) {
            Some(id) => Provider::by_id(ctx, id).await?.map(Node::Provider),
            None => None,
        },
        ProviderServiceId::PREFIX => match args::maybe_id(id) {
            Some(id) => ProviderService::by_id(ctx, id)
                .await?
                .map(Node::ProviderService),
            None => None,
        },
        OrderId::PREFIX => match args::maybe_id::<OrderId>(id) {
            Some(order) => Order::by_id(ctx, order).await?.map(Node::Order),
            None => None,
        },
        BookingId::PREFIX => match args::maybe_id(id) {
            Some(id) => Booking::by_id(ctx, id).await?.map(Node::Booking),
            None => None,
        },
        _ => None,
    })
}

/// Queries of any object.
#[derive(Default)]
pub struct NodeQueries;

#[Object]
impl NodeQueries {
    /// The object of this id; null when there is none, it is malformed, or you may not see it.
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Any typed id.")] id: ID,
    ) -> Result<Option<Node>> {
        load(ctx, &id).await
    }

    /// The objects of these ids, in their order; null for each that `node` would answer with null.
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Any typed ids, at most 100.")] ids: Vec<ID>,
    ) -> Result<Vec<Option<Node>>> {
        try_join_all(ids.iter().map(|id| load(ctx, id))).await
    }
}
