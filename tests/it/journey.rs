//! The path from sign-in to a paid, completed and reviewed booking, through HTTP alone: what the product is for.

use companion::integrations::telegram;
use jiff::SignedDuration;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::support::{Client, TestApp};

const BOT: &str = "123456:test-bot-token-of-this-suite";

async fn sign_in(app: &TestApp, id: i64, name: &str) -> Client {
    let user = json!({ "id": id, "first_name": name }).to_string();
    let init_data = telegram::sign(&user, &SecretString::from(BOT), app.now(), &[]).unwrap();
    let answer = app
        .anonymous()
        .post(
            "mutation($initData: String!) { authTelegram(initData: $initData) { accessToken user { id } userErrors { code } } }",
            json!({ "initData": init_data }),
        )
        .await;
    let payload = answer.payload("authTelegram");
    let mut client = app
        .anonymous()
        .with_token(payload["accessToken"].as_str().unwrap());
    client.user_id = payload["user"]["id"].as_str().unwrap().to_owned();
    client
}

async fn done(client: &Client, mutation: &str, query: &str, variables: Value) -> Value {
    client
        .post(query, variables)
        .await
        .payload(mutation)
        .clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn from_sign_in_to_a_paid_completed_and_reviewed_booking() {
    let app = TestApp::start_with(|config| {
        config.telegram_bot_tokens = vec![SecretString::from(BOT)];
        config.return_origins = vec![config.base_url.origin()];
    })
    .await;
    let provider = sign_in(&app, 1, "Paula").await;
    let client = sign_in(&app, 2, "Carl").await;
    let staff = app.user_with_roles("Stella", &["USER", "ADMIN"]).await;
    let anyone = app.anonymous();

    let cities = anyone.query("{ cities { id slug } }").await;
    let berlin = cities.data()["cities"]
        .as_array()
        .unwrap()
        .iter()
        .find(|city| city["slug"] == "berlin")
        .unwrap();
    let category =
        anyone.query("{ categories { id } }").await.data()["categories"][0]["id"].clone();
    let service = done(
        &staff,
        "serviceCreate",
        "mutation($category: ID!) { serviceCreate(input: { categoryId: $category, title: \"City walk\", description: \"Together.\" })
         { service { id } userErrors { code field } } }",
        json!({ "category": category }),
    )
    .await["service"]["id"]
        .clone();

    let applied = done(
        &provider,
        "providerApply",
        "mutation($city: ID!) { providerApply(input: { displayName: \"Paula\", headline: \"Hello\", bio: \"I walk.\", cityId: $city, cancellationPolicy: FLEXIBLE })
         { provider { id status } userErrors { code field } } }",
        json!({ "city": berlin["id"] }),
    )
    .await;
    let provider_id = applied["provider"]["id"].clone();
    assert_eq!(applied["provider"]["status"], "PENDING");
    let reviewed = done(
        &staff,
        "providerApplicationReview",
        "mutation($id: ID!) { providerApplicationReview(id: $id, input: { decision: APPROVE }) { provider { status } userErrors { code field } } }",
        json!({ "id": provider_id }),
    )
    .await;
    assert_eq!(reviewed["provider"]["status"], "APPROVED");
    done(
        &provider,
        "providerServicePricingSet",
        "mutation($service: ID!) { providerServicePricingSet(serviceId: $service, input: { amountMinor: 5000, currency: \"EUR\", durationMinutes: 60, active: true })
         { userErrors { code field } } }",
        json!({ "service": service }),
    )
    .await;
    done(
        &provider,
        "availabilitiesCreate",
        "mutation { availabilitiesCreate(input: { windows: [{ startsAt: \"2026-11-22T09:00:00Z\", endsAt: \"2026-11-22T17:00:00Z\" }] })
         { availabilities { id } userErrors { code field } } }",
        json!({}),
    )
    .await;

    let policy = anyone
        .query("{ boundaryPolicy { version text } }")
        .await
        .data()["boundaryPolicy"]
        .clone();
    done(
        &client,
        "boundaryAcknowledge",
        "mutation($version: Int!) { boundaryAcknowledge(version: $version) { userErrors { code } } }",
        json!({ "version": policy["version"] }),
    )
    .await;
    let slots = anyone
        .post(
            "query($id: ID!, $service: ID!) { provider(id: $id) {
             slots(serviceId: $service, from: \"2026-11-22T00:00:00Z\", to: \"2026-11-23T00:00:00Z\") { startsAt } } }",
            json!({ "id": provider_id, "service": service }),
        )
        .await;
    let slot = slots.data()["provider"]["slots"][0]["startsAt"].clone();
    assert_eq!(slot, "2026-11-22T09:00:00Z");
    let booked = done(
        &client,
        "bookingCreate",
        "mutation($provider: ID!, $service: ID!, $slot: DateTime!) {
         bookingCreate(input: { providerId: $provider, serviceId: $service, startsAt: $slot }, idempotencyKey: \"journey-1\")
         { booking { id state price { amountMinor } } userErrors { code field } } }",
        json!({ "provider": provider_id, "service": service, "slot": slot }),
    )
    .await;
    let booking = booked["booking"]["id"].clone();
    assert_eq!(booked["booking"]["state"], "REQUESTED");
    let accepted = done(
        &provider,
        "bookingAccept",
        "mutation($id: ID!) { bookingAccept(id: $id) { booking { state } userErrors { code } } }",
        json!({ "id": booking }),
    )
    .await;
    assert_eq!(accepted["booking"]["state"], "ACCEPTED");

    let order = done(
        &client,
        "orderCreate",
        "mutation($id: ID!) { orderCreate(bookingId: $id, idempotencyKey: \"journey-2\") { order { id state } userErrors { code } } }",
        json!({ "id": booking }),
    )
    .await["order"]["id"]
        .clone();
    let checkout = done(
        &client,
        "checkoutCreate",
        "mutation($id: ID!, $url: URL!) { checkoutCreate(orderId: $id, input: { successUrl: $url, cancelUrl: $url }, idempotencyKey: \"journey-3\")
         { checkout { url } userErrors { code field message } } }",
        json!({ "id": order, "url": format!("{}/health/live", app.base_url) }),
    )
    .await;
    let page = checkout["checkout"]["url"].as_str().unwrap();
    let shown = anyone.http().get(page).send().await.unwrap();
    assert_eq!(shown.status(), 200);
    assert!(shown.text().await.unwrap().contains("City walk"));
    // The page's button posts a signed, Stripe-shaped event to the webhook.
    let pressed = anyone
        .http()
        .post(page)
        .form(&[("action", "pay")])
        .send()
        .await
        .unwrap();
    assert!(
        pressed.status().is_success() || pressed.status().is_redirection(),
        "{}",
        pressed.status()
    );
    let paid = client
        .post(
            "query($booking: ID!, $order: ID!) { booking(id: $booking) { state } order(id: $order) { state } }",
            json!({ "booking": booking, "order": order }),
        )
        .await;
    assert_eq!(
        paid.data(),
        &json!({ "booking": { "state": "CONFIRMED" }, "order": { "state": "PAID" } })
    );

    // The access token is long expired at the end of the booking: sign in again, as a frontend would.
    app.app.clock.advance(SignedDuration::from_hours(22));
    let (provider, client) = (
        sign_in(&app, 1, "Paula").await,
        sign_in(&app, 2, "Carl").await,
    );
    let completed = done(
        &provider,
        "bookingComplete",
        "mutation($id: ID!) { bookingComplete(id: $id) { booking { state } userErrors { code } } }",
        json!({ "id": booking }),
    )
    .await;
    assert_eq!(completed["booking"]["state"], "COMPLETED");
    done(
        &client,
        "reviewCreate",
        "mutation($id: ID!) { reviewCreate(bookingId: $id, input: { rating: 5, comment: \"Lovely.\" }) { review { id } userErrors { code field } } }",
        json!({ "id": booking }),
    )
    .await;
    let found = anyone
        .query("{ providers(first: 20, sort: RATING) { nodes { displayName rating ratingCount reviews(first: 3) { nodes { rating comment author { displayName } } } } } }")
        .await;
    assert_eq!(
        found.data()["providers"]["nodes"],
        json!([{ "displayName": "Paula", "rating": 5.0, "ratingCount": 1, "reviews": { "nodes": [
            { "rating": 5, "comment": "Lovely.", "author": { "displayName": "Carl" } } ] } }])
    );
}
