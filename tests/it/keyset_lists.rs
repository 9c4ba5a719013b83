//! A far page of what grows with every day costs what the first one costs: bookings, orders, reviews, reports and
//! blocks, each list with each of its filters, by the row counts of the plans.

use companion::{
    cursor::{self, Page},
    db::{
        Instant,
        ids::{BookingId, OrderId, ProviderId, ReportId, ReviewId, ServiceId, UserId},
    },
    features::{
        blocks::model as blocks,
        bookings::{
            model::{self as bookings, State, pages},
            service::Order,
        },
        payments::model::{self as orders, OrderState},
        reports::model::{self as reports, ReportReason, ReportState},
        reviews::model::{OfProviders, Review, ReviewCard, ReviewsQuery},
    },
};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, de::DeserializeOwned};

use super::support::{
    market::{Market, uuid},
    plans::{after, before, reads_at_most, reads_only_for_any_values, reads_only_its_page},
};

const ROWS: i64 = 100_000;

/// Rows of a page whose filter lets many rows through: the planner may walk the index on time and skip some others.
const FEW: u64 = 5 * 21;

/// The time of the row of this number; three rows share one.
fn time(number: i64) -> Instant {
    let first: Timestamp = "2014-01-01T00:00:00Z".parse().unwrap();
    Instant(first + SignedDuration::from_hours(number / 3))
}

/// The UUID of the row of this number.
fn id(number: i64) -> uuid::Uuid {
    format!("019aa000-0000-7000-8000-0010{number:08x}")
        .parse()
        .unwrap()
}

/// The first page of an order, those in its middle and at its end, and the one before the middle.
fn some_pages<K: Serialize + DeserializeOwned>(order: &str, place: fn(i64) -> K) -> Vec<Page<K>> {
    let cursor = |number| cursor::encode(order, &place(number)).unwrap();
    [
        after(None),
        after(Some(cursor(ROWS / 2))),
        after(Some(cursor(40))),
        after(Some(cursor(ROWS - 40))),
        before(cursor(ROWS / 2)),
    ]
    .iter()
    .map(|args| args.page(order).unwrap())
    .collect()
}

