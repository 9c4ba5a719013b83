//! What others may do with bookings: one name for each operation, and reading.

use super::model::{
    self, Booking,
    pages::{Filter, Place},
};
pub use super::{
    answer::{accept, complete, reject},
    attention::clear as clear_attention,
    cancel::{Cancelled, Quote, cancel, quote},
    create::{NewBooking, create},
    deadlines::{complete_all, expire_all},
    no_show::no_show,
    paid::{PaidOutcome, awaits_payment, confirm_paid, lock_parties},
    reschedule::{Answer, Move, answer, propose},
    suspension::{cancel_for_suspended_provider, cancel_for_suspended_user},
};
use crate::{
    app::App,
    auth::viewer::Viewer,
    cursor::{Page, Slice},
    db::{Instant, Reader, ids::BookingId},
    error::{Error, Result},
};

/// The booking with this id, if the viewer may know of it.
pub async fn find(app: &App, viewer: &Viewer, id: BookingId) -> Result<Option<Booking>> {
    let conn = app.db.reader().await?;
    Ok(conn.timed(model::find_visible(&conn, viewer, id)).await?)
}

/// The orders in which bookings are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By start, the latest first.
    Start,
    /// By when they were asked for, the latest first.
    Creation,
}

impl Order {
    /// Its name in cursors.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "booking.start",
            Self::Creation => "booking.creation",
        }
    }

    /// Where a row stands in it.
    pub fn place(self, booking: &Booking) -> Place {
        match self {
            Self::Start => (booking.starts_at, booking.id),
            Self::Creation => (booking.created_at, booking.id),
        }
    }
}

/// A page of bookings; the caller has said in `filter` whose the viewer may see.
pub(super) async fn page(
    app: &App,
    filter: &Filter,
    order: Order,
    page: &Page<Place>,
    count: bool,
) -> Result<Slice<Booking>> {
    if let (Some(from), Some(to)) = (filter.from, filter.to)
        && from >= to
    {
        return Err(Error::bad_request("`from` must be before `to`."));
    }
    let now = Instant(app.clock.now());
    // What no index answers at once would hold up those who share a connection.
    let conn = if order == Order::Start && filter.states.is_none() && !count {
        app.db.reader().await?
    } else {
        Reader::from(app.db.slow_reader().await?)
    };
    let rows = async {
        match order {
            Order::Start => filter.by_start(&conn, now, page, count).await,
            Order::Creation => filter.by_creation(&conn, now, page, count).await,
        }
    };
    Ok(conn.timed(rows).await?)
}
