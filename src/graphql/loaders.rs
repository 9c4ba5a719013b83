//! The set of loaders, made for each request.

use crate::{
    db::{
        Db,
        batch::{Loader, MaybeRow},
        ids::{BookingId, ReportId, ReviewId, UserId},
    },
    features::{
        reports::{loaders::ReportById, model::Report},
        reviews::{
            loaders::{ReviewById, ReviewOfBooking, ReviewPage, ReviewsKey, ReviewsOfProvider},
            model::Review,
        },
        users::{loaders::UserById, model::User},
    },
};

/// One loader for each edge of the graph.
pub struct Loaders {
    /// People by id.
    pub users: Loader<UserId, MaybeRow<User>, UserById>,
    /// Reviews by id.
    pub reviews: Loader<ReviewId, MaybeRow<Review>, ReviewById>,
    /// The review of a booking.
    pub review_of_booking: Loader<BookingId, MaybeRow<Review>, ReviewOfBooking>,
    /// Pages of a provider's visible reviews.
    pub reviews_of_provider: Loader<ReviewsKey, ReviewPage, ReviewsOfProvider>,
    /// Reports by id.
    pub reports: Loader<ReportId, MaybeRow<Report>, ReportById>,
}

impl Loaders {
    /// For one request.
    pub fn new(db: &Db) -> Self {
        Self {
            users: Loader::new(UserById(db.clone())),
            reviews: Loader::new(ReviewById(db.clone())),
            review_of_booking: Loader::new(ReviewOfBooking(db.clone())),
            reviews_of_provider: Loader::new(ReviewsOfProvider(db.clone())),
            reports: Loader::new(ReportById(db.clone())),
        }
    }
}
