//! Pages of bookings.

use diesel::{
    expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate},
    pg::Pg,
    prelude::*,
    query_builder::{AstPass, QueryFragment, QueryId},
    sql_types::{Array, Bool, Text, Timestamptz, Uuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{Booking, Boxed, State, StateAt};
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

/// Whether the row says this state: a word of ours in the statement's text, so that the planner knows how many rows say
/// it and enters the index that fits.
#[derive(Clone, Copy, Debug)]
struct Says(State);

impl Expression for Says {
    type SqlType = Bool;
}

impl AppearsOnTable<bookings::table> for Says {}

impl SelectableExpression<bookings::table> for Says {}

impl<G> ValidGrouping<G> for Says {
    type IsAggregate = is_aggregate::Never;
}

impl QueryId for Says {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Pg> for Says {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(&format!("(bookings.state = '{}')", self.0.as_str()));
        Ok(())
    }
}

/// The ids that a page needs of each of some stored states. An index whose columns end in (state, when, id) is read once
/// for each state and no further than the page; one `state = ANY` over all of them would sort every row there is.
struct InEachState<'a>(Vec<bookings::BoxedQuery<'a, Pg, Uuid>>);

impl Expression for InEachState<'_> {
    type SqlType = Bool;
}

impl AppearsOnTable<bookings::table> for InEachState<'_> {}

impl SelectableExpression<bookings::table> for InEachState<'_> {}

impl<G> ValidGrouping<G> for InEachState<'_> {
    type IsAggregate = is_aggregate::Never;
}

// The text differs with the query, so it is its own key in the statement cache.
impl QueryId for InEachState<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Pg> for InEachState<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        if self.0.is_empty() {
            out.push_sql("false");
            return Ok(());
        }
        out.push_sql("bookings.id = ANY (ARRAY(");
        for (place, of_one) in self.0.iter().enumerate() {
            out.push_sql(if place > 0 { " UNION ALL (" } else { "(" });
            QueryFragment::<Pg>::walk_ast(of_one, out.reborrow())?;
            out.push_sql(")");
        }
        out.push_sql("))");
        Ok(())
    }
}

/// Whether a booking shows as one of these states. As a CASE, because the planner takes `= ANY` for rare and would rather
/// sort all there is of a state than walk its index to the first few.
#[derive(Clone, Debug)]
struct ShowsAs(StateAt, Vec<State>);

impl Expression for ShowsAs {
    type SqlType = Bool;
}

impl AppearsOnTable<bookings::table> for ShowsAs {}

impl SelectableExpression<bookings::table> for ShowsAs {}

impl<G> ValidGrouping<G> for ShowsAs {
    type IsAggregate = is_aggregate::Never;
}

impl QueryId for ShowsAs {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Pg> for ShowsAs {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("(CASE WHEN ");
        QueryFragment::<Pg>::walk_ast(&self.0, out.reborrow())?;
        out.push_sql(" = ANY (");
        out.push_bind_param::<Array<Text>, _>(&self.1)?;
        out.push_sql(")");
        out.push_sql(" THEN true ELSE false END)");
        Ok(())
    }
}

/// What rows may say that show as one of these: EXPIRED shows before the job has written it.
fn stored(shown: &[State]) -> Vec<State> {
    let mut stored = shown.to_vec();
    if shown.contains(&State::Expired) {
        stored.extend([State::Requested, State::Accepted]);
    }
    stored.sort_by_key(|state| state.as_str());
    stored.dedup();
    stored
}

/// A page of a filter's bookings by an instant and the id, the latest first.
macro_rules! by_instant {
    ($filter:expr, $now:expr, $page:expr, $instant:path) => {{
        let page = $page;
        match &$filter.states {
            None => keyset!($filter.query($now).select(Booking::as_select()), page, true, |(at, id)| (
                $instant: Timestamptz = at,
                bookings::id: Uuid = id,
            )),
            Some(states) => {
                let of_one = |state| {
                    let query = $filter
                        .in_any_state()
                        .filter(Says(state))
                        .filter(ShowsAs(StateAt($now), states.clone()))
                        .select(bookings::id);
                    keyset!(query, page, true, |(at, id)| (
                        $instant: Timestamptz = at,
                        bookings::id: Uuid = id,
                    ))
                };
                let of_each = stored(states).into_iter().map(of_one).collect();
                let query = bookings::table
                    .select(Booking::as_select())
                    .into_boxed()
                    .filter(InEachState(of_each));
                keyset!(query, page, true, |(at, id)| (
                    $instant: Timestamptz = at,
                    bookings::id: Uuid = id,
                ))
            }
        }
    }};
}

impl Filter {
    fn query<'a>(&self, now: Instant) -> bookings::BoxedQuery<'a, Pg> {
        let query = self.in_any_state();
        match &self.states {
            Some(states) => query
                .filter(bookings::state.eq_any(stored(states)))
                .filter(StateAt(now).eq_any(states.clone())),
            None => query,
        }
    }

    /// All conditions but the states.
    fn in_any_state<'a>(&self) -> bookings::BoxedQuery<'a, Pg> {
        let Self {
            states: _,
            client_id,
            provider_id,
            service_id,
            from,
            to,
            needs_attention,
        } = self.clone();
        let mut query = bookings::table.into_boxed();
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
        mut conn: &AsyncPgConnection,
        now: Instant,
        slice: Slice<R>,
        count: bool,
    ) -> QueryResult<Slice<R>> {
        if !count {
            return Ok(slice);
        }
        let counted = Counted(self.query(now).select(bookings::id))
            .get_result(&mut conn)
            .await?;
        Ok(slice.with_total(counted))
    }

    /// The statement of [`Filter::by_start`].
    pub fn by_start_query<'a>(&self, now: Instant, page: &Page<Place>) -> Boxed<'a> {
        by_instant!(self, now, page, bookings::starts_at)
    }

    /// A page by start, the latest first.
    pub async fn by_start(
        &self,
        mut conn: &AsyncPgConnection,
        now: Instant,
        page: &Page<Place>,
        count: bool,
    ) -> QueryResult<Slice<Booking>> {
        let slice = page.slice(self.by_start_query(now, page).load(&mut conn).await?);
        self.counted(conn, now, slice, count).await
    }

    /// The statement of [`Filter::by_creation`].
    pub fn by_creation_query<'a>(&self, now: Instant, page: &Page<Place>) -> Boxed<'a> {
        by_instant!(self, now, page, bookings::created_at)
    }

    /// A page by when it was asked for, the latest first.
    pub async fn by_creation(
        &self,
        mut conn: &AsyncPgConnection,
        now: Instant,
        page: &Page<Place>,
        count: bool,
    ) -> QueryResult<Slice<Booking>> {
        let slice = page.slice(self.by_creation_query(now, page).load(&mut conn).await?);
        self.counted(conn, now, slice, count).await
    }
}
