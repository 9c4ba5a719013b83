//! Pages of reviews, of many providers in one statement.

use diesel::{
    dsl::SqlTypeOf,
    pg::Pg,
    prelude::*,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::{Array, BigInt, Integer, Timestamptz, Uuid},
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::{Review, ReviewCard};
use crate::{
    cursor::LARGEST_COUNT,
    db::{
        Instant,
        ids::{ProviderId, ReviewId},
    },
};

/// The values of a cursor of a list of reviews: when, and which.
pub type ReviewKey = (Instant, ReviewId);

/// Which reviews of each provider, the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReviewsQuery {
    /// Only those of this rating.
    pub rating: Option<i32>,
    /// How many of each provider at most.
    pub limit: i64,
    /// Whether they are read against the order.
    pub backwards: bool,
    /// Where to go on from, exclusive.
    pub from: Option<ReviewKey>,
}

/// The statement of [`ListedReview::of_providers`]. The index of a provider's visible reviews is read once for each and no
/// further than the page, which a window function over all of them would not do; one `first` for all of them makes it
/// one statement.
#[derive(Clone, Debug)]
pub struct OfProviders<'a, R: ListedReview> {
    providers: &'a [ProviderId],
    query: &'a ReviewsQuery,
    columns: R::SelectExpression,
}

impl<'a, R: ListedReview> OfProviders<'a, R> {
    /// Such reviews of each of these providers, read as `R`.
    pub fn new(providers: &'a [ProviderId], query: &'a ReviewsQuery) -> Self {
        Self {
            providers,
            query,
            columns: R::construct_selection(),
        }
    }
}

// The text differs with the query, so it is its own key in the statement cache.
impl<R: ListedReview> QueryId for OfProviders<'_, R> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<R: ListedReview> Query for OfProviders<'_, R> {
    type SqlType = SqlTypeOf<R::SelectExpression>;
}

impl<R> QueryFragment<Pg> for OfProviders<'_, R>
where
    R: ListedReview,
    R::SelectExpression: QueryFragment<Pg>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let ReviewsQuery {
            rating,
            limit,
            backwards,
            from,
        } = self.query;
        out.push_sql("SELECT ");
        self.columns.walk_ast(out.reborrow())?;
        out.push_sql(" FROM unnest(");
        out.push_bind_param::<Array<Uuid>, _>(self.providers)?;
        out.push_sql(
            ") AS p (id) CROSS JOIN LATERAL (SELECT * FROM reviews WHERE provider_id = p.id AND visible",
        );
        if let Some(rating) = rating {
            out.push_sql(" AND rating = ");
            out.push_bind_param::<Integer, _>(rating)?;
        }
        if let Some((at, id)) = from {
            let after = if *backwards { '>' } else { '<' };
            out.push_sql(&format!(" AND (created_at, id) {after} ("));
            out.push_bind_param::<Timestamptz, _>(at)?;
            out.push_sql(", ");
            out.push_bind_param::<Uuid, _>(id)?;
            out.push_sql(")");
        }
        let direction = if *backwards { "ASC" } else { "DESC" };
        let order = format!("created_at {direction}, id {direction}");
        // As a number, so that the plan can be kept (`Limited`).
        out.push_sql(&format!(" ORDER BY {order} LIMIT {limit}"));
        out.push_sql(") AS reviews");
        if R::WITH_AUTHOR {
            out.push_sql(" INNER JOIN users ON users.id = reviews.author_id");
        }
        out.push_sql(&format!(
            " ORDER BY reviews.provider_id, reviews.created_at {direction}, reviews.id {direction}"
        ));
        Ok(())
    }
}

/// Rows of a page of reviews.
pub trait ListedReview: Selectable<Pg> + Send + Sync + Sized + 'static {
    /// Whether who wrote it is read with it: what shows reviews shows their authors, and a statement more costs more than the
    /// few rows where it doesn't.
    const WITH_AUTHOR: bool;

    /// Of whom it is.
    fn provider_id(&self) -> ProviderId;

    /// Where it stands in the list.
    fn key(&self) -> ReviewKey;

    /// A page of visible reviews of each of these providers, in the query's direction.
    fn of_providers(
        conn: &AsyncPgConnection,
        providers: &[ProviderId],
        query: &ReviewsQuery,
    ) -> impl Future<Output = QueryResult<Vec<Self>>> + Send;
}

macro_rules! listed_review {
    ($row:ty, with author: $with_author:literal) => {
        impl ListedReview for $row {
            const WITH_AUTHOR: bool = $with_author;

            fn provider_id(&self) -> ProviderId {
                self.provider_id
            }

            fn key(&self) -> ReviewKey {
                (self.created_at, self.id)
            }

            async fn of_providers(
                mut conn: &AsyncPgConnection,
                providers: &[ProviderId],
                query: &ReviewsQuery,
            ) -> QueryResult<Vec<Self>> {
                OfProviders::<Self>::new(providers, query)
                    .load(&mut conn)
                    .await
            }
        }
    };
}

listed_review!(Review, with author: false);
listed_review!(ReviewCard, with author: true);

/// How many visible reviews a provider has, up to one more than is told.
#[derive(Clone, Copy, Debug, Queryable)]
pub struct ReviewCount {
    /// Whose.
    pub provider_id: ProviderId,
    /// How many.
    pub count: i64,
}

struct CountsOfProviders<'a> {
    providers: &'a [ProviderId],
    rating: Option<&'a i32>,
    most: i64,
}

impl QueryId for CountsOfProviders<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for CountsOfProviders<'_> {
    type SqlType = (Uuid, BigInt);
}

impl QueryFragment<Pg> for CountsOfProviders<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "SELECT p.id, (SELECT count(*) FROM (SELECT 1 FROM reviews WHERE provider_id = p.id AND visible",
        );
        if let Some(rating) = self.rating {
            out.push_sql(" AND rating = ");
            out.push_bind_param::<Integer, _>(rating)?;
        }
        out.push_sql(" LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.most)?;
        out.push_sql(") AS counted) FROM unnest(");
        out.push_bind_param::<Array<Uuid>, _>(self.providers)?;
        out.push_sql(") AS p (id)");
        Ok(())
    }
}

/// How many visible reviews of this rating, or of any, each of these providers has.
pub async fn counts_of_providers(
    mut conn: &AsyncPgConnection,
    providers: &[ProviderId],
    rating: Option<i32>,
) -> QueryResult<Vec<ReviewCount>> {
    CountsOfProviders {
        providers,
        rating: rating.as_ref(),
        most: LARGEST_COUNT + 1,
    }
    .load(&mut conn)
    .await
}