/// Bookings of one client and one provider, each with an order, a review and a report. The rows' checks hold; their
/// triggers, which keep sums that nothing here reads, are off.
async fn many_rows(conn: &mut AsyncPgConnection, market: &Market, rows: i64) {
    let client = uuid::<UserId>(&market.client.user_id);
    let provider = uuid::<ProviderId>(&market.provider_id);
    let service = uuid::<ServiceId>(&market.service_id);
    let numbers = format!(
        "generate_series(1, {rows}) i,
         LATERAL (SELECT ('019aa000-0000-7000-8000-0010' || lpad(to_hex(i), 8, '0'))::uuid AS id,
                         '2014-01-01Z'::timestamptz + (i / 3) * interval '1 hour' AS at) x"
    );
    conn.batch_execute(&format!(
        "SET session_replication_role = replica;
         INSERT INTO bookings (id, client_id, provider_id, service_id, state, version, starts_at, ends_at, note,
                 price_minor, currency, duration_minutes, cancellation_policy, boundary_version, buffer_before_minutes,
                 buffer_after_minutes, answer_deadline, payment_deadline, completed_at, needs_attention, created_at, updated_at)
             SELECT id, '{client}', '{provider}', '{service}',
                 CASE WHEN i % 5000 = 0 THEN 'REQUESTED' WHEN i % 5000 = 1 THEN 'ACCEPTED' WHEN i % 5 = 2 THEN 'EXPIRED'
                      WHEN i % 3 = 0 THEN 'CANCELLED' ELSE 'COMPLETED' END,
                 1, at, at + interval '1 hour', '', 100, 'EUR', 60, 'STRICT', 1, 0, 0,
                 CASE WHEN i % 10000 = 0 THEN at ELSE '2099-01-01Z' END,
                 CASE WHEN i % 10000 = 1 THEN at ELSE '2099-01-01Z' END, at,
                 CASE WHEN i % 1000 = 7 THEN 'Look' END, at, at
             FROM {numbers};
         INSERT INTO orders (id, booking_id, client_id, state, currency, total_minor, captured_minor, paid_at,
                 needs_attention, version, created_at, updated_at)
             SELECT id, id, '{client}', CASE WHEN i % 5000 = 0 THEN 'PENDING' WHEN i % 2 = 0 THEN 'PAID' ELSE 'EXPIRED' END,
                 'EUR', 100, 0, CASE WHEN i % 5000 > 0 AND i % 2 = 0 THEN at END,
                 CASE WHEN i % 1000 = 7 THEN 'Look' END, 1, at, at
             FROM {numbers};
         INSERT INTO reviews (id, booking_id, provider_id, author_id, rating, comment, visible, hidden_reason, version,
                 created_at, updated_at)
             SELECT id, id, '{provider}', '{client}', CASE WHEN i % 1000 = 0 THEN 1 ELSE 5 END, '', i % 10 > 0,
                 CASE WHEN i % 10 = 0 THEN 'x' END, 1, at, at
             FROM {numbers};
         INSERT INTO reports (id, reporter_id, booking_id, reason, details, state, resolution, resolved_by, resolved_at,
                 version, created_at)
             SELECT id, '{client}', id, CASE WHEN i % 2000 = 0 THEN 'SAFETY' ELSE 'SPAM' END, '',
                 CASE WHEN i % 1000 = 0 THEN 'OPEN' ELSE 'DISMISSED' END, '', '{client}',
                 CASE WHEN i % 1000 > 0 THEN at END, 1, at
             FROM {numbers};
         INSERT INTO user_blocks SELECT '{client}', id, at FROM {numbers};
         RESET session_replication_role;
         ANALYZE bookings; ANALYZE orders; ANALYZE reviews; ANALYZE reports; ANALYZE user_blocks"
    ))
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn far_pages_of_what_grows_touch_no_more_rows_than_the_first() {
    let market = Market::open().await;
    let mut conn = market.app.conn().await;
    many_rows(&mut conn, &market, ROWS).await;
    bookings_lists(&mut conn, &market).await;
    let client = UserId(uuid::<UserId>(&market.client.user_id));
    let provider = ProviderId(uuid::<ProviderId>(&market.provider_id));

    let place = |number| (time(number), OrderId(id(number)));
    let all = orders::Filter::default();
    let of = |state| orders::Filter {
        state: Some(state),
        ..all
    };
    for filter in [
        all,
        of(OrderState::Paid),
        of(OrderState::Pending),
        orders::Filter {
            client: Some(client),
            ..all
        },
        orders::Filter {
            needs_attention: Some(true),
            ..all
        },
    ] {
        for page in some_pages("order", place) {
            let query = orders::page_query(filter, &page);
            reads_at_most(
                &mut conn,
                FEW,
                &format!("orders, {filter:?} {page:?}"),
                query,
            )
            .await;
        }
    }

    reviews_lists(&mut conn, provider).await;
    // One profile with many reviews among thousands with a few, as which the planner takes them all, and many authors.
    conn.batch_execute(
        "SET session_replication_role = replica;
         INSERT INTO users (id, display_name, language, status, version, created_at, updated_at)
             SELECT md5(i::text)::uuid, 'User ' || i, 'EN', 'ACTIVE', 1, now(), now() FROM generate_series(0, 100000) i;
         INSERT INTO reviews (id, booking_id, provider_id, author_id, rating, comment, visible, version, created_at, updated_at)
             SELECT gen_random_uuid(), gen_random_uuid(), md5((i / 3)::text)::uuid, md5((i / 3)::text)::uuid, 5, '', true, 1,
                 now(), now()
             FROM generate_series(1, 300000) i;
         RESET session_replication_role;
         ANALYZE reviews; ANALYZE users",
    )
    .await
    .unwrap();
    reviews_lists(&mut conn, provider).await;

    let place = |number| (time(number), ReportId(id(number)));
    for (reporter, state, reason) in [
        (None, None, None),
        (None, Some(ReportState::Open), None),
        (None, Some(ReportState::Dismissed), None),
        (None, None, Some(ReportReason::Safety)),
        (None, Some(ReportState::Open), Some(ReportReason::Spam)),
        (Some(client), None, None),
    ] {
        let filter = reports::Filter {
            reporter,
            state,
            reason,
        };
        for page in some_pages("report", place) {
            let query = reports::list_query(filter, reporter.is_some(), &page);
            reads_at_most(
                &mut conn,
                FEW,
                &format!("reports, {filter:?} {page:?}"),
                query,
            )
            .await;
        }
    }

    let place = |number| (time(number), UserId(id(number)));
    for page in some_pages("block", place) {
        let query = blocks::of_blocker_query(client, &page);
        reads_only_its_page(&mut conn, &format!("blocks, {page:?}"), query).await;
    }
}

async fn bookings_lists(conn: &mut AsyncPgConnection, market: &Market) {
    let now = Instant(market.app.now());
    let all = pages::Filter::default();
    let mine = pages::Filter {
        client_id: Some(UserId(uuid::<UserId>(&market.client.user_id))),
        ..all.clone()
    };
    let theirs = pages::Filter {
        provider_id: Some(ProviderId(uuid::<ProviderId>(&market.provider_id))),
        ..all.clone()
    };
    let of_service = pages::Filter {
        service_id: Some(ServiceId(uuid::<ServiceId>(&market.service_id))),
        ..all.clone()
    };
    let to_look_at = pages::Filter {
        needs_attention: Some(true),
        ..all.clone()
    };
    let place = |number| (time(number), BookingId(id(number)));
    let in_order = |order: Order| some_pages(order.name(), place);
    for (filter, order) in [
        (&mine, Order::Start),
        (&theirs, Order::Start),
        (&all, Order::Creation),
        (&mine, Order::Creation),
        (&theirs, Order::Creation),
        (&of_service, Order::Creation),
        (&to_look_at, Order::Creation),
    ] {
        for page in in_order(order) {
            let query = match order {
                Order::Start => filter.by_start_query(now, &page),
                Order::Creation => filter.by_creation_query(now, &page),
            };
            let what = format!("bookings, {order:?} {filter:?} {page:?}");
            reads_only_its_page(conn, &what, query).await;
        }
    }

    // By state, a page of each stored state that can show as one of them.
    for (states, stored) in [
        (vec![State::Completed], 1),
        (vec![State::Requested], 1),
        (vec![State::Requested, State::Accepted, State::Confirmed], 3),
        (vec![State::Expired], 3),
        (vec![State::Cancelled, State::Completed], 2),
    ] {
        for (filter, order) in [
            (&mine, Order::Start),
            (&theirs, Order::Start),
            (&all, Order::Creation),
        ] {
            let filter = pages::Filter {
                states: Some(states.clone()),
                ..filter.clone()
            };
            for page in in_order(order) {
                let query = match order {
                    Order::Start => filter.by_start_query(now, &page),
                    Order::Creation => filter.by_creation_query(now, &page),
                };
                let what = format!("bookings, {order:?} {filter:?} {page:?}");
                reads_at_most(conn, FEW * stored, &what, query).await;
            }
        }
    }

    // What the sweep looks for: twenty rows.
    let overdue = bookings::overdue_query(now, &[], 100);
    reads_at_most(conn, 20, "overdue", overdue).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_by_state_shows_each_booking_once_in_order() {
    const ROWS: i64 = 20_000;
    let market = Market::open().await;
    let app = &market.app;
    let mut conn = app.conn().await;
    many_rows(&mut conn, &market, ROWS).await;
    let staff = &market.staff;
    let shown = |states: &str| {
        let query = format!(
            "{{ bookings(filter: {{ states: [{states}] }}, first: 100) {{ nodes {{ id state }} totalCount }} }}"
        );
        async move {
            let answer = staff.query(&query).await;
            let list = answer.data()["bookings"].clone();
            let nodes = list["nodes"].as_array().unwrap().clone();
            let ids: Vec<String> = nodes
                .iter()
                .map(|node| node["id"].as_str().unwrap().to_owned())
                .collect();
            (ids, list["totalCount"].clone())
        }
    };
    // Of four each, half are past their deadline.
    let (open, total) = shown("REQUESTED, ACCEPTED").await;
    let expected: Vec<String> = (1..=ROWS)
        .rev()
        .filter(|number| [5000, 5001].contains(&(number % 10_000)))
        .map(|number| BookingId(id(number)).to_string())
        .collect();
    assert_eq!((open, total), (expected, serde_json::json!(4)));
    let (expired, total) = shown("EXPIRED").await;
    assert_eq!(total, serde_json::json!(4004));
    let expected: Vec<String> = (1..=ROWS)
        .rev()
        .filter(|number| number % 10_000 < 2 || number % 5 == 2)
        .take(100)
        .map(|number| BookingId(id(number)).to_string())
        .collect();
    assert_eq!(expired, expected);
}

async fn reviews_lists(conn: &mut AsyncPgConnection, provider: ProviderId) {
    let providers = [provider];
    let place = |number| (time(number), ReviewId(id(number)));
    for rating in [None, Some(1), Some(5)] {
        for page in some_pages("review", place) {
            let query = ReviewsQuery {
                rating,
                limit: page.fetch,
                backwards: page.backwards,
                from: page.from,
            };
            let what = format!("reviews, {query:?}");
            let rows = OfProviders::<Review>::new(&providers, &query);
            reads_only_its_page(conn, &what, rows).await;
            let cards = || OfProviders::<ReviewCard>::new(&providers, &query);
            reads_only_its_page(conn, &what, cards()).await;
            reads_only_for_any_values(conn, &["reviews", "users"], 21, &what, cards()).await;
        }
    }
}
