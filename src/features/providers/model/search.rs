//! The statements that find providers: every condition in one WHERE, every order over an index.

use diesel::{
    dsl::{AsSelect, IntoBoxed, Select},
    expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping},
    pg::Pg,
    prelude::*,
    query_builder::{AstPass, QueryFragment, QueryId},
    sql_types::{BigInt, Bool, Integer, Numeric, Text, Timestamptz, Uuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::{Value, json};

use super::{Provider, ProviderCard, ProviderStatus};
use crate::{
    cursor::{Page, PageArgs, Slice},
    db::{
        Instant,
        ids::{CategoryId, CityId, ProviderId, ServiceId},
        keyset::{Counted, containing},
        schema::providers,
    },
    error::Result,
    keyset, sql_expression,
};

sql_expression! {
    /// What anyone may find, spelled so that the planner sees the partial indexes' condition.
    Approved: Bool = "providers.status = 'APPROVED'" on providers::table;
    /// What a text is looked for in; the trigram index is on it.
    ProviderText: Text = "(providers.display_name || ' ' || providers.headline || ' ' || providers.bio)" on providers::table;
    /// The cheapest price's currency; what has no price comes after every code.
    PriceCurrency: Text = "COALESCE(providers.lowest_price_currency, 'ZZZZ')" on providers::table;
    /// The cheapest price; what has none comes last.
    PriceMinor: BigInt = "COALESCE(providers.lowest_price_minor, 9223372036854775807)" on providers::table;
}

/// What [`PriceCurrency`] and [`PriceMinor`] say of a provider without a price.
const NO_PRICE: (&str, i64) = ("ZZZZ", i64::MAX);

/// The generated column `rating` from a sum and a count, which a cursor holds exactly.
#[derive(Clone, Copy, Debug, QueryId, ValidGrouping)]
struct RatingOf {
    sum: i64,
    count: i32,
}

impl Expression for RatingOf {
    type SqlType = Numeric;
}

impl<T> AppearsOnTable<T> for RatingOf {}

impl<T> SelectableExpression<T> for RatingOf {}

impl QueryFragment<Pg> for RatingOf {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("CASE WHEN ");
        out.push_bind_param::<Integer, _>(&self.count)?;
        out.push_sql(" > 0 THEN ");
        out.push_bind_param::<BigInt, _>(&self.sum)?;
        out.push_sql("::numeric / ");
        out.push_bind_param::<Integer, _>(&self.count)?;
        out.push_sql(" ELSE 0 END");
        Ok(())
    }
}

/// Prices between two amounts of one currency, both included.
#[derive(Clone, Debug)]
pub struct PriceRange {
    /// ISO 4217's code.
    pub currency: String,
    /// At least this, in minor units.
    pub min_minor: Option<i64>,
    /// At most this.
    pub max_minor: Option<i64>,
}

/// A stretch of time in which a booking must still fit.
#[derive(Clone, Copy, Debug)]
pub struct FreeTime {
    /// From when; not before the least lead time.
    pub from: Instant,
    /// Until when.
    pub to: Instant,
    /// The time: what is past its deadline holds nothing any more (rule 8).
    pub now: Instant,
    /// The distance between two starts (rule 6), in minutes.
    pub step_minutes: i32,
}

/// What to look for; every condition given must hold.
///
/// Service, category, price and free time are about one and the same active price of a service that is not archived.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Offering this service.
    pub service_id: Option<ServiceId>,
    /// Offering a service of this category.
    pub category_id: Option<CategoryId>,
    /// In this city.
    pub city_id: Option<CityId>,
    /// With this text in name, headline or bio, in any case.
    pub text: Option<String>,
    /// Rated at least this, in hundredths.
    pub min_rating_hundredths: Option<i64>,
    /// At such a price.
    pub price: Option<PriceRange>,
    /// With a bookable time in it: one that starts at a step of its window, fits wholly and meets no held time.
    pub free: Option<FreeTime>,
}

