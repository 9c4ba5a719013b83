//! Lists of providers.

use jiff::{SignedDuration, Timestamp};

use crate::{
    app::App,
    cursor::{PageArgs, Slice},
    db::{
        Instant, Reader,
        ids::{CategoryId, CityId, ServiceId},
    },
    error::{Error, Result},
    features::{
        catalog::service::search_text,
        providers::model::{
            self, Filter, FreeTime, ListedProvider, Order, PriceRange, Provider, ProviderStatus,
        },
    },
    money::{Currency, MAX_AMOUNT_MINOR},
};

/// The longest stretch in which free time is looked for.
const LONGEST_STRETCH: SignedDuration = SignedDuration::from_hours(31 * 24);

/// What to look for, as it came.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Offering this service.
    pub service_id: Option<ServiceId>,
    /// Offering a service of this category.
    pub category_id: Option<CategoryId>,
    /// In this city.
    pub city_id: Option<CityId>,
    /// With this text in name, headline or bio.
    pub text: Option<String>,
    /// Rated at least this, 1 to 5, read to the hundredth.
    pub min_rating: Option<f64>,
    /// At such a price.
    pub price: Option<PriceRange>,
    /// With a bookable time between these.
    pub free: Option<(Timestamp, Timestamp)>,
}

/// How to sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// The best rated first.
    #[default]
    Rating,
    /// The cheapest first.
    Price,
    /// The newest first.
    Newest,
}

/// A search that makes sense, ready to be asked.
pub struct Query {
    /// What to look for; nothing where nothing can be found.
    filter: Option<Filter>,
    /// The order, which knows the cursors.
    pub order: Order,
    /// Whether all of them are counted, which is one more statement.
    count: bool,
}

impl Query {
    /// The page, as profiles or as what a list shows of them.
    pub async fn page<R: ListedProvider>(&self, app: &App) -> Result<Slice<R>> {
        let Self {
            filter,
            order,
            count,
        } = self;
        let Some(filter) = filter else {
            return Ok(order.nothing());
        };
        let conn = self.connection(app, filter).await?;
        let page = model::search_page(&conn, filter, order, *count);
        Ok(conn.timed(page).await?)
    }

    /// What no index answers at once would hold up those who share a connection.
    async fn connection(&self, app: &App, filter: &Filter) -> Result<Reader> {
        if filter.is_indexed(&self.order) && !self.count {
            app.db.reader().await
        } else {
            app.db.slow_reader().await.map(Reader::from)
        }
    }
}

/// The condition on free time; nothing when no booking could start in it any more.
fn free_time(app: &App, from: Timestamp, to: Timestamp) -> Result<Option<FreeTime>> {
    if from >= to {
        return Err(Error::bad_request("`free.from` must be before `free.to`."));
    }
    if to.duration_since(from) > LONGEST_STRETCH {
        return Err(Error::bad_request("`free` may span 31 days at most."));
    }
    let lead = SignedDuration::from_mins(i64::from(app.config.booking_min_lead_minutes));
    let now = app.clock.now();
    let earliest = now.checked_add(lead).map_err(Error::internal)?;
    let from = from.max(earliest);
    let step_minutes = i32::try_from(app.config.slot_step_minutes).map_err(Error::internal)?;
    Ok((from < to).then_some(FreeTime {
        from: Instant(from),
        to: Instant(to),
        now: Instant(now),
        step_minutes,
    }))
}

fn hundredths(rating: f64) -> Result<i64> {
    if !(1.0..=5.0).contains(&rating) {
        return Err(Error::bad_request("`minRating` goes from 1 to 5."));
    }
    // At most 500, and no rounding can leave the range of an i64.
    #[expect(clippy::cast_possible_truncation, reason = "checked to be at most 5")]
    let hundredths = (rating * 100.0).round() as i64;
    Ok(hundredths)
}

fn checked(range: PriceRange) -> Result<PriceRange> {
    let currency = Currency::parse(&range.currency)
        .map_err(|error| Error::bad_request(format!("`price.currency` {error}.")))?;
    let amounts = [range.min_minor, range.max_minor];
    let possible = |amount: &i64| (0..=MAX_AMOUNT_MINOR).contains(amount);
    if !amounts.iter().flatten().all(possible) {
        return Err(Error::bad_request(format!(
            "`price.minMinor` and `price.maxMinor` go from 0 to {MAX_AMOUNT_MINOR}."
        )));
    }
    if range
        .min_minor
        .zip(range.max_minor)
        .is_some_and(|(min, max)| min > max)
    {
        return Err(Error::bad_request(
            "`price.minMinor` must not be above `price.maxMinor`.",
        ));
    }
    Ok(PriceRange {
        currency: currency.code().to_owned(),
        ..range
    })
}

/// A page of approved providers. `BAD_REQUEST` for a condition that makes no sense or bad paging arguments.
pub fn search(
    app: &App,
    search: Search,
    sort: Sort,
    page: &PageArgs,
    count: bool,
) -> Result<Query> {
    let Search {
        service_id,
        category_id,
        city_id,
        text,
        min_rating,
        price,
        free,
    } = search;
    let order = match sort {
        Sort::Rating => Order::rating(page)?,
        Sort::Price => Order::price(page)?,
        Sort::Newest => Order::newest(page)?,
    };
    let text = search_text(text.as_deref())?;
    let min_rating_hundredths = min_rating.map(hundredths).transpose()?;
    let price = price.map(checked).transpose()?;
    let stretch = free
        .map(|(from, to)| free_time(app, from, to))
        .transpose()?;
    let possible = stretch.is_none_or(|free| free.is_some());
    let filter = possible.then_some(Filter {
        service_id,
        category_id,
        city_id,
        text,
        min_rating_hundredths,
        price,
        free: stretch.flatten(),
    });
    Ok(Query {
        filter,
        order,
        count,
    })
}

/// A page of profiles in this state, who applied first comes first, for staff. `BAD_REQUEST` for bad paging arguments.
pub async fn applications(
    app: &App,
    status: ProviderStatus,
    page: &PageArgs,
    count: bool,
) -> Result<Slice<Provider>> {
    let page = page.page(model::APPLICATIONS)?;
    let mut conn = app.db.slow_reader().await?;
    Ok(model::applications_page(&mut conn, status, &page, count).await?)
}
