//! `node(id)` and `nodes(ids)`: every public type by its typed id.

use async_graphql::{Context, ID, Interface, Object};
use futures_util::future::try_join_all;

use super::args;
use crate::{
    db::ids::{
        AuditEventId, AvailabilityId, BookingEventId, BookingId, BookingProposalId, CategoryId,
        CheckoutId, CityId, MediaId, OrderId, PermissionId, ProviderId, ProviderMediaId,
        ProviderServiceId, RefundId, ReportId, ReviewId, RoleId, ServiceId, SessionId, TypedId,
        UserId,
    },
    error::Result,
    features::{
        accounts::graphql::Session,
        audit::graphql::AuditEvent,
        availabilities::graphql::Availability,
        bookings::graphql::{Booking, BookingEvent, BookingProposal},
        catalog::graphql::{Category, City, Service},
        media::graphql::{Media, ProviderMedia},
        payments::graphql::{Checkout, Order, Refund},
        providers::graphql::{Provider, ProviderService},
        reports::graphql::Report,
        reviews::graphql::Review,
        roles::graphql::{Permission, Role},
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
    /// A sign-in on a device.
    Session(Session),
    /// An order.
    Order(Order),
    /// A session at the payment service.
    Checkout(Checkout),
    /// Money that goes back.
    Refund(Refund),
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
    /// A bookable window.
    Availability(Availability),
    /// A booking.
    Booking(Booking),
    /// A proposal to move a booking.
    BookingProposal(BookingProposal),
    /// An entry of a booking's history.
    BookingEvent(BookingEvent),
    /// A role; for staff.
    Role(Role),
    /// A permission; for staff.
    Permission(Permission),
    /// An entry of the audit trail; for staff.
    AuditEvent(AuditEvent),
}

/// What the `by_id` of the type with the id's prefix answers.
macro_rules! by_prefix {
    ($ctx:ident, $id:ident: $($key:ident => $object:ident,)*) => {
        match $id.split_once('_') {
            $(Some(($key::PREFIX, _)) => match args::maybe_id::<$key>($id) {
                Some(key) => $object::by_id($ctx, key).await?.map(Node::$object),
                None => None,
            },)*
            _ => None,
        }
    };
}

/// The object of this id, as far as the viewer may see it.
async fn load(ctx: &Context<'_>, id: &ID) -> Result<Option<Node>> {
    Ok(by_prefix! { ctx, id:
        UserId => User,
        SessionId => Session,
        OrderId => Order,
        CheckoutId => Checkout,
        RefundId => Refund,
        MediaId => Media,
        ProviderMediaId => ProviderMedia,
        ReviewId => Review,
        ReportId => Report,
        CategoryId => Category,
        CityId => City,
        ServiceId => Service,
        ProviderId => Provider,
        ProviderServiceId => ProviderService,
        AvailabilityId => Availability,
        BookingId => Booking,
        BookingProposalId => BookingProposal,
        BookingEventId => BookingEvent,
        RoleId => Role,
        PermissionId => Permission,
        AuditEventId => AuditEvent,
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