impl Filter {
    /// Whether an index holds the page in this order, so that no more rows are looked at than it has.
    pub fn is_indexed(&self, order: &Order) -> bool {
        let Self {
            service_id,
            category_id,
            city_id,
            text,
            min_rating_hundredths,
            price,
            free,
        } = self;
        let by_rating = matches!(order, Order::Rating(_));
        service_id.is_none()
            && category_id.is_none()
            && text.is_none()
            && price.is_none()
            && free.is_none()
            && (by_rating || (city_id.is_none() && min_rating_hundredths.is_none()))
    }
}

/// `EXISTS` an active price that meets the conditions.
#[derive(Clone, Debug, ValidGrouping)]
struct Offers {
    service_id: Option<ServiceId>,
    category_id: Option<CategoryId>,
    price: Option<PriceRange>,
    free: Option<FreeTime>,
}

impl Expression for Offers {
    type SqlType = Bool;
}

impl AppearsOnTable<providers::table> for Offers {}

impl QueryId for Offers {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Pg> for Offers {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let Self {
            service_id,
            category_id,
            price,
            free,
        } = self;
        out.push_sql(
            "EXISTS (SELECT 1 FROM provider_services ps JOIN services s ON s.id = ps.service_id \
             WHERE ps.provider_id = providers.id AND ps.active AND s.status = 'ACTIVE'",
        );
        if let Some(service) = service_id {
            out.push_sql(" AND ps.service_id = ");
            out.push_bind_param::<Uuid, _>(service)?;
        }
        if let Some(category) = category_id {
            out.push_sql(" AND s.category_id = ");
            out.push_bind_param::<Uuid, _>(category)?;
        }
        if let Some(PriceRange {
            currency,
            min_minor,
            max_minor,
        }) = price
        {
            out.push_sql(" AND ps.currency = ");
            out.push_bind_param::<Text, _>(currency)?;
            if let Some(min) = min_minor {
                out.push_sql(" AND ps.price_minor >= ");
                out.push_bind_param::<BigInt, _>(min)?;
            }
            if let Some(max) = max_minor {
                out.push_sql(" AND ps.price_minor <= ");
                out.push_bind_param::<BigInt, _>(max)?;
            }
        }
        if let Some(free) = free {
            out.push_sql(" AND ");
            free.walk_ast(out.reborrow())?;
        }
        out.push_sql(")");
        Ok(())
    }
}

impl QueryFragment<Pg> for FreeTime {
    /// A window cut to the stretch, less the held times, leaves gaps; the first start in a gap is the next step from
    /// the window's own start (times have whole microseconds), and from there the booking must fit.
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let Self {
            from,
            to,
            now,
            step_minutes,
        } = self;
        let range = |out: &mut AstPass<'_, 'b, Pg>, sql: [&str; 3]| -> QueryResult<()> {
            let [before, between, after] = sql;
            out.push_sql(before);
            out.push_bind_param::<Timestamptz, _>(from)?;
            out.push_sql(between);
            out.push_bind_param::<Timestamptz, _>(to)?;
            out.push_sql(after);
            Ok(())
        };
        let step = |out: &mut AstPass<'_, 'b, Pg>| -> QueryResult<()> {
            out.push_sql("make_interval(mins => ");
            out.push_bind_param::<Integer, _>(step_minutes)?;
            out.push_sql(")");
            Ok(())
        };
        range(
            &mut out,
            [
                "EXISTS (SELECT 1 FROM availabilities a CROSS JOIN LATERAL unnest(\
                 tstzmultirange(tstzrange(GREATEST(a.starts_at, ",
                "), LEAST(a.ends_at, ",
                ")))",
            ],
        )?;
        range(
            &mut out,
            [
                " - COALESCE((SELECT range_agg(h.during) FROM held_times h \
                 JOIN bookings b ON b.id = h.booking_id \
                 LEFT JOIN booking_proposals bp ON bp.id = h.proposal_id \
                 WHERE h.provider_id = a.provider_id AND h.during && tstzrange(",
                ", ",
                ")",
            ],
        )?;
        for (sql, end) in [
            (" AND (b.state <> 'REQUESTED' OR b.answer_deadline > ", ")"),
            (" AND (b.state <> 'ACCEPTED' OR b.payment_deadline > ", ")"),
            (" AND (bp.id IS NULL OR bp.answer_deadline > ", ")"),
        ] {
            out.push_sql(sql);
            out.push_bind_param::<Timestamptz, _>(now)?;
            out.push_sql(end);
        }
        out.push_sql("), '{}'::tstzmultirange)) AS free(gap) ");
        out.push_sql("WHERE a.provider_id = providers.id AND a.ends_at > ");
        range(&mut out, ["", " AND a.starts_at < ", " AND date_bin("])?;
        step(&mut out)?;
        out.push_sql(", lower(free.gap) + ");
        step(&mut out)?;
        out.push_sql(
            " - interval '1 microsecond', a.starts_at) \
             + make_interval(mins => ps.duration_minutes) <= upper(free.gap))",
        );
        Ok(())
    }
}

