//! Pages of bookings.

use diesel::{
    expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping, is_aggregate},
    pg::{Pg, sql_types::Record},
    prelude::*,
    query_builder::{AstPass, QueryFragment, QueryId},
    sql_types::{Array, Bool, Interval, Text, Timestamptz, Uuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{Booking, Boxed, State, StateAt};
use crate::{
    cursor::{Page, Slice},
    db::{
        Instant,
        ids::{BookingId, ProviderId, ServiceId, UserId},
        keyset::{Counted, Limited},
        schema::bookings,
    },
    keyset, sql_expression,
};

sql_expression! {
    /// The latest first, as a distance from a time after all of them: the order in which an index over two times gives
    /// what lies between two values of the other time.
    FromTheEnd: Interval = "(bookings.created_at <-> '2100-01-01Z'::timestamptz)" on bookings::table;
    /// The first first, likewise.
    FromTheStart: Interval = "(bookings.created_at <-> '2000-01-01Z'::timestamptz)" on bookings::table;
}

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
/// it and enters the index that fits. In a list of one where the order begins with the state (`keyset!`, `of`).
#[derive(Clone, Copy, Debug)]
struct Says {
    state: State,
    in_order: bool,
}

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
        let word = self.state.as_str();
        out.push_sql(&match self.in_order {
            true => format!("(bookings.state = ANY ('{{{word}}}'))"),
            false => format!("(bookings.state = '{word}')"),
        });
        Ok(())
    }
}

/// The ids that a page needs of each of some stored states. An index whose columns end in (state, when, id) is read once
/// for each state and no further than the page; one `state = ANY` over all of them would sort every row there is.
struct InEachState<'a>(Vec<Limited<bookings::BoxedQuery<'a, Pg, Uuid>>>);

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
        if self.0.len() > 1 {
            // There are too many sets of states to keep each prepared.
            out.unsafe_to_cache_prepared();
        }
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

/// The ids of a page and of what was asked for at the same instant as its last, from the index over both times.
struct Nearest<'a>(bookings::BoxedQuery<'a, Pg, Uuid>, i64);

impl Expression for Nearest<'_> {
    type SqlType = Bool;
}

impl AppearsOnTable<bookings::table> for Nearest<'_> {}

impl SelectableExpression<bookings::table> for Nearest<'_> {}

impl<G> ValidGrouping<G> for Nearest<'_> {
    type IsAggregate = is_aggregate::Never;
}

// The text differs with the query.
impl QueryId for Nearest<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Pg> for Nearest<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let Self(query, rows) = self;
        // Made for any two times, a plan would sort what lies between them, which can be all.
        out.unsafe_to_cache_prepared();
        out.push_sql("bookings.id = ANY (ARRAY(");
        QueryFragment::<Pg>::walk_ast(query, out.reborrow())?;
        out.push_sql(&format!(" FETCH FIRST {rows} ROWS WITH TIES))"));
        Ok(())
    }
}

/// A page of a filter's bookings by an instant and the id, the latest first; `$alone`: without another condition than
/// states, of which the order's index is then the one of a state.
macro_rules! by_instant {
    ($filter:expr, $now:expr, $page:expr, $instant:path, $alone:expr) => {{
        let page = $page;
        let alone = $alone;
        match &$filter.states {
            None => keyset!($filter.query($now).select(Booking::as_select()), page, true, |(at, id)| (
                $instant: Timestamptz = at,
                bookings::id: Uuid = id,
            )),
            Some(states) => {
                let of_one = |state| {
                    let query = $filter
                        .in_any_state()
                        .filter(Says { state, in_order: alone })
                        .filter(ShowsAs(StateAt($now), states.clone()))
                        .select(bookings::id);
                    keyset!(query, page, true, |(at, id)| (
                        $instant: Timestamptz = at,
                        bookings::id: Uuid = id,
                    ), of alone => bookings::state)
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

/// A page's statement.
pub type PageQuery<'a> = Limited<Boxed<'a>>;

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
    pub fn by_start_query<'a>(&self, now: Instant, page: &Page<Place>) -> PageQuery<'a> {
        by_instant!(self, now, page, bookings::starts_at, false)
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

    /// The statement of [`Filter::by_creation`]. Where an index holds a single condition in this order, the statement is
    /// written such that no other can.
    pub fn by_creation_query<'a>(&self, now: Instant, page: &Page<Place>) -> PageQuery<'a> {
        let Self {
            states,
            client_id,
            provider_id,
            service_id,
            from,
            to,
            needs_attention,
        } = self;
        let (in_state, in_time) = (states.is_some(), from.is_some() || to.is_some());
        let of_somebody = client_id.is_some() || provider_id.is_some();
        if of_somebody || needs_attention.is_some() {
            return by_instant!(self, now, page, bookings::created_at, false);
        }
        match service_id {
            Some(service) if !in_state && !in_time => {
                let query = bookings::table
                    .filter(bookings::service_id.eq_any([*service]))
                    .select(Booking::as_select())
                    .into_boxed();
                keyset!(query, page, true, |(at, id)| (
                    bookings::created_at: Timestamptz = at,
                    bookings::id: Uuid = id,
                ), of true => bookings::service_id)
            }
            None if !in_state && in_time => {
                let query = bookings::table
                    .filter(self.nearest(page))
                    .select(Booking::as_select())
                    .into_boxed();
                keyset!(query, page, true, |(at, id)| (
                    bookings::created_at: Timestamptz = at,
                    bookings::id: Uuid = id,
                ))
            }
            service => {
                let alone = service.is_none() && !in_time;
                by_instant!(self, now, page, bookings::created_at, alone)
            }
        }
    }

    fn nearest<'a>(&self, page: &Page<Place>) -> Nearest<'a> {
        let mut query = self.in_any_state().select(bookings::id);
        // The index knows the instant; of the others at the cursor's own, the page's statement leaves out what was shown.
        if let Some((at, id)) = page.from {
            let place =
                (bookings::created_at, bookings::id).into_sql::<Record<(Timestamptz, Uuid)>>();
            let cursor =
                (at.into_sql::<Timestamptz>(), id.into_sql::<Uuid>()).into_sql::<Record<_>>();
            query = if page.backwards {
                query
                    .filter(bookings::created_at.ge(at))
                    .filter(place.gt(cursor))
            } else {
                query
                    .filter(bookings::created_at.le(at))
                    .filter(place.lt(cursor))
            };
        }
        let query = if page.backwards {
            query.order(FromTheStart)
        } else {
            query.order(FromTheEnd)
        };
        Nearest(query, page.fetch)
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
