//! Applications, profiles and prices of providers. Search is in `providers_search`.

use diesel::QueryableByName;
use diesel_async::RunQueryDsl;
use serde_json::{Value, json};

use super::support::{Answer, Client, TestApp};

pub const APPLY: &str = "mutation($input: ProviderApplyInput!) { providerApply(input: $input) {
    provider { id status displayName headline timeZone cancellationPolicy version city { slug } }
    userErrors { code field details } } }";
const UPDATE: &str = "mutation($id: ID!, $input: ProviderUpdateInput!, $version: Int) {
    providerUpdate(id: $id, input: $input, expectedVersion: $version) {
        provider { displayName headline bio timeZone cancellationPolicy version city { slug } }
        userErrors { code field details } } }";
const WITHDRAW: &str = "mutation($id: ID!) { providerApplicationWithdraw(id: $id) {
    provider { status version } userErrors { code field details } } }";
pub const REVIEW: &str =
    "mutation($id: ID!, $input: ProviderApplicationReviewInput!, $version: Int) {
    providerApplicationReview(id: $id, input: $input, expectedVersion: $version) {
        provider { status decisionReason version } userErrors { code field details } } }";
const SUSPEND: &str = "mutation($id: ID!, $reason: String!) {
    providerSuspend(id: $id, input: { reason: $reason }) {
        provider { status decisionReason } userErrors { code field details } } }";
const REINSTATE: &str = "mutation($id: ID!) { providerReinstate(id: $id) {
    provider { status decisionReason } userErrors { code field details } } }";
pub const PRICE: &str = "mutation($service: ID!, $input: ProviderServicePricingSetInput!, $version: Int) {
    providerServicePricingSet(serviceId: $service, input: $input, expectedVersion: $version) {
        providerService { id active durationMinutes version price { amountMinor currency formatted } service { title } }
        userErrors { code field details } } }";
const PROVIDER: &str = "query($id: ID!) { provider(id: $id) { status decisionReason appliedAt
    services { active service { title } } } }";

/// The id of the city or category with this slug.
pub async fn slug(app: &TestApp, list: &str, slug: &str) -> String {
    let answer = app
        .anonymous()
        .query(&format!("{{ {list} {{ id slug }} }}"))
        .await;
    answer.data()[list]
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["slug"] == slug)
        .unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Applies; answers the profile's id.
