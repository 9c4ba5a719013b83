//! The statements that find providers: every order, alone and in a city, over an index; other conditions by `db::search`.

use diesel::{
    dsl::{AsSelect, IntoBoxed, Select},
    expression::{AppearsOnTable, Expression, SelectableExpression, ValidGrouping},
    pg::Pg,
    prelude::*,
    query_builder::{AstPass, QueryFragment, QueryId},
    sql_types::{BigInt, Bool, Integer, Numeric, Text, Timestamptz, Uuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::{
    Provider, ProviderCard, ProviderStatus,
    offers::{FreeTime, Offers, OpenIn, PriceRange, Prices, WindowsIn},
};
use crate::{
    cursor::{Page, PageArgs, Slice},
    db::{
        Instant,
        ids::{CategoryId, CityId, ProviderId, ServiceId},
        keyset::{Counted, Limited, containing},
        lower,
        schema::{provider_services, providers},
        search::{FEW, MANY, Piece, Search, Unseen, Walk, has_trigram},
    },
    error::Result,
    keyset, searched, sql_expression,
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

/// Whether a provider has every letter of a text, and every pair of neighbours in it: by its index what a trigram index knows
/// nothing of. One or two letters are found by this; what is longer may be.
#[derive(Clone, Debug, QueryId, ValidGrouping)]
struct PiecesOf(Unseen);

impl PiecesOf {
    fn new(text: &str) -> Self {
        Self(Unseen(text.to_owned()))
    }
}

impl Expression for PiecesOf {
    type SqlType = Bool;
}

impl AppearsOnTable<providers::table> for PiecesOf {}

impl SelectableExpression<providers::table> for PiecesOf {}

impl QueryFragment<Pg> for PiecesOf {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        // As the index has it, collation and all.
        out.push_sql("text_pieces(");
        ProviderText.walk_ast(out.reborrow())?;
        out.push_sql(") @> text_pieces(");
        self.0.walk_ast(out.reborrow())?;
        out.push_sql(") COLLATE \"C\"");
        Ok(())
    }
}

diesel::define_sql_function! {
    /// Where a text begins in another, from 1; 0 where it is not in it.
    fn strpos(whole: Text, part: Text) -> Integer;
}

/// What `ILIKE` would say of a text, with nothing for the planner to enter the index of trigrams by.
#[diesel::dsl::auto_type(no_type_alias)]
fn contains_short(text: &str) -> _ {
    let text: String = text.to_owned();
    strpos(lower(ProviderText), lower(text)).gt(0_i32)
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
        let by_rating = matches!(order, Order::Rating(_));
        self.text.is_none()
            && self.offers().is_none()
            && (by_rating || self.min_rating_hundredths.is_none())
    }

    /// What must hold of a price.
    fn offers(&self) -> Option<Offers> {
        let offers = Offers {
            service_id: self.service_id,
            category_id: self.category_id,
            price: self.price.clone(),
            free: self.free,
            of_each: false,
        };
        let any = offers.service_id.is_some()
            || offers.category_id.is_some()
            || offers.price.is_some()
            || offers.free.is_some();
        any.then_some(offers)
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
    pub fn values(&self, row: &impl ListedProvider) -> Value {
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

/// A page's statement.
pub type ProvidersQuery =
    Limited<IntoBoxed<'static, Select<providers::table, AsSelect<Provider, Pg>>, Pg>>;

/// Who meets conditions that an index holds in the order ([`Filter::is_indexed`]).
fn indexed(filter: &Filter) -> providers::BoxedQuery<'static, Pg> {
    let mut query = providers::table.filter(Approved).into_boxed();
    if let Some(city) = filter.city_id {
        query = query.filter(providers::city_id.eq(city));
    }
    if let Some(sum) = filter.min_rating_hundredths {
        query = query.filter(providers::rating.ge(RatingOf { sum, count: 100 }));
    }
    query
}

/// The ids which each condition's own index begins with; a text's are [`text_start`]'s.
fn starts(filter: &Filter, by_rating: bool) -> Vec<Piece> {
    let mut starts: Vec<Piece> = Vec::new();
    if let Some(sum) = filter.min_rating_hundredths
        && !by_rating
    {
        let rated = providers::table
            .filter(Approved)
            .filter(providers::rating.ge(RatingOf { sum, count: 100 }))
            .order((
                providers::rating.desc(),
                providers::rating_count.desc(),
                providers::id.desc(),
            ))
            .select(providers::id);
        starts.push(Box::new(Limited::new(rated, MANY + 1)));
    }
    if filter.service_id.is_some() || filter.category_id.is_some() || filter.price.is_some() {
        starts.push(Box::new(Prices {
            service_id: filter.service_id,
            category_id: filter.category_id,
            range: filter.price.clone(),
        }));
    }
    if let Some(free) = filter.free {
        let windows = WindowsIn(free);
        starts.push(Box::new(Limited::new(windows, MANY + 1)));
    }
    starts
}

/// The ids which a text's index begins with.
fn text_start(text: &str) -> Piece {
    let ids = providers::table.select(providers::id);
    if has_trigram(text) {
        let contains = ProviderText.ilike(Unseen(containing(text)));
        Box::new(Limited::new(ids.filter(contains), FEW + 1))
    } else {
        Box::new(Limited::new(ids.filter(PiecesOf::new(text)), FEW + 1))
    }
}

const A_DAY: SignedDuration = SignedDuration::from_hours(24);

/// What the indexes of conditions are entered by which say nothing of it themselves.
fn entered(filter: &Filter) -> Vec<Piece> {
    let mut entered: Vec<Piece> = Vec::new();
    if let Some(text) = filter.text.as_deref().filter(|text| !has_trigram(text)) {
        entered.push(Box::new(PiecesOf::new(text)));
    }
    // In a longer stretch there are several windows of each who is open, and somebody's time is soon met.
    if let Some(free) = filter.free.filter(|free| free.lasts_at_most(A_DAY)) {
        entered.push(Box::new(OpenIn(WindowsIn(free))));
    }
    entered
}

/// The index of prices that holds one of the conditions in the order PRICE. A city's own index of this order has fewer rows.
fn by_price(filter: &Filter) -> Option<Walk> {
    let listed = provider_services::listed_minor.is_not_null();
    let held: Piece = match (
        filter.city_id,
        filter.service_id,
        filter.category_id,
        &filter.price,
    ) {
        (None, Some(service), _, _) => {
            Box::new(provider_services::service_id.eq(service).and(listed))
        }
        (None, None, Some(category), _) => Box::new(
            provider_services::listed_category_id
                .eq(category)
                .and(listed),
        ),
        (None, None, None, Some(range)) => Box::new(
            provider_services::currency
                .eq(range.currency.clone())
                .and(listed),
        ),
        _ => return None,
    };
    Some(Walk {
        table: "provider_services",
        columns: vec![
            Box::new(provider_services::listed_currency),
            Box::new(provider_services::listed_minor),
            Box::new(provider_services::provider_id),
        ],
        held,
    })
}

/// What no index holds in this order; nothing when one does.
fn search(filter: &Filter, order: &Order) -> Option<Search> {
    if filter.is_indexed(order) {
        return None;
    }
    let by_rating = matches!(order, Order::Rating(_));
    let mut held: Vec<Piece> = vec![Box::new(Approved)];
    if let Some(city) = filter.city_id {
        held.push(Box::new(providers::city_id.eq(city)));
    }
    let rated = filter
        .min_rating_hundredths
        .map(|sum| providers::rating.ge(RatingOf { sum, count: 100 }));
    if let Some(rated) = rated.filter(|_| by_rating) {
        held.push(Box::new(rated));
    }
    let conditions = |of_each: bool| {
        let mut conditions: Vec<Piece> = Vec::new();
        if let Some(rated) = rated.filter(|_| !by_rating) {
            conditions.push(Box::new(rated));
        }
        if let Some(text) = &filter.text {
            conditions.push(if has_trigram(text) {
                Box::new(ProviderText.ilike(Unseen(containing(text))))
            } else {
                Box::new(contains_short(text))
            });
        }
        if let Some(offers) = filter.offers() {
            conditions.push(Box::new(Offers { of_each, ..offers }));
        }
        conditions
    };
    Some(Search {
        held,
        rest: conditions(false),
        each: conditions(true),
        entered: entered(filter),
        starts: starts(filter, by_rating),
        text_start: filter.text.as_deref().map(text_start),
        walk: match order {
            Order::Price(_) => by_price(filter),
            _ => None,
        },
    })
}

/// A page in one of the orders, by its index or by a search.
macro_rules! in_order {
    ($row:ty, $filter:expr, $search:expr, $page:expr, $descending:expr, |$key:pat_param| $columns:tt) => {
        match $search {
            None => {
                let query = indexed($filter).select(<$row>::as_select());
                keyset!(query, $page, $descending, |$key| $columns)
            }
            Some(search) => {
                let query = providers::table
                    .select(<$row>::as_select())
                    .into_boxed();
                searched!(providers => query, search, $page, $descending, |$key| $columns)
            }
        }
    };
}

/// The statement of a page of approved providers, read as such rows.
macro_rules! search_query {
    ($row:ty, $filter:expr, $order:expr) => {{
        let (filter, order): (&Filter, &Order) = ($filter, $order);
        let search = search(filter, order);
        match order {
            Order::Rating(page) => in_order!($row, filter, search, page, true, |(sum, count, id)| (
                providers::rating: Numeric = RatingOf { sum, count },
                providers::rating_count: Integer = count,
                providers::id: Uuid = id,
            )),
            Order::Price(page) => in_order!($row, filter, search, page, false, |(currency, minor, id)| (
                PriceCurrency: Text = currency,
                PriceMinor: BigInt = minor,
                providers::id: Uuid = id,
            )),
            Order::Newest(page) => in_order!($row, filter, search, page, true, |(created_at, id)| (
                providers::created_at: Timestamptz = created_at,
                providers::id: Uuid = id,
            )),
        }
    }};
}

/// The statement of a page of approved providers.
pub fn search_query(filter: &Filter, order: &Order) -> ProvidersQuery {
    search_query!(Provider, filter, order)
}

/// Rows that a search finds: profiles, or what a list shows of them.
pub trait ListedProvider: Sized {
    /// The row's values in an order.
    fn rank(&self, order: &Order) -> Value;

    /// The rows that are read for a page.
    fn read(
        conn: &AsyncPgConnection,
        filter: &Filter,
        order: &Order,
    ) -> impl Future<Output = QueryResult<Vec<Self>>> + Send;
}

macro_rules! listed {
    ($row:ty) => {
        impl ListedProvider for $row {
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

            async fn read(
                mut conn: &AsyncPgConnection,
                filter: &Filter,
                order: &Order,
            ) -> QueryResult<Vec<Self>> {
                search_query!($row, filter, order).load(&mut conn).await
            }
        }
    };
}

listed!(Provider);
listed!(ProviderCard);

/// A page of approved providers; `count` costs a second statement.
pub async fn search_page<R: ListedProvider>(
    mut conn: &AsyncPgConnection,
    filter: &Filter,
    order: &Order,
    count: bool,
) -> QueryResult<Slice<R>> {
    let slice = order.slice(R::read(conn, filter, order).await?);
    if !count {
        return Ok(slice);
    }
    let total = match search(filter, order) {
        Some(search) => search.number("providers").get_result(&mut conn).await,
        None => {
            let all = indexed(filter).select(providers::id);
            Counted(all).get_result(&mut conn).await
        }
    };
    Ok(slice.with_total(total?))
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