/// The values of a cursor by rating: sum and count, so that no digit is lost.
pub type RatingKey = (i64, i32, ProviderId);
/// The values of a cursor by price.
pub type PriceKey = (String, i64, ProviderId);
/// The values of a cursor by age.
pub type NewestKey = (Instant, ProviderId);

/// A page in one of the orders.
#[derive(Clone, Debug)]
pub enum Order {
    /// By rating, then by how many rated, then by id, the highest first; who has no rating comes last.
    Rating(Page<RatingKey>),
    /// By the cheapest price's currency, amount and id, the least first; who has no price comes last.
    Price(Page<PriceKey>),
    /// By the first application, the newest first.
    Newest(Page<NewestKey>),
}

impl Order {
    /// Its name, which cursors carry.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Rating(_) => "provider.rating",
            Self::Price(_) => "provider.price",
            Self::Newest(_) => "provider.newest",
        }
    }

    /// By rating. `BAD_REQUEST` for bad paging arguments.
    pub fn rating(args: &PageArgs) -> Result<Self> {
        args.page("provider.rating").map(Self::Rating)
    }

    /// By price. `BAD_REQUEST` for bad paging arguments.
    pub fn price(args: &PageArgs) -> Result<Self> {
        args.page("provider.price").map(Self::Price)
    }

    /// By age. `BAD_REQUEST` for bad paging arguments.
    pub fn newest(args: &PageArgs) -> Result<Self> {
        args.page("provider.newest").map(Self::Newest)
    }

    /// A row's values in it.
    pub fn values(&self, row: &impl Ranked) -> Value {
        row.rank(self)
    }

    /// The page of no rows that a condition which nothing can meet answers.
    pub fn nothing<R>(&self) -> Slice<R> {
        self.slice(Vec::new()).with_total(0)
    }

    fn slice<R>(&self, rows: Vec<R>) -> Slice<R> {
        match self {
            Self::Rating(page) => page.slice(rows),
            Self::Price(page) => page.slice(rows),
            Self::Newest(page) => page.slice(rows),
        }
    }
}

/// Rows that a search finds.
pub trait Ranked {
    /// The row's values in an order.
    fn rank(&self, order: &Order) -> Value;
}

macro_rules! ranked {
    ($row:ty) => {
        impl Ranked for $row {
            fn rank(&self, order: &Order) -> Value {
                match order {
                    Order::Rating(_) => json!([self.rating_sum, self.rating_count, self.id]),
                    Order::Price(_) => {
                        let currency = self.lowest_price_currency.as_deref();
                        let price = currency.zip(self.lowest_price_minor);
                        let (currency, minor) = price.unwrap_or(NO_PRICE);
                        json!([currency, minor, self.id])
                    }
                    Order::Newest(_) => json!([self.created_at, self.id]),
                }
            }
        }
    };
}

ranked!(Provider);
ranked!(ProviderCard);

/// A page's statement.
pub type ProvidersQuery = IntoBoxed<'static, Select<providers::table, AsSelect<Provider, Pg>>, Pg>;