pub async fn apply(app: &TestApp, client: &Client, name: &str, city: &str) -> String {
    let city = slug(app, "cities", city).await;
    let input = json!({ "displayName": name, "cityId": city });
    let answer = client.post(APPLY, json!({ "input": input })).await;
    answer.payload("providerApply")["provider"]["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

pub async fn approve(staff: &Client, id: &str) {
    let variables = json!({ "id": id, "input": { "decision": "APPROVE" } });
    staff
        .post(REVIEW, variables)
        .await
        .payload("providerApplicationReview");
}

pub async fn reviewer(app: &TestApp) -> Client {
    app.user_with_permissions("Staff", &["providers:*", "services:write"])
        .await
}

/// Adds a service to the catalog; answers its id.
pub async fn service(app: &TestApp, staff: &Client, title: &str, category: &str) -> String {
    let category = slug(app, "categories", category).await;
    let query = "mutation($input: ServiceCreateInput!) { serviceCreate(input: $input) { service { id } userErrors { code } } }";
    let input = json!({ "categoryId": category, "title": title });
    let answer = staff.post(query, json!({ "input": input })).await;
    answer.payload("serviceCreate")["service"]["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

pub async fn price(client: &Client, service: &str, amount: i64, currency: &str, minutes: i32) {
    let input = json!({ "amountMinor": amount, "currency": currency, "durationMinutes": minutes });
    let variables = json!({ "service": service, "input": input });
    client
        .post(PRICE, variables)
        .await
        .payload("providerServicePricingSet");
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    count: i64,
}

async fn count(app: &TestApp, from: &str) -> i64 {
    let row: Count = diesel::sql_query(format!("SELECT count(*) AS count FROM {from}"))
        .get_result(&mut app.conn().await)
        .await
        .unwrap();
    row.count
}

fn error(answer: &Answer, mutation: &str) -> Value {
    let errors = answer.data()[mutation]["userErrors"].clone();
    assert_eq!(errors.as_array().map(Vec::len), Some(1), "{errors}");
    errors[0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn from_application_to_approval() {
    let app = TestApp::start().await;
    let (mia, staff) = (app.user("Mia").await, reviewer(&app).await);
    let berlin = slug(&app, "cities", "berlin").await;
    let input =
        json!({ "displayName": " Mia ", "headline": "Walks", "bio": "a\r\nb", "cityId": berlin });
    let answer = mia.post(APPLY, json!({ "input": input })).await;
    let provider = &answer.payload("providerApply")["provider"];
    let id = provider["id"].as_str().unwrap();
    assert_eq!(
        *provider,
        json!({ "id": id, "status": "PENDING", "displayName": "Mia", "headline": "Walks",
            "timeZone": "Europe/Berlin", "cancellationPolicy": "FLEXIBLE", "version": 1, "city": { "slug": "berlin" } })
    );
    let again = mia.post(APPLY, json!({ "input": input })).await;
    assert_eq!(error(&again, "providerApply")["code"], "ALREADY_EXISTS");

    let waiting = staff
        .query("{ providerApplications { nodes { id } totalCount } }")
        .await;
    assert_eq!(
        waiting.data()["providerApplications"],
        json!({ "nodes": [{ "id": id }], "totalCount": 1 })
    );
    approve(&staff, id).await;
    let mia = app.sign_in(mia.user_id.parse().unwrap()).await;
    let answer = mia
        .query("{ me { provider { id status bio reviewedAt } } }")
        .await;
    assert_eq!(
        answer.data()["me"]["provider"],
        json!({ "id": id, "status": "APPROVED", "bio": "a\nb", "reviewedAt": app.now().to_string() })
    );
    assert_eq!(
        answer.statements, 3,
        "a new session's rights, the person, the profile"
    );
    let twice = staff
        .post(
            REVIEW,
            json!({ "id": id, "input": { "decision": "APPROVE" } }),
        )
        .await;
    let twice = error(&twice, "providerApplicationReview");
    assert_eq!(
        (&twice["code"], &twice["details"]["state"]),
        (&json!("INVALID_STATE"), &json!("APPROVED"))
    );
    assert_eq!(count(&app, "audit_events WHERE action IN ('provider.apply', 'provider.approve') AND outcome = 'DONE'").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_rejected_or_withdrew_applies_again_with_the_same_profile() {
    let app = TestApp::start().await;
    let (mia, staff) = (app.user("Mia").await, reviewer(&app).await);
    let id = apply(&app, &mia, "Mia", "berlin").await;
    let missing = staff
        .post(
            REVIEW,
            json!({ "id": id, "input": { "decision": "REJECT", "reason": " " } }),
        )
        .await;
    assert_eq!(
        error(&missing, "providerApplicationReview")["field"],
        json!(["input", "reason"])
    );
    let rejected = staff
        .post(REVIEW, json!({ "id": id, "input": { "decision": "REJECT", "reason": "No photo" }, "version": 1 }))
        .await;
    assert_eq!(
        rejected.payload("providerApplicationReview")["provider"],
        json!({ "status": "REJECTED", "decisionReason": "No photo", "version": 2 })
    );
    let closed = mia
        .post(UPDATE, json!({ "id": id, "input": { "bio": "x" } }))
        .await;
    assert_eq!(
        error(&closed, "providerUpdate")["details"]["state"],
        "REJECTED"
    );
    assert_eq!(apply(&app, &mia, "Mia B", "paris").await, id);
    let stale = staff
        .post(
            REVIEW,
            json!({ "id": id, "input": { "decision": "APPROVE" }, "version": 2 }),
        )
        .await;
    assert_eq!(
        error(&stale, "providerApplicationReview")["code"],
        "CONFLICT"
    );

    let withdrawn = mia.post(WITHDRAW, json!({ "id": id })).await;
    assert_eq!(
        withdrawn.payload("providerApplicationWithdraw")["provider"]["status"],
        "WITHDRAWN"
    );
    let twice = mia.post(WITHDRAW, json!({ "id": id })).await;
    assert_eq!(
        error(&twice, "providerApplicationWithdraw")["code"],
        "INVALID_STATE"
    );
    assert_eq!(apply(&app, &mia, "Mia C", "paris").await, id);
    assert_eq!(count(&app, "providers").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_fields_of_an_application_come_together_and_write_nothing() {
    let app = TestApp::start().await;
    let mia = app.user("Mia").await;
    let input = json!({ "displayName": "", "headline": "a\nb", "bio": "x".repeat(4001), "timeZone": "Mars/Base", "cityId": "x" });
    let answer = mia.post(APPLY, json!({ "input": input })).await;
    let fields: Vec<_> = answer.data()["providerApply"]["userErrors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| (error["code"].clone(), error["field"][1].clone()))
        .collect();
    let bad = json!("INVALID_INPUT");
    assert_eq!(
        fields,
        ["displayName", "headline", "bio", "timeZone"].map(|field| (bad.clone(), json!(field)))
    );
    for city in ["x", "cty_01h2xcejqtf2nbrexx3vqjhp41"] {
        let input = json!({ "displayName": "Mia", "cityId": city });
        let answer = mia.post(APPLY, json!({ "input": input })).await;
        assert_eq!(
            error(&answer, "providerApply"),
            json!({ "code": "NOT_FOUND", "field": ["input", "cityId"], "details": null })
        );
    }
    let forbidden = app
        .anonymous()
        .post(
            APPLY,
            json!({ "input": { "displayName": "x", "cityId": "x" } }),
        )
        .await;
    assert_eq!(forbidden.error_code(), "FORBIDDEN");
    assert_eq!(count(&app, "providers").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_applications_at_once_make_one_profile() {
    let app = TestApp::start().await;
    let mia = app.user("Mia").await;
    let berlin = slug(&app, "cities", "berlin").await;
    let variables = json!({ "input": { "displayName": "Mia", "cityId": berlin } });
    let answers =
        futures_util::future::join_all((0..10).map(|_| mia.post(APPLY, variables.clone()))).await;
    let lost = answers
        .iter()
        .filter(|answer| answer.user_error_codes("providerApply") == ["ALREADY_EXISTS"])
        .count();
    assert_eq!((lost, count(&app, "providers").await), (9, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_changed_by_its_owner_alone() {
    let app = TestApp::start().await;
    let (mia, eve, staff) = (
        app.user("Mia").await,
        app.user("Eve").await,
        reviewer(&app).await,
    );
    let id = apply(&app, &mia, "Mia", "berlin").await;
    let change = json!({ "id": id, "input": { "displayName": "Eve" } });
    assert_eq!(
        error(&eve.post(UPDATE, change.clone()).await, "providerUpdate")["code"],
        "NOT_FOUND"
    );
    assert_eq!(
        error(&staff.post(UPDATE, change.clone()).await, "providerUpdate")["code"],
        "NOT_ALLOWED"
    );
    assert_eq!(
        error(
            &staff.post(WITHDRAW, json!({ "id": id })).await,
            "providerApplicationWithdraw"
        )["code"],
        "NOT_ALLOWED"
    );
    approve(&staff, &id).await;
    assert_eq!(
        error(&eve.post(UPDATE, change).await, "providerUpdate")["code"],
        "NOT_ALLOWED"
    );

    let nothing = json!({ "displayName": null, "cityId": null, "cancellationPolicy": null });
    let answer = mia
        .post(UPDATE, json!({ "id": id, "input": nothing }))
        .await;
    assert_eq!(
        answer.user_error_codes("providerUpdate"),
        ["INVALID_INPUT"; 3]
    );
    let tokyo = slug(&app, "cities", "tokyo").await;
    let input = json!({ "headline": "Hi", "bio": null, "cityId": tokyo, "timeZone": null, "cancellationPolicy": "STRICT" });
    let answer = mia
        .post(UPDATE, json!({ "id": id, "input": input, "version": 2 }))
        .await;
    assert_eq!(
        answer.payload("providerUpdate")["provider"],
        json!({ "displayName": "Mia", "headline": "Hi", "bio": "", "timeZone": "Asia/Tokyo",
            "cancellationPolicy": "STRICT", "version": 3, "city": { "slug": "tokyo" } })
    );
    let stale = mia
        .post(UPDATE, json!({ "id": id, "input": {}, "version": 2 }))
        .await;
    assert_eq!(error(&stale, "providerUpdate")["code"], "CONFLICT");

    // A zone of one's own stays whatever the city; a cleared one is the city's, the old one's or the new one's.
    let berlin = slug(&app, "cities", "berlin").await;
    for (input, city, zone) in [
        (json!({ "timeZone": "UTC" }), "tokyo", "UTC"),
        (json!({ "headline": "" }), "tokyo", "UTC"),
        (json!({ "cityId": berlin }), "berlin", "UTC"),
        (json!({ "timeZone": null }), "berlin", "Europe/Berlin"),
        (
            json!({ "cityId": tokyo, "timeZone": null }),
            "tokyo",
            "Asia/Tokyo",
        ),
    ] {
        let answer = mia.post(UPDATE, json!({ "id": id, "input": input })).await;
        let provider = &answer.payload("providerUpdate")["provider"];
        assert_eq!(provider["city"]["slug"], city, "{input}");
        assert_eq!(provider["timeZone"], zone, "{input}");
    }
    let absent = companion::db::ids::CityId(app.app.entropy.uuid_v7(app.now()));
    for city in [absent.to_string(), id.to_string()] {
        let input = json!({ "cityId": city });
        let answer = mia.post(UPDATE, json!({ "id": id, "input": input })).await;
        let error = error(&answer, "providerUpdate");
        assert_eq!(error["code"], "NOT_FOUND", "{city}");
        assert_eq!(error["field"], json!(["input", "cityId"]), "{city}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_owner_and_staff_know_of_what_is_not_approved() {
    let app = TestApp::start().await;
    let (mia, eve, staff) = (
        app.user("Mia").await,
        app.user("Eve").await,
        reviewer(&app).await,
    );
    let reader = app
        .user_with_permissions("Reader", &["providers:read"])
        .await;
    let walk = service(&app, &staff, "Walk", "city-companion").await;
    let swim = service(&app, &staff, "Swim", "wellness-sport").await;
    let id = apply(&app, &mia, "Mia", "berlin").await;
    price(&mia, &walk, 1000, "EUR", 60).await;
    price(&mia, &swim, 0, "EUR", 60).await;
    let off =
        json!({ "amountMinor": 0, "currency": "EUR", "durationMinutes": 30, "active": false });
    mia.post(PRICE, json!({ "service": swim, "input": off }))
        .await
        .payload("providerServicePricingSet");

    let look = async |client: &Client| {
        let answer = client.post(PROVIDER, json!({ "id": id })).await;
        answer.data()["provider"].clone()
    };
    let listed = async |client: &Client| {
        let answer = client.query("{ providers { nodes { id } } }").await;
        !answer.data()["providers"]["nodes"]
            .as_array()
            .unwrap()
            .is_empty()
    };
    let anonymous = app.anonymous();
    let strangers = [&anonymous, &eve];
    let insiders = [&mia, &staff, &reader];
    for (state, visible) in [("PENDING", false), ("APPROVED", true), ("SUSPENDED", false)] {
        match state {
            "APPROVED" => approve(&staff, &id).await,
            "SUSPENDED" => {
                let variables = json!({ "id": id, "reason": "Complaints" });
                staff
                    .post(SUSPEND, variables)
                    .await
                    .payload("providerSuspend");
            }
            _ => {}
        }
        for client in strangers {
            let seen = look(client).await;
            assert_eq!(seen != Value::Null, visible, "{state}");
            if visible {
                assert_eq!(
                    seen,
                    json!({ "status": "APPROVED", "decisionReason": null, "appliedAt": null,
                        "services": [{ "active": true, "service": { "title": "Walk" } }] })
                );
            }
            assert_eq!(listed(client).await, visible, "{state}");
        }
        for client in insiders {
            let seen = look(client).await;
            assert_eq!(seen["status"], state);
            assert_eq!(seen["services"].as_array().unwrap().len(), 2, "{state}");
            assert_eq!(
                seen["decisionReason"],
                if state == "SUSPENDED" {
                    json!("Complaints")
                } else {
                    Value::Null
                }
            );
            assert_ne!(seen["appliedAt"], Value::Null);
            assert_eq!(listed(client).await, visible, "{state}");
        }
    }
    let own = mia.query("{ me { provider { status } } }").await;
    assert_eq!(own.data()["me"]["provider"]["status"], "SUSPENDED");
    let back = staff.post(REINSTATE, json!({ "id": id })).await;
    assert_eq!(
        back.payload("providerReinstate")["provider"],
        json!({ "status": "APPROVED", "decisionReason": null })
    );
    assert!(listed(&anonymous).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_are_for_staff_and_never_about_oneself() {
    let app = TestApp::start().await;
    let (mia, staff) = (app.user("Mia").await, reviewer(&app).await);
    let id = apply(&app, &mia, "Mia", "berlin").await;
    let approve_it = json!({ "id": id, "input": { "decision": "APPROVE" } });
    let suspend_it = json!({ "id": id, "reason": "x" });
    let reader = app
        .user_with_permissions("Reader", &["providers:read"])
        .await;
    for client in [&app.anonymous(), &mia, &reader] {
        for (query, variables) in [
            (REVIEW, &approve_it),
            (SUSPEND, &suspend_it),
            (REINSTATE, &json!({ "id": id })),
            ("{ providerApplications { nodes { id } } }", &json!({})),
        ] {
            let answer = client.post(query, variables.clone()).await;
            assert_eq!(answer.error_code(), "FORBIDDEN", "{query}");
        }
    }
    let own = apply(&app, &staff, "Staff", "berlin").await;
    let answer = staff
        .post(
            REVIEW,
            json!({ "id": own, "input": { "decision": "APPROVE" } }),
        )
        .await;
    assert_eq!(
        error(&answer, "providerApplicationReview")["code"],
        "SELF_ACTION"
    );
    assert_eq!(count(&app, "providers WHERE status = 'PENDING'").await, 2);
    assert_eq!(
        count(
            &app,
            "audit_events WHERE action = 'provider.approve' AND outcome = 'REFUSED' AND after->>'code' = 'SELF_ACTION' AND target_kind = 'prv'"
        )
        .await,
        1
    );

    for absent in ["x", "prv_01h2xcejqtf2nbrexx3vqjhp41"] {
        let answer = staff
            .post(
                REVIEW,
                json!({ "id": absent, "input": { "decision": "APPROVE" } }),
            )
            .await;
        assert_eq!(
            error(&answer, "providerApplicationReview")["code"],
            "NOT_FOUND"
        );
    }
    let early = staff.post(SUSPEND, suspend_it.clone()).await;
    assert_eq!(
        error(&early, "providerSuspend")["details"]["state"],
        "PENDING"
    );
    let early = staff.post(REINSTATE, json!({ "id": id })).await;
    assert_eq!(
        error(&early, "providerReinstate")["details"]["state"],
        "PENDING"
    );
    let silent = staff
        .post(SUSPEND, json!({ "id": id, "reason": " " }))
        .await;
    assert_eq!(
        error(&silent, "providerSuspend")["field"],
        json!(["input", "reason"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_enqueues_the_cancelling_of_bookings() {
    let app = TestApp::start().await;
    let (mia, staff) = (app.user("Mia").await, reviewer(&app).await);
    let id = apply(&app, &mia, "Mia", "berlin").await;
    approve(&staff, &id).await;
    let variables = json!({ "id": id, "reason": "Complaints" });
    staff
        .post(SUSPEND, variables)
        .await
        .payload("providerSuspend");
    let waiting = format!(
        "jobs WHERE kind = 'CANCEL_BOOKINGS_OF_PROVIDER' AND payload = '{{\"providerId\": \"{id}\"}}'"
    );
    assert_eq!(count(&app, &waiting).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_is_one_that_can_be_charged() {
    let app = TestApp::start().await;
    let (mia, staff) = (app.user("Mia").await, reviewer(&app).await);
    let walk = service(&app, &staff, "Walk", "city-companion").await;
    let set =
        async |client: &Client, amount: i64, currency: &str, minutes: i32, version: Option<i32>| {
            let input =
                json!({ "amountMinor": amount, "currency": currency, "durationMinutes": minutes });
            let variables = json!({ "service": walk, "input": input, "version": version });
            client.post(PRICE, variables).await
        };
    let mutation = "providerServicePricingSet";
    assert_eq!(
        error(&set(&mia, 1000, "EUR", 60, None).await, mutation)["code"],
        "NOT_ALLOWED"
    );
    let id = apply(&app, &mia, "Mia", "berlin").await;
    for (amount, currency, minutes, fields) in [
        (1, "EUR", 60, vec!["amountMinor"]),
        (-1, "EUR", 60, vec!["amountMinor"]),
        (1000, "XXX", 60, vec!["currency"]),
        (1000, "eur", 60, vec!["currency"]),
        (5, "KWD", 60, vec!["amountMinor"]),
        (1, "JPY", 14, vec!["amountMinor", "durationMinutes"]),
        (
            -1,
            "",
            1441,
            vec!["currency", "amountMinor", "durationMinutes"],
        ),
    ] {
        let answer = set(&mia, amount, currency, minutes, None).await;
        let errors = answer.data()[mutation]["userErrors"]
            .as_array()
            .unwrap()
            .clone();
        let found: Vec<_> = errors
            .iter()
            .map(|error| error["field"][1].as_str().unwrap())
            .collect();
        assert_eq!(found, fields, "{amount} {currency}");
        assert!(errors.iter().all(|error| error["code"] == "INVALID_INPUT"));
    }
    assert_eq!(count(&app, "provider_services").await, 0);

    let first = set(&mia, 1250, "EUR", 60, Some(0)).await;
    let made = first.payload(mutation)["providerService"].clone();
    assert_eq!(
        made["price"],
        json!({ "amountMinor": 1250, "currency": "EUR", "formatted": "€12.50" })
    );
    assert_eq!(made["service"]["title"], "Walk");
    let stale = set(&mia, 1300, "EUR", 60, Some(0)).await;
    assert_eq!(error(&stale, mutation)["code"], "CONFLICT");
    let free = set(&mia, 0, "EUR", 90, Some(1)).await;
    let free = &free.payload(mutation)["providerService"];
    assert_eq!((&free["id"], &free["version"]), (&made["id"], &json!(2)));
    assert_eq!(
        count(
            &app,
            "provider_services WHERE price_minor = 0 AND duration_minutes = 90"
        )
        .await,
        1
    );

    let input = json!({ "amountMinor": 0, "currency": "EUR", "durationMinutes": 60 });
    for absent in ["x", "srv_01h2xcejqtf2nbrexx3vqjhp41"] {
        let answer = mia
            .post(PRICE, json!({ "service": absent, "input": input }))
            .await;
        assert_eq!(error(&answer, mutation)["field"], json!(["serviceId"]));
    }
    let archive = "mutation($id: ID!) { serviceArchive(id: $id) { userErrors { code } } }";
    staff
        .post(archive, json!({ "id": walk }))
        .await
        .payload("serviceArchive");
    let gone = set(&mia, 1000, "EUR", 60, None).await;
    assert_eq!(error(&gone, mutation)["details"]["state"], "ARCHIVED");
    assert_eq!(
        count(&app, "providers WHERE lowest_price_minor IS NULL").await,
        1
    );
    mia.post(WITHDRAW, json!({ "id": id }))
        .await
        .payload("providerApplicationWithdraw");
    let closed = set(&mia, 1000, "EUR", 60, None).await;
    assert_eq!(error(&closed, mutation)["details"]["state"], "WITHDRAWN");
}
