//! More requests than are worked on: whoever finds no place is told at once when to come back.

use std::time::Duration;

use companion::db::ids::MediaId;
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::timeout};

use super::support::{
    Client, TestApp,
    held::{Held, LIMIT, RENAME, WAITING, name_of, rename, until_held, until_so_many_are_held},
};

/// Whether it tells to come back in a moment.
fn is_soon(refused: &reqwest::Response) -> bool {
    let after = refused.headers()["retry-after"].to_str().unwrap();
    ["1", "2", "3"].contains(&after)
}

/// Whether the metrics have this counter.
async fn is_counted(person: &Client, counter: &str) -> bool {
    let text = person.http().get(person.url("/metrics")).send().await;
    text.unwrap().text().await.unwrap().contains(counter)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_too_long_for_a_connection_is_told_when_to_come_back() {
    let app = TestApp::start_with(|config| {
        config.database_pool_size = 1;
        config.timeouts.pool_wait = Duration::from_millis(300);
    })
    .await;
    let mia = app.user("Mia").await;
    assert_eq!(name_of(&mia).await, "Mia");
    let held = Held::person(&app, &mia).await;
    let renamed = rename(&mia, "Maria");
    until_held(&app).await;
    let body = json!({ "query": "{ categories { id } }" });
    let refused = mia
        .http()
        .post(mia.url("/graphql"))
        .json(&body)
        .send()
        .await;
    let refused = refused.unwrap();
    assert_eq!(refused.status(), 503);
    assert!(is_soon(&refused));
    let refused: Value = refused.json().await.unwrap();
    assert_eq!(refused["errors"][0]["extensions"]["code"], "UNAVAILABLE");
    assert!(is_counted(&mia, "database_pool_timeouts_total").await);
    held.release().await;
    renamed.await.unwrap().payload("meUpdate");
    assert_eq!(name_of(&mia).await, "Maria");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_has_places_for_twenty_queries_and_for_no_more_than_eighty() {
    let app = TestApp::start_with(|config| config.database_read_connections = 1).await;
    let held = Held::by(&app, "LOCK TABLE providers IN ACCESS EXCLUSIVE MODE").await;
    let person = app.anonymous();
    let query = "{ providers(first: 1) { nodes { id } } }";
    let mut crowd: JoinSet<u16> = JoinSet::new();
    for _ in 0..100 {
        let person = person.clone();
        crowd.spawn(async move { person.query(query).await.status });
    }
    // Nothing leaves the connection as long as the table is held, so whoever is answered now is one too many.
    for _ in 0..20 {
        assert_eq!(crowd.join_next().await.unwrap().unwrap(), 503);
    }
    held.release().await;
    let statuses = crowd.join_all().await;
    assert!(statuses.iter().all(|status| [200, 503].contains(status)));
    // How many of the burst came in time is theirs; the usual number has places in any case.
    let served = statuses.iter().filter(|status| **status == 200).count();
    assert!((20..=80).contains(&served), "{served}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mutation_that_would_wait_in_vain_for_the_pool_is_refused_at_once() {
    let app = TestApp::start_with(|config| {
        config.database_pool_size = 1;
        // Who waits for the pool is not refused within the test.
        config.timeouts.pool_wait = 2 * LIMIT;
    })
    .await;
    let mia = app.user("Mia").await;
    assert_eq!(name_of(&mia).await, "Mia");
    let held = Held::person(&app, &mia).await;
    let first = rename(&mia, "Maria");
    until_held(&app).await;
    // The first has the connection, and ten may wait for it, for a moment.
    let mut crowd = JoinSet::new();
    for _ in 0..40 {
        let renamed = rename(&mia, "Mira");
        crowd.spawn(async move { renamed.await.unwrap() });
    }
    let refused = crowd.join_next().await.unwrap().unwrap();
    assert_eq!(
        (refused.status, refused.error_code()),
        (503, "UNAVAILABLE"),
        "{:#}",
        refused.body
    );
    // Nor does a payment event wait, which comes again, nor who signs in or sends a picture.
    let http = mia.http();
    for request in [
        http.post(mia.url("/v1/payments/webhook")).body("{}"),
        http.post(mia.url("/v1/auth/telegram"))
            .json(&json!({ "initData": "x" })),
        http.put(mia.url("/v1/uploads/x")),
    ] {
        let refused = timeout(LIMIT, request.send()).await.unwrap().unwrap();
        let (status, url) = (refused.status(), refused.url());
        assert_eq!(status, 503, "{url}");
        assert!(is_soon(&refused), "{url}");
        // No points were taken.
        assert!(refused.headers().get("ratelimit").is_none(), "{url}");
    }
    held.release().await;
    first.await.unwrap().data();
    let statuses: Vec<u16> = crowd
        .join_all()
        .await
        .iter()
        .map(|one| one.status)
        .collect();
    assert!(statuses.contains(&200), "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 503].contains(status)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_not_known_yet_and_a_picture_do_not_wait_for_the_pool() {
    let app = TestApp::start_with(|config| {
        config.database_pool_size = 1;
        config.timeouts.pool_wait = 2 * LIMIT;
    })
    .await;
    let (mia, kim) = (app.user("Mia").await, app.user("Kim").await);
    assert_eq!(name_of(&mia).await, "Mia");
    let held = Held::person(&app, &mia).await;
    let renamed = rename(&mia, "Maria");
    until_held(&app).await;
    assert_eq!(timeout(LIMIT, name_of(&kim)).await.unwrap(), "Kim");
    let no_picture = MediaId(uuid::Uuid::from_u128(1));
    let nothing = kim.http().get(kim.url(&format!("/v1/media/{no_picture}")));
    let nothing = timeout(LIMIT, nothing.send()).await.unwrap().unwrap();
    assert_eq!(nothing.status(), 404);
    held.release().await;
    renamed.await.unwrap().payload("meUpdate");
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_beyond_what_is_worked_on_are_refused_at_once() {
    let app = TestApp::start_with(|config| config.limits.queries_at_once = 1).await;
    let held = Held::by(&app, "LOCK TABLE providers IN ACCESS EXCLUSIVE MODE").await;
    let person = app.anonymous();
    let waiting = tokio::spawn({
        let person = person.clone();
        async move {
            person
                .query("{ providers(first: 1) { nodes { id } } }")
                .await
        }
    });
    until_held(&app).await;

    let query = json!({ "query": "{ __typename }" });
    // Of a batch everything is, a mutation that would have come first too.
    let logout = "mutation { authLogout(refreshToken: \"x\") { userErrors { code } } }";
    for asked in [query.clone(), json!([{ "query": logout }, query])] {
        let request = person.http().post(person.url("/graphql")).json(&asked);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 503);
        assert!(is_soon(&response));
        // No points were taken.
        assert!(response.headers().get("ratelimit").is_none());
        let body: serde_json::Value = response.json().await.unwrap();
        assert_eq!(body["errors"][0]["extensions"]["code"], "UNAVAILABLE");
        assert!(body.get("data").is_none(), "{body}");
    }
    // A mutation is none of them.
    let mutation = person.query(logout).await;
    assert_ne!(mutation.status, 503, "{:#}", mutation.body);

    held.release().await;
    waiting.await.unwrap().data();
    person.query("{ __typename }").await.data();
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_wait_for_one_another_and_nobody_else_waits_for_them() {
    let app = TestApp::start_with(|config| {
        config.database_pool_size = 2;
        // As many as may be in the lane of slow reads: one that reads, and twenty that wait.
        config.limits.queries_at_once = 21;
        config.timeouts.pool_wait = 2 * LIMIT;
        config.timeouts.request = 2 * LIMIT;
        config.timeouts.statement = 2 * LIMIT;
    })
    .await;
    let mia = app.user("Mia").await;
    let held = Held::by(&app, "LOCK TABLE cities IN ACCESS EXCLUSIVE MODE").await;
    let mut crowd = JoinSet::new();
    for _ in 0..41 {
        let person = app.anonymous();
        crowd.spawn(async move { person.query("{ cities { id } }").await });
    }
    for _ in 0..20 {
        let refused = timeout(LIMIT, crowd.join_next()).await.unwrap();
        assert_eq!(refused.unwrap().unwrap().status, 503);
    }
    // What no index answers is refused at once, and told when to come back.
    for slow in [
        "{ categories { id } }",
        "{ services(first: 1) { totalCount } }",
        "{ providers(first: 1) { totalCount } }",
        "{ me { bookings(first: 1) { totalCount } } }",
        "{ me { sessions(first: 1) { nodes { id } } } }",
    ] {
        let request = mia.http().post(mia.url("/graphql"));
        let request = request.bearer_auth(mia.token().unwrap());
        let request = request.json(&json!({ "query": slow })).send();
        let refused = timeout(LIMIT, request).await.unwrap().unwrap();
        assert_eq!(refused.status(), 503, "{slow}");
        assert!(is_soon(&refused), "{slow}");
        let refused: Value = refused.json().await.unwrap();
        assert_eq!(refused["errors"][0]["extensions"]["code"], "UNAVAILABLE");
    }
    assert!(is_counted(&mia, "companion_requests_shed_total{kind=\"slow_query\"}").await);
    // All places are taken and half of the pool, by queries that nobody has to wait for; what an index answers is read
    // beside them.
    let services = mia.query("{ services(first: 1) { nodes { id } } }");
    timeout(LIMIT, services).await.unwrap().data();
    assert_eq!(timeout(LIMIT, name_of(&mia)).await.unwrap(), "Mia");
    let renamed = timeout(LIMIT, rename(&mia, "Maria")).await.unwrap();
    renamed.unwrap().payload("meUpdate");
    held.release().await;
    for served in crowd.join_all().await {
        served.data();
    }
    mia.query("{ cities { id } }").await.data();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_nobody_waits_for_any_more_keeps_its_turn_until_it_is_over() {
    let app = TestApp::start_with(|config| {
        config.database_pool_size = 2;
        config.timeouts.request = Duration::from_secs(2);
        config.timeouts.pool_wait = 2 * LIMIT;
        config.timeouts.statement = 2 * LIMIT;
    })
    .await;
    let person = app.user("Mia").await;
    let held = Held::by(&app, "LOCK TABLE cities IN ACCESS EXCLUSIVE MODE").await;
    for _ in 0..2 {
        let answer = person.query("{ cities { id } }").await;
        assert_eq!((answer.status, answer.error_code()), (504, "TIMEOUT"));
    }
    // PostgreSQL has the first one's statement still: nobody gets its connection, and half of the pool is left to others.
    assert_eq!(app.number(WAITING).await, 1);
    let renamed = timeout(LIMIT, rename(&person, "Maria")).await.unwrap();
    renamed.unwrap().payload("meUpdate");
    held.release().await;
    person.query("{ cities { id } }").await.data();
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_searches_as_a_query_may_have_wait_for_one_another() {
    let app = TestApp::start_with(|config| config.database_pool_size = 1).await;
    let owner = app.user("Pro").await;
    app.provider_row(&owner, "FLEXIBLE").await;
    // Of one connection, three reads a field: a page with its count, and two below it.
    let search = "providers(first: 1) { totalCount nodes {
        stats { completedBookings } reviews(first: 1) { totalCount } } }";
    let searches: String = (0..20).map(|at| format!("search{at}: {search} ")).collect();
    let answer = app.anonymous().query(&format!("{{ {searches} }}")).await;
    let found = answer.data().as_object().unwrap();
    assert!(found.values().all(|found| found["totalCount"] == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_gives_its_place_back_while_its_mutation_waits() {
    let app = TestApp::start_with(|config| config.limits.queries_at_once = 1).await;
    let mia = app.user("Mia").await;
    let held = Held::person(&app, &mia).await;
    let query = json!({ "query": "{ __typename }" });
    let renamed = json!({ "query": RENAME, "variables": { "name": "Maria" } });
    let batch = mia
        .http()
        .post(mia.url("/graphql"))
        .bearer_auth(mia.token().unwrap())
        .json(&json!([query, renamed, query]));
    let batch = tokio::spawn(batch.send());
    until_held(&app).await;
    // It waits for somebody else, and so would everybody who wants to read.
    mia.query("{ __typename }").await.data();
    held.release().await;
    let answers: Value = batch.await.unwrap().unwrap().json().await.unwrap();
    let answers = answers.as_array().unwrap();
    assert!(answers.iter().all(|answer| answer["data"].is_object()));
    assert_eq!(answers.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_which_a_part_is_refused_says_when_to_come_back() {
    let app = TestApp::start_with(|config| config.limits.queries_at_once = 1).await;
    let mia = app.user("Mia").await;
    let person = Held::person(&app, &mia).await;
    // Its answer needs no connection on which somebody else waits.
    let rename = json!({ "query": "mutation {
        meUpdate(input: { displayName: \"Maria\" }) { userErrors { code } } }" });
    let batch = json!([rename, { "query": "{ __typename }" }, rename]);
    let request = mia.http().post(mia.url("/graphql"));
    let request = request.bearer_auth(mia.token().unwrap()).json(&batch);
    let batch = tokio::spawn(request.send());
    until_held(&app).await;
    // Somebody else takes the place of its query.
    let table = Held::by(&app, "LOCK TABLE providers IN ACCESS EXCLUSIVE MODE").await;
    let anybody = app.anonymous();
    let query = "{ providers(first: 1) { nodes { id } } }";
    let other = tokio::spawn(async move { anybody.query(query).await });
    until_so_many_are_held(&app, 2).await;
    person.release().await;
    let answers = timeout(LIMIT, batch).await.unwrap().unwrap().unwrap();
    assert_eq!(answers.status(), 200);
    assert!(is_soon(&answers));
    let answers: Value = answers.json().await.unwrap();
    let refused = &answers[1]["errors"][0]["extensions"];
    assert_eq!(refused["code"], "UNAVAILABLE", "{answers:#}");
    for renamed in [&answers[0], &answers[2]] {
        assert_eq!(renamed["data"]["meUpdate"]["userErrors"], json!([]));
    }
    table.release().await;
    other.await.unwrap().data();
}
