//! Finding providers.

use diesel_async::SimpleAsyncConnection;
use serde_json::{Value, json};

use super::{
    keyset_plans::many_providers,
    providers::{PRICE, apply, approve, price, reviewer, service, slug},
    support::{Client, TestApp},
};

const SEARCH: &str = "query($filter: ProviderFilter, $sort: ProviderSort! = RATING, $first: Int, $after: String, $last: Int, $before: String) {
    providers(filter: $filter, sort: $sort, first: $first, after: $after, last: $last, before: $before) {
        nodes { id displayName rating ratingCount lowestPrice { amountMinor currency } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";

async fn names(client: &Client, filter: Value, sort: &str) -> Vec<String> {
    let answer = client
        .post(SEARCH, json!({ "filter": filter, "sort": sort }))
        .await;
    answer.data()["providers"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["displayName"].as_str().unwrap().to_owned())
        .collect()
}

/// An approved provider.
async fn provider(app: &TestApp, staff: &Client, name: &str, city: &str) -> (Client, String) {
    let client = app.user(name).await;
    let id = apply(app, &client, name, city).await;
    approve(staff, &id).await;
    (client, id)
}

fn uuid(id: &str) -> uuid::Uuid {
    id.parse::<companion::db::ids::ProviderId>().unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_is_seen_once_in_every_order_and_direction() {
    let app = TestApp::start().await;
    many_providers(&mut app.conn().await, 97).await;
    let client = app.anonymous();
    for (sort, key) in [
        ("RATING", "rating"),
        ("PRICE", "lowestPrice"),
        ("NEWEST", "id"),
    ] {
        let mut seen: Vec<Value> = Vec::new();
        let mut after = Value::Null;
        loop {
            let answer = client
                .post(SEARCH, json!({ "sort": sort, "first": 10, "after": after }))
                .await;
            let page = &answer.data()["providers"];
            seen.extend(page["nodes"].as_array().unwrap().clone());
            after = page["pageInfo"]["endCursor"].clone();
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
        }
        let mut ids: Vec<_> = seen
            .iter()
            .map(|node| node["id"].as_str().unwrap())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!((ids.len(), seen.len()), (97, 97), "{sort}");
        let first_without = seen.iter().position(|node| node[key].is_null());
        if let Some(place) = first_without {
            assert!(
                seen[place..].iter().all(|node| node[key].is_null()),
                "{sort}: NULL comes last"
            );
        }
        let mut backwards: Vec<Value> = Vec::new();
        let mut before = Value::Null;
        loop {
            let answer = client
                .post(
                    SEARCH,
                    json!({ "sort": sort, "last": 10, "before": before }),
                )
                .await;
            let page = &answer.data()["providers"];
            backwards.splice(0..0, page["nodes"].as_array().unwrap().clone());
            before = page["pageInfo"]["startCursor"].clone();
            if page["pageInfo"]["hasPreviousPage"] == false {
                break;
            }
        }
        assert_eq!(backwards, seen, "{sort}");
        let other = if sort == "PRICE" { "RATING" } else { "PRICE" };
        let foreign = client
            .post(SEARCH, json!({ "sort": other, "after": after }))
            .await;
        assert_eq!(foreign.error_code(), "BAD_REQUEST", "{sort}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_hold_together_and_for_one_price() {
    let app = TestApp::start().await;
    let staff = reviewer(&app).await;
    let walk = service(&app, &staff, "Walk", "city-companion").await;
    let chess = service(&app, &staff, "Chess", "tutoring").await;
    let (ann, ann_id) = provider(&app, &staff, "Ann", "berlin").await;
    let (bob, bob_id) = provider(&app, &staff, "Bob", "berlin").await;
    let (cat, _) = provider(&app, &staff, "Cat_100%", "paris").await;
    price(&ann, &walk, 5000, "EUR", 60).await;
    price(&ann, &chess, 1000, "EUR", 60).await;
    price(&bob, &walk, 2000, "EUR", 120).await;
    price(&cat, &walk, 2000, "USD", 60).await;
    let ratings = format!(
        "UPDATE providers SET rating_sum = 9, rating_count = 2 WHERE id = '{}';
         UPDATE providers SET rating_sum = 8, rating_count = 2 WHERE id = '{}'",
        uuid(&ann_id),
        uuid(&bob_id)
    );
    app.conn().await.batch_execute(&ratings).await.unwrap();
    let client = app.anonymous();
    let (berlin, tutoring) = (
        slug(&app, "cities", "berlin").await,
        slug(&app, "categories", "tutoring").await,
    );
    let cheap = json!({ "currency": "EUR", "maxMinor": 2000 });
    for (filter, expected) in [
        (json!({}), vec!["Ann", "Bob", "Cat_100%"]),
        (json!({ "cityId": berlin }), vec!["Ann", "Bob"]),
        (json!({ "serviceId": walk }), vec!["Ann", "Bob", "Cat_100%"]),
        (json!({ "categoryId": tutoring }), vec!["Ann"]),
        (json!({ "price": cheap }), vec!["Ann", "Bob"]),
        (json!({ "price": cheap, "serviceId": walk }), vec!["Bob"]),
        (
            json!({ "price": { "currency": "EUR", "minMinor": 2001 } }),
            vec!["Ann"],
        ),
        (json!({ "price": { "currency": "USD" } }), vec!["Cat_100%"]),
        (json!({ "minRating": 4.5 }), vec!["Ann"]),
        (json!({ "minRating": 4 }), vec!["Ann", "Bob"]),
        (json!({ "minRating": 4.51 }), vec![]),
        (json!({ "text": "cAT_1" }), vec!["Cat_100%"]),
        (json!({ "text": "%" }), vec!["Cat_100%"]),
        (json!({ "text": "A_n" }), vec![]),
        (json!({ "cityId": "nonsense" }), vec![]),
        (json!({ "serviceId": berlin }), vec![]),
    ] {
        assert_eq!(
            names(&client, filter.clone(), "RATING").await,
            expected,
            "{filter}"
        );
    }
    assert_eq!(
        names(&client, json!({}), "PRICE").await,
        ["Ann", "Bob", "Cat_100%"]
    );
    assert_eq!(
        names(&client, json!({}), "NEWEST").await,
        ["Cat_100%", "Bob", "Ann"]
    );

    let archive = "mutation($id: ID!) { serviceArchive(id: $id) { userErrors { code } } }";
    staff
        .post(archive, json!({ "id": chess }))
        .await
        .payload("serviceArchive");
    assert_eq!(
        names(&client, json!({ "categoryId": tutoring }), "RATING").await,
        [""; 0]
    );
    assert_eq!(
        names(&client, json!({}), "PRICE").await,
        ["Bob", "Ann", "Cat_100%"]
    );

    for bad in [
        json!({ "minRating": 0.5 }),
        json!({ "minRating": 5.1 }),
        json!({ "price": { "currency": "XXX" } }),
        json!({ "price": { "currency": "EUR", "minMinor": -1 } }),
        json!({ "price": { "currency": "EUR", "minMinor": 2, "maxMinor": 1 } }),
        json!({ "text": "a\nb" }),
        json!({ "free": { "from": "2026-11-22T12:00:00Z", "to": "2026-11-22T12:00:00Z" } }),
        json!({ "free": { "from": "2026-11-22T12:00:00Z", "to": "2026-12-24T12:00:00Z" } }),
    ] {
        let answer = client.post(SEARCH, json!({ "filter": bad })).await;
        assert_eq!(answer.error_code(), "BAD_REQUEST", "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_by_price_of_a_service_follows_every_change() {
    let app = TestApp::start().await;
    let staff = reviewer(&app).await;
    let walk = service(&app, &staff, "Walk", "city-companion").await;
    let chess = service(&app, &staff, "Chess", "tutoring").await;
    let (ann, ann_id) = provider(&app, &staff, "Ann", "berlin").await;
    let (bob, _) = provider(&app, &staff, "Bob", "berlin").await;
    let (cat, _) = provider(&app, &staff, "Cat", "paris").await;
    for (client, service, amount, currency) in [
        (&ann, &walk, 5000, "EUR"),
        (&bob, &walk, 4000, "EUR"),
        (&bob, &chess, 6000, "EUR"),
        (&cat, &walk, 100, "USD"),
    ] {
        price(client, service, amount, currency, 60).await;
    }
    let [tutoring, city] = [
        slug(&app, "categories", "tutoring").await,
        slug(&app, "categories", "city-companion").await,
    ];
    let anyone = app.anonymous();
    // By Walk, by Chess, of the two categories, in euros.
    let look = async |expected: [&[&str]; 5], what: &str| {
        let filters = [
            json!({ "serviceId": walk }),
            json!({ "serviceId": chess }),
            json!({ "categoryId": city }),
            json!({ "categoryId": tutoring }),
            json!({ "price": { "currency": "EUR", "minMinor": 1000 } }),
        ];
        for (filter, expected) in filters.into_iter().zip(expected) {
            let found = names(&anyone, filter.clone(), "PRICE").await;
            assert_eq!(found, expected, "{what}: {filter}");
        }
    };
    let chess_by_bob: &[&str] = &["Bob"];
    let all: &[&str] = &["Bob", "Ann", "Cat"];
    let euros: &[&str] = &["Bob", "Ann"];
    look([all, chess_by_bob, all, chess_by_bob, euros], "set").await;

    // The cheapest price of all counts, whatever service it is of.
    price(&ann, &chess, 3000, "EUR", 60).await;
    let ann_first: &[&str] = &["Ann", "Bob", "Cat"];
    let both: &[&str] = &["Ann", "Bob"];
    look([ann_first, both, ann_first, both, both], "cheaper").await;

    let mutation = async |text: String| {
        let field = text.split([' ', '(']).nth(2).unwrap().to_owned();
        staff.query(&text).await.payload(&field).clone()
    };
    mutation(format!("mutation {{ serviceUpdate(id: \"{chess}\", input: {{ categoryId: \"{city}\" }}) {{ userErrors {{ code }} }} }}")).await;
    look([ann_first, both, ann_first, &[], both], "moved").await;

    mutation(format!("mutation {{ providerSuspend(id: \"{ann_id}\", input: {{ reason: \"x\" }}) {{ userErrors {{ code }} }} }}")).await;
    let without_ann: &[&str] = &["Bob", "Cat"];
    look(
        [without_ann, chess_by_bob, without_ann, &[], chess_by_bob],
        "suspended",
    )
    .await;
    mutation(format!(
        "mutation {{ providerReinstate(id: \"{ann_id}\") {{ userErrors {{ code }} }} }}"
    ))
    .await;
    look([ann_first, both, ann_first, &[], both], "reinstated").await;

    mutation(format!(
        "mutation {{ serviceArchive(id: \"{chess}\") {{ userErrors {{ code }} }} }}"
    ))
    .await;
    look([all, &[], all, &[], euros], "archived").await;

    let off =
        json!({ "amountMinor": 4000, "currency": "EUR", "durationMinutes": 60, "active": false });
    let withdrawn = bob
        .post(PRICE, json!({ "service": walk, "input": off }))
        .await;
    withdrawn.payload("providerServicePricingSet");
    let without_bob: &[&str] = &["Ann", "Cat"];
    look([without_bob, &[], without_bob, &[], &["Ann"]], "withdrawn").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn free_means_that_a_booking_still_fits() {
    let app = TestApp::start().await;
    let staff = reviewer(&app).await;
    let walk = service(&app, &staff, "Walk", "city-companion").await;
    let (ann, id) = provider(&app, &staff, "Ann", "berlin").await;
    price(&ann, &walk, 5000, "EUR", 60).await;
    let (provider, client_id) = (
        uuid(&id),
        ann.user_id.parse::<companion::db::ids::UserId>().unwrap().0,
    );
    // A window from 10:05 to 14:00, of which 11:20 to 12:30 is held.
    let sql = format!(
        "INSERT INTO availabilities VALUES ('{0}', '{provider}', '2026-11-23T10:05Z', '2026-11-23T14:00Z', '2026-11-21Z');
         INSERT INTO boundary_policies VALUES (99, 'x', '2026-11-21Z', NULL) ON CONFLICT DO NOTHING;
         INSERT INTO bookings (id, client_id, provider_id, service_id, state, version, starts_at, ends_at, note, price_minor,
                currency, duration_minutes, cancellation_policy, boundary_version, buffer_before_minutes,
                buffer_after_minutes, answer_deadline, created_at, updated_at)
             SELECT '{0}', '{client_id}', '{provider}', id, 'REQUESTED', 1, '2026-11-23T11:20Z', '2026-11-23T12:30Z', '', 0,
                    'EUR', 70, 'FLEXIBLE', 99, 0, 0, '2026-11-22Z', '2026-11-21Z', '2026-11-21Z' FROM services;
         INSERT INTO held_times VALUES ('{0}', '{0}', NULL, '{provider}', '{client_id}',
             '[2026-11-23T11:20Z, 2026-11-23T12:30Z)', '[2026-11-23T11:20Z, 2026-11-23T12:30Z)')",
        uuid::Uuid::from_u128(1)
    );
    app.conn().await.batch_execute(&sql).await.unwrap();
    let client = app.anonymous();
    let free = async |from: &str, to: &str| {
        let range = json!({ "from": format!("2026-11-23T{from}:00Z"), "to": format!("2026-11-23T{to}:00Z") });
        !names(&client, json!({ "free": range }), "RATING")
            .await
            .is_empty()
    };
    for (from, to, expected) in [
        ("00:00", "23:00", true),
        ("10:05", "11:05", true),
        ("10:00", "11:04", false),
        // The next start after 10:05 is 10:20, and 10:20 to 11:20 is free to the minute.
        ("10:06", "11:20", true),
        ("10:21", "12:30", false),
        // After the held time the next step is 12:35.
        ("12:30", "13:35", true),
        ("12:30", "13:34", false),
        ("12:36", "13:49", false),
        ("13:00", "23:00", false),
        ("14:00", "23:00", false),
    ] {
        assert_eq!(free(from, to).await, expected, "{from} to {to}");
    }
    // The request for 11:20 is past its deadline, and nobody has swept it away.
    assert!(!free("11:20", "12:20").await);
    app.app.clock.set("2026-11-22T00:00:00Z".parse().unwrap());
    assert!(free("11:20", "12:20").await);
    // Too late to book: the least lead is 75 minutes.
    app.app.clock.set("2026-11-23T11:20:00Z".parse().unwrap());
    assert!(free("12:30", "23:00").await);
    app.app.clock.set("2026-11-23T11:50:00Z".parse().unwrap());
    assert!(!free("12:30", "23:00").await);
    app.app.clock.set("2026-11-23T23:00:00Z".parse().unwrap());
    assert!(!free("10:00", "23:00").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_with_its_edges_costs_the_same_at_any_size() {
    let app = TestApp::start().await;
    let staff = reviewer(&app).await;
    let walk = service(&app, &staff, "Walk", "city-companion").await;
    many_providers(&mut app.conn().await, 60).await;
    let (ann, _) = provider(&app, &staff, "Ann", "berlin").await;
    price(&ann, &walk, 5000, "EUR", 60).await;
    // Four completed and reviewed bookings of each, by different people.
    let reviews = "
        INSERT INTO boundary_policies VALUES (99, 'x', '2026-11-21Z', NULL);
        INSERT INTO bookings (id, client_id, provider_id, service_id, state, version, starts_at, ends_at, note,
               price_minor, currency, duration_minutes, cancellation_policy, boundary_version, buffer_before_minutes,
               buffer_after_minutes, answer_deadline, completed_at, created_at, updated_at)
            SELECT gen_random_uuid(), u.id, p.id, s.id, 'COMPLETED', 1, '2026-11-01T10:00Z', '2026-11-01T11:00Z', '',
                   0, 'EUR', 60, 'FLEXIBLE', 99, 0, 0, '2026-11-01Z', '2026-11-01T12:00Z', '2026-11-01Z', '2026-11-01Z'
            FROM providers p CROSS JOIN services s
            CROSS JOIN LATERAL (SELECT id FROM users WHERE id <> p.user_id ORDER BY md5(id::text || p.id::text) LIMIT 4) u;
        INSERT INTO reviews (id, booking_id, provider_id, author_id, rating, comment, visible, version, created_at, updated_at)
            SELECT gen_random_uuid(), id, provider_id, client_id, 5, 'Good', true, 1, '2026-11-02Z', '2026-11-02Z' FROM bookings";
    app.conn().await.batch_execute(reviews).await.unwrap();
    let query = "query($first: Int) { providers(first: $first, sort: RATING) { nodes { displayName user { displayName }
        city { name } services { service { title } price { amountMinor } }
        stats { completedBookings ratingAverage ratingCount ratingDistribution { rating count } } } } }";
    for first in [1, 20, 61] {
        let answer = app.anonymous().post(query, json!({ "first": first })).await;
        let nodes = answer.data()["providers"]["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), first);
        assert_eq!(
            answer.statements, 6,
            "providers, people, cities, prices, bookings, reviews"
        );
    }
    // Issue section 5: at most 6.
    let documented = "query($first: Int) { providers(first: $first, sort: RATING) { nodes { displayName user { displayName }
        services { service { title } price { amountMinor } }
        reviews(first: 3) { nodes { rating comment author { displayName } } } } } }";
    for first in [1, 20, 61] {
        let answer = app
            .anonymous()
            .post(documented, json!({ "first": first }))
            .await;
        let nodes = answer.data()["providers"]["nodes"].as_array().unwrap();
        let reviews = nodes
            .iter()
            .map(|node| node["reviews"]["nodes"].as_array().unwrap().len());
        assert_eq!(reviews.sum::<usize>(), 3 * first);
        assert_eq!(
            answer.statements, 4,
            "providers, people, prices with services, reviews with authors"
        );
    }
}
