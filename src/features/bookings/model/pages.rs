//! Pages of bookings.

use diesel::{
    pg::Pg,
    prelude::*,
    sql_types::{Timestamptz, Uuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{Booking, State, StateAt};
use crate::{
    cursor::{Page, Slice},
    db::{
        Instant,
        ids::{BookingId, ProviderId, ServiceId, UserId},
        keyset::Counted,
        schema::bookings,
    },
    keyset,
};

/// Where a row stands in a list: its order's instant, and its id.
pub type Place = (Instant, BookingId);

/// Which bookings; every condition given must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// In one of these states, as everyone sees them.
    pub states: Option<Vec<State>>,
    /// Of this client.
    pub client_id: Option<UserId>,
    /// Of this provider.
    pub provider_id: Option<ProviderId>,
    /// For this service.
    pub service_id: Option<ServiceId>,
    /// Starting at or after this.
    pub from: Option<Instant>,
    /// Starting before this.
    pub to: Option<Instant>,
    /// Whether staff should look at it.
    pub needs_attention: Option<bool>,
}

impl Filter {
    fn query<'a>(&self, now: Instant) -> bookings::BoxedQuery<'a, Pg> {
        let Self {
            states,
            client_id,
            provider_id,
            service_id,
            from,
            to,
            needs_attention,
        } = self.clone();
        let mut query = bookings::table.into_boxed();
        if let Some(states) = states {
            query = query.filter(StateAt(now).eq_any(states));
        }
        if let Some(client) = client_id {
            query = query.filter(bookings::client_id.eq(client));
        }
        if let Some(provider) = provider_id {
            query = query.filter(bookings::provider_id.eq(provider));
        }
        if let Some(service) = service_id {
            query = query.filter(bookings::service_id.eq(service));
        }
        if let Some(from) = from {
            query = query.filter(bookings::starts_at.ge(from));
        }
        if let Some(to) = to {
            query = query.filter(bookings::starts_at.lt(to));
        }
        match needs_attention {
            Some(true) => query.filter(bookings::needs_attention.is_not_null()),
            Some(false) => query.filter(bookings::needs_attention.is_null()),
            None => query,
        }
    }

    async fn counted<R>(
        &self,
        conn: &mut AsyncPgConnection,
        now: Instant,
        slice: Slice<R>,
        count: bool,
    ) -> QueryResult<Slice<R>> {
        if !count {
            return Ok(slice);
        }
        let counted = Counted(self.query(now).select(bookings::id))
            .get_result(conn)
            .await?;
        Ok(slice.with_total(counted))
    }

    /// A page by start, the latest first.
    pub async fn by_start(
        &self,
        conn: &mut AsyncPgConnection,
        now: Instant,
        page: &Page<Place>,
        count: bool,
    ) -> QueryResult<Slice<Booking>> {
        let query = self.query(now).select(Booking::as_select());
        let query = keyset!(query, page, true, |(at, id)| (
            bookings::starts_at: Timestamptz = at,
            bookings::id: Uuid = id,
        ));
        let slice = page.slice(query.load(conn).await?);
        self.counted(conn, now, slice, count).await
    }

    /// A page by when it was asked for, the latest first.
    pub async fn by_creation(
        &self,
        conn: &mut AsyncPgConnection,
        now: Instant,
        page: &Page<Place>,
        count: bool,
    ) -> QueryResult<Slice<Booking>> {
        let query = self.query(now).select(Booking::as_select());
        let query = keyset!(query, page, true, |(at, id)| (
            bookings::created_at: Timestamptz = at,
            bookings::id: Uuid = id,
        ));
        let slice = page.slice(query.load(conn).await?);
        self.counted(conn, now, slice, count).await
    }
}
