//! The set of loaders, made for each request.

use std::sync::Arc;

use crate::{
    app::App,
    db::{
        batch::{Loader, MaybeRow, Rows},
        ids::{
            AuditEventId, AvailabilityId, BookingEventId, BookingId, BookingProposalId, CategoryId,
            CityId, MediaId, ProviderId, ProviderMediaId, ProviderServiceId, ReportId, ReviewId,
            ServiceId, SessionId, UserId,
        },
    },
    features::{
        accounts::{loaders::SessionById, model::Session},
        audit::{loaders::AuditEventById, model::AuditEvent},
        availabilities::{
            loaders::{SlotsByProvider, WindowById, WindowsByProvider, WindowsOf},
            model::Availability,
            service::{Slot, SlotsOf},
            slots::Grid,
        },
        bookings::{
            loaders::{BookingById, BookingEvents, EventById, LatestProposal, ProposalById},
            model::{Booking, BookingEvent, BookingProposal},
        },
        catalog::{
            loaders::{CategoryById, CityById, ServiceById},
            model::{Category, City, Service},
        },
        media::{
            loaders::{MediaById, PortfolioItemById, PortfolioOfProvider},
            model::{Media, PortfolioItem},
        },
        payments::loaders::PaymentLoaders,
        providers::{
            loaders::{
                CompletedOfProvider, PriceById, PricesOfProvider, ProviderById, ProviderOfUser,
                RatingsOfProvider,
            },
            model::{CompletedBookings, PricedService, Provider, RatingCount},
        },
        reports::{loaders::ReportById, model::Report},
        reviews::{
            loaders::{ReviewById, ReviewOfBooking, ReviewPage, ReviewsKey, ReviewsOfProvider},
            model::Review,
        },
        roles::loaders::RoleLoaders,
        users::{loaders::UserById, model::User},
    },
};

/// One loader for each edge of the graph.
pub struct Loaders {
    /// People by id.
    pub users: Loader<UserId, MaybeRow<User>, UserById>,
    /// Sessions by id, whosever they are: the reader checks.
    pub sessions: Loader<SessionId, MaybeRow<Session>, SessionById>,
    /// Orders and what hangs on them.
    pub payments: PaymentLoaders,
    /// Entries of the audit trail by id: the reader checks who may see them.
    pub audit_events: Loader<AuditEventId, MaybeRow<AuditEvent>, AuditEventById>,
    /// Roles and permissions.
    pub access: RoleLoaders,
    /// Reviews by id.
    pub reviews: Loader<ReviewId, MaybeRow<Review>, ReviewById>,
    /// The review of a booking.
    pub review_of_booking: Loader<BookingId, MaybeRow<Review>, ReviewOfBooking>,
    /// Pages of a provider's visible reviews.
    pub reviews_of_provider: Loader<ReviewsKey, ReviewPage<Review>, ReviewsOfProvider<Review>>,
    /// Reports by id.
    pub reports: Loader<ReportId, MaybeRow<Report>, ReportById>,
    /// Pictures by id.
    pub media: Loader<MediaId, MaybeRow<Media>, MediaById>,
    /// Portfolio pictures by id.
    pub portfolio_item: Loader<ProviderMediaId, MaybeRow<PortfolioItem>, PortfolioItemById>,
    /// A provider's portfolio.
    pub portfolios: Loader<ProviderId, Rows<PortfolioItem>, PortfolioOfProvider>,
    /// Categories by id.
    pub categories: Loader<CategoryId, MaybeRow<Category>, CategoryById>,
    /// Cities by id.
    pub cities: Loader<CityId, MaybeRow<City>, CityById>,
    /// Services by id, archived ones too.
    pub services: Loader<ServiceId, MaybeRow<Service>, ServiceById>,
    /// Profiles by id, in any state: the reader checks who may see it.
    pub providers: Loader<ProviderId, MaybeRow<Provider>, ProviderById>,
    /// Profiles by person, in any state.
    pub providers_of_users: Loader<UserId, MaybeRow<Provider>, ProviderOfUser>,
    /// Prices by id.
    pub price: Loader<ProviderServiceId, MaybeRow<PricedService>, PriceById>,
    /// All prices of a provider.
    pub prices: Loader<ProviderId, Rows<Arc<PricedService>>, PricesOfProvider>,
    /// How many bookings a provider has completed.
    pub completed_bookings: Loader<ProviderId, MaybeRow<CompletedBookings>, CompletedOfProvider>,
    /// A provider's visible reviews by rating.
    pub rating_counts: Loader<ProviderId, Rows<RatingCount>, RatingsOfProvider>,
    /// Windows by id, of any provider: the reader checks who may see that one.
    pub window: Loader<AvailabilityId, MaybeRow<Availability>, WindowById>,
    /// The bookable windows of a provider between two instants.
    pub windows: Loader<WindowsOf, Rows<Availability>, WindowsByProvider>,
    /// The free slots of a provider for a service between two instants.
    pub slots: Loader<SlotsOf, Rows<Slot>, SlotsByProvider>,
    /// Bookings by id, whoever may see them: the reader checks.
    pub bookings: Loader<BookingId, MaybeRow<Booking>, BookingById>,
    /// The latest proposal of a booking.
    pub proposals: Loader<BookingId, MaybeRow<BookingProposal>, LatestProposal>,
    /// Proposals by id, of any booking: the reader checks who may see that one.
    pub proposal: Loader<BookingProposalId, MaybeRow<BookingProposal>, ProposalById>,
    /// Entries of histories by id, of any booking: the reader checks who may see that one.
    pub booking_event: Loader<BookingEventId, MaybeRow<BookingEvent>, EventById>,
    /// The history of a booking.
    pub booking_events: Loader<BookingId, Rows<BookingEvent>, BookingEvents>,
}

