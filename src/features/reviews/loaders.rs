//! Loaders of reviews. Who may see a row of the first two is the reader's to check.

use std::{collections::HashMap, marker::PhantomData, sync::Arc};

use foldhash::fast::RandomState;

use super::model::{self, ListedReview, Review, ReviewCard, ReviewKey, ReviewsQuery};
use crate::{
    batch_fn,
    cursor::{Page, Slice},
    db::{
        Db, Reader,
        batch::Found,
        ids::{BookingId, ProviderId, ReviewId},
    },
    error::Result,
    row_loader,
};

row_loader! {
    /// A review by id.
    ReviewById: ReviewId => Review, model::by_ids, |review| review.id
}

row_loader! {
    /// The review of a booking.
    ReviewOfBooking: BookingId => Review, model::by_booking_ids, |review| review.booking_id
}

/// A page of a provider's visible reviews. Providers that are asked for pages of the same size share one statement.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReviewsKey {
    /// Whose.
    pub provider_id: ProviderId,
    /// How many at most.
    pub limit: usize,
    /// Which, and how many are read for it, which pages of several sizes have in common ([`Page::fetch`]).
    pub query: ReviewsQuery,
    /// Whether all of them are counted, which is one more statement.
    pub count: bool,
}

impl ReviewsKey {
    /// This page of this provider's reviews.
    pub fn new(
        provider_id: ProviderId,
        rating: Option<i32>,
        page: &Page<ReviewKey>,
        count: bool,
    ) -> Self {
        let query = ReviewsQuery {
            rating,
            limit: page.fetch,
            backwards: page.backwards,
            from: page.from,
        };
        Self {
            provider_id,
            limit: page.limit,
            query,
            count,
        }
    }
}

/// A map by what is no secret.
type Fast<K, V> = HashMap<K, V, RandomState>;

/// A page, shared by who asks for it twice.
pub type ReviewPage<R> = Slice<Arc<R>>;

/// Pages of visible reviews, read as `R`.
pub struct ReviewsOfProvider<R> {
    db: Db,
    rows: PhantomData<fn() -> R>,
}

batch_fn!(ReviewsOfProvider<Review>: ReviewsKey => ReviewPage<Review>);
batch_fn!(ReviewsOfProvider<ReviewCard>: ReviewsKey => ReviewPage<ReviewCard>);

impl<R: ListedReview> ReviewsOfProvider<R> {
    /// Pages from this database.
    pub fn new(db: Db) -> Self {
        Self {
            db,
            rows: PhantomData,
        }
    }

    async fn load_all(&self, keys: &[ReviewsKey]) -> Found<ReviewsKey, ReviewPage<R>> {
        let mut pages: Fast<(&ReviewsQuery, usize, bool), Vec<&ReviewsKey>> = Fast::default();
        for key in keys {
            let page = (&key.query, key.limit, key.count);
            pages.entry(page).or_default().push(key);
        }
        let mut found = Found::default();
        for ((query, limit, count), keys) in pages {
            let outcome = load_page(&self.db, query, limit, count, &keys).await;
            for key in keys {
                let page = match &outcome {
                    Ok(slices) => slices.get(&key.provider_id).cloned().ok_or_else(|| {
                        crate::error::Error::internal("a page of reviews was not read")
                    }),
                    Err(error) => Err(error.clone()),
                };
                found.insert(key.clone(), page);
            }
        }
        found
    }
}

async fn load_page<R: ListedReview>(
    db: &Db,
    query: &ReviewsQuery,
    limit: usize,
    count: bool,
    keys: &[&ReviewsKey],
) -> Result<Fast<ProviderId, ReviewPage<R>>> {
    let providers: Vec<ProviderId> = keys.iter().map(|key| key.provider_id).collect();
    // Counting thousands of reviews would hold up those who share a connection.
    let conn = if count {
        Reader::from(db.slow_reader().await?)
    } else {
        db.reader().await?
    };
    let mut rows: Fast<ProviderId, Vec<Arc<R>>> = Fast::default();
    for review in conn
        .timed(R::of_providers(&conn, &providers, query))
        .await?
    {
        rows.entry(review.provider_id())
            .or_default()
            .push(Arc::new(review));
    }
    let page = Page {
        limit,
        fetch: query.limit,
        backwards: query.backwards,
        from: query.from,
    };
    let mut slices: Fast<ProviderId, ReviewPage<R>> = providers
        .iter()
        .map(|id| (*id, page.slice(rows.remove(id).unwrap_or_default())))
        .collect();
    if count {
        for counted in model::counts_of_providers(&conn, &providers, query.rating).await? {
            if let Some(slice) = slices.remove(&counted.provider_id) {
                slices.insert(counted.provider_id, slice.with_total(counted.count));
            }
        }
    }
    Ok(slices)
}