fn matching(filter: &Filter) -> providers::BoxedQuery<'static, Pg> {
    let Filter {
        service_id,
        category_id,
        city_id,
        text,
        min_rating_hundredths,
        price,
        free,
    } = filter;
    let mut query = providers::table.filter(Approved).into_boxed();
    if let Some(city) = *city_id {
        query = query.filter(providers::city_id.eq(city));
    }
    if let Some(text) = text {
        query = query.filter(ProviderText.ilike(containing(text)));
    }
    if let Some(sum) = *min_rating_hundredths {
        query = query.filter(providers::rating.ge(RatingOf { sum, count: 100 }));
    }
    if service_id.is_some() || category_id.is_some() || price.is_some() || free.is_some() {
        query = query.filter(Offers {
            service_id: *service_id,
            category_id: *category_id,
            price: price.clone(),
            free: *free,
        });
    }
    query
}

/// The statement of a page of approved providers.
pub fn search_query(filter: &Filter, order: &Order) -> ProvidersQuery {
    page_query(filter, order).select(Provider::as_select())
}

fn page_query(filter: &Filter, order: &Order) -> providers::BoxedQuery<'static, Pg> {
    let query = matching(filter);
    match order {
        Order::Rating(page) => keyset!(query, page, true, |(sum, count, id)| (
            providers::rating: Numeric = RatingOf { sum, count },
            providers::rating_count: Integer = count,
            providers::id: Uuid = id,
        )),
        Order::Price(page) => keyset!(query, page, false, |(currency, minor, id)| (
            PriceCurrency: Text = currency,
            PriceMinor: BigInt = minor,
            providers::id: Uuid = id,
        )),
        Order::Newest(page) => keyset!(query, page, true, |(created_at, id)| (
            providers::created_at: Timestamptz = created_at,
            providers::id: Uuid = id,
        )),
    }
}

/// A page of approved providers; `count` costs a second statement.
pub async fn search_page(
    mut conn: &AsyncPgConnection,
    filter: &Filter,
    order: &Order,
    count: bool,
) -> QueryResult<Slice<Provider>> {
    let slice = order.slice(search_query(filter, order).load(&mut conn).await?);
    with_total(conn, slice, filter, count).await
}

/// The same page of cards.
pub async fn search_cards(
    mut conn: &AsyncPgConnection,
    filter: &Filter,
    order: &Order,
    count: bool,
) -> QueryResult<Slice<ProviderCard>> {
    let query = page_query(filter, order).select(ProviderCard::as_select());
    let slice = order.slice(query.load(&mut conn).await?);
    with_total(conn, slice, filter, count).await
}

async fn with_total<R>(
    mut conn: &AsyncPgConnection,
    slice: Slice<R>,
    filter: &Filter,
    count: bool,
) -> QueryResult<Slice<R>> {
    if !count {
        return Ok(slice);
    }
    let counted = Counted(matching(filter).select(providers::id));
    Ok(slice.with_total(counted.get_result(&mut conn).await?))
}

/// The name of the order of [`applications_page`]: who applied first comes first, then by id.
pub const APPLICATIONS: &str = "provider.application";

/// The statement of a page of applications.
pub fn applications_query(status: ProviderStatus, page: &Page<NewestKey>) -> ProvidersQuery {
    let query = providers::table
        .filter(providers::status.eq(status))
        .select(Provider::as_select())
        .into_boxed();
    keyset!(query, page, false, |(applied_at, id)| (
        providers::applied_at: Timestamptz = applied_at,
        providers::id: Uuid = id,
    ))
}

/// A page of profiles in this state; `count` costs a second statement.
pub async fn applications_page(
    conn: &mut AsyncPgConnection,
    status: ProviderStatus,
    page: &Page<NewestKey>,
    count: bool,
) -> QueryResult<Slice<Provider>> {
    let slice = page.slice(applications_query(status, page).load(conn).await?);
    if !count {
        return Ok(slice);
    }
    let all = providers::table
        .filter(providers::status.eq(status))
        .select(providers::id)
        .into_boxed();
    Ok(slice.with_total(Counted(all).get_result(conn).await?))
}