impl Loaders {
    /// For one request.
    pub fn new(app: &App) -> Self {
        let db = &app.db;
        let limit = app.config.limits.range_items;
        Self {
            users: Loader::new(UserById(db.clone())),
            sessions: Loader::new(SessionById(db.clone())),
            payments: PaymentLoaders::new(db),
            audit_events: Loader::new(AuditEventById(db.clone())),
            access: RoleLoaders::new(db),
            reviews: Loader::new(ReviewById(db.clone())),
            review_of_booking: Loader::new(ReviewOfBooking(db.clone())),
            reviews_of_provider: Loader::new(ReviewsOfProvider::new(db.clone())),
            reports: Loader::new(ReportById(db.clone())),
            media: Loader::new(MediaById(db.clone())),
            portfolio_item: Loader::new(PortfolioItemById(db.clone())),
            portfolios: Loader::new(PortfolioOfProvider(db.clone())),
            categories: Loader::new(CategoryById(db.clone())),
            cities: Loader::new(CityById(db.clone())),
            services: Loader::new(ServiceById(db.clone())),
            providers: Loader::new(ProviderById(db.clone())),
            providers_of_users: Loader::new(ProviderOfUser(db.clone())),
            price: Loader::new(PriceById(db.clone())),
            prices: Loader::new(PricesOfProvider(db.clone())),
            completed_bookings: Loader::new(CompletedOfProvider(db.clone())),
            rating_counts: Loader::new(RatingsOfProvider(db.clone())),
            window: Loader::new(WindowById(db.clone())),
            windows: Loader::new(WindowsByProvider {
                db: db.clone(),
                limit,
            }),
            slots: Loader::new(SlotsByProvider {
                db: db.clone(),
                clock: app.clock.clone(),
                grid: Grid::of(app),
                limit,
            }),
            bookings: Loader::new(BookingById(db.clone())),
            proposals: Loader::new(LatestProposal(db.clone())),
            proposal: Loader::new(ProposalById(db.clone())),
            booking_event: Loader::new(EventById(db.clone())),
            booking_events: Loader::new(BookingEvents(db.clone())),
        }
    }
}
