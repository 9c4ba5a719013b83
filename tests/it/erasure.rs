//! What is left of a person who is deleted: nothing that they typed, in no table, the audit trail included.

use companion::{
    db::ids::{BookingId, UserId},
    features::accounts::model::codes::CodePurpose::PasswordReset,
};
use diesel::{QueryableByName, sql_query, sql_types::Text};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use serde_json::json;

use super::support::{
    Client, TestApp,
    mail::order,
    market::{CREATE, Market, act, uuid},
};

/// In all that these people type, and in nothing else.
const MARK: &str = "Xyzzy";

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    text: String,
}

/// Every row of every table in which the mark stands.
async fn marked(app: &TestApp) -> Vec<String> {
    let mut conn = app.conn().await;
    let tables: Vec<Row> = sql_query(
        "SELECT table_name::text AS text FROM information_schema.tables
         WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY 1",
    )
    .load(&mut conn)
    .await
    .unwrap();
    let mut found = Vec::new();
    for Row { text: table } in tables {
        let rows: Vec<Row> = sql_query(format!(
            "SELECT '{table}: ' || t::text AS text FROM {table} t WHERE t::text ILIKE '%{MARK}%'"
        ))
        .load(&mut conn)
        .await
        .unwrap();
        found.extend(rows.into_iter().map(|row| row.text));
    }
    found
}

async fn rename(client: &Client, handle: &str) {
    let query = format!(
        "mutation {{ meUpdate(input: {{ displayName: \"{MARK}\", username: \"{handle}\" }}) {{ me {{ id }} userErrors {{ code }} }} }}"
    );
    client.query(&query).await.payload("meUpdate");
}

async fn delete(staff: &Client, people: &[&Client]) {
    let ids: Vec<_> = people.iter().map(|person| &person.user_id).collect();
    let query =
        "mutation($ids: [ID!]!) { usersDelete(ids: $ids) { users { id } userErrors { code } } }";
    staff
        .post(query, json!({ "ids": ids }))
        .await
        .payload("usersDelete");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_a_deleted_person_typed_is_left_anywhere() {
    let market = Market::open().await;
    let (app, client, provider) = (&market.app, &market.client, &market.provider);
    let admin = app.user_with_roles("Ada", &["ADMIN"]).await;
    rename(client, "xyzzy_c").await;
    rename(provider, "xyzzy_p").await;
    let profile = format!(
        "mutation {{ providerUpdate(id: \"{}\", input: {{ displayName: \"{MARK}\", headline: \"{MARK}\", bio: \"{MARK}\" }}) {{
            provider {{ id }} userErrors {{ code }} }} }}",
        market.provider_id
    );
    provider.query(&profile).await.payload("providerUpdate");
    // Once more, so that the marks are both before and after.
    let again = profile.replace(MARK, &format!("{MARK} 2"));
    provider.query(&again).await.payload("providerUpdate");

    let mut wish = market.wish(market.at(0));
    wish["note"] = json!(MARK);
    let asked = client
        .post(CREATE, json!({ "input": wish, "key": "note" }))
        .await;
    let rejected = asked.payload("bookingCreate")["booking"]["id"].clone();
    let because = format!("input: {{ reason: \"{MARK}, not today\" }}");
    act(provider, "Reject", rejected.as_str().unwrap(), &because)
        .await
        .payload("bookingReject");
    // The reason of a cancellation goes along with the refund.
    let paid = market.confirmed(60).await;
    let because = format!("input: {{ reason: \"{MARK}, I am ill\" }}, idempotencyKey: \"ill\"");
    act(client, "Cancel", &paid, &because)
        .await
        .payload("bookingCancel");
    app.run_jobs().await;
    // What staff say stays.
    let other = market.requested(120).await;
    let because = "input: { reason: \"House rules\" }, idempotencyKey: \"staff\"";
    act(&market.staff, "Cancel", &other, because)
        .await
        .payload("bookingCancel");
    app.verified_email(client, "xyzzy@example.org").await;
    app.order_code(order("XYZZY@example.org", PasswordReset))
        .await
        .unwrap();
    let reasons = "refunds WHERE reason LIKE 'Xyzzy%'";
    assert_eq!(app.count(reasons).await, 1);
    let marks = marked(app).await;
    assert!(
        !marks.iter().any(|row| row.starts_with("audit_events")),
        "{marks:#?}"
    );

    delete(&admin, &[client]).await;
    let marks = marked(app).await;
    assert!(!marks.is_empty(), "the provider's are left");
    let of_client = |row: &&String| !row.contains("xyzzy_p") && !row.starts_with("providers:");
    let left: Vec<_> = marks.iter().filter(of_client).collect();
    assert!(
        left.iter().all(|row| row.contains("not today")),
        "{left:#?}"
    );
    delete(&admin, &[provider]).await;
    assert_eq!(marked(app).await, Vec::<String>::new());
    // A mail that waited finds nobody.
    let mails = app.mail().len();
    app.run_jobs().await;
    assert_eq!(app.mail().len(), mails);
    assert_eq!(marked(app).await, Vec::<String>::new());

    let events = "booking_events WHERE reason = 'House rules'";
    assert_eq!(app.count(events).await, 1);
    assert_eq!(app.count("bookings WHERE reason = 'House rules'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_to_anothers_address_stays() {
    let app = TestApp::start().await;
    let admin = app.user_with_roles("Ada", &["ADMIN"]).await;
    let (mia, eve) = (app.user("Mia").await, app.user("Eve").await);
    app.verified_email(&mia, "mia@example.org").await;
    app.verified_email(&eve, "eve@example.org").await;
    for address in ["mia@example.org", "eve@example.org"] {
        app.order_code(order(address, PasswordReset)).await.unwrap();
    }
    delete(&admin, &[&mia]).await;
    assert_eq!(app.count("email_codes").await, 1);
    assert_eq!(
        app.count("email_codes WHERE email = 'eve@example.org'")
            .await,
        1
    );
    assert_eq!(app.count("email_sends").await, 1);
    app.run_jobs().await;
    let [mail] = &app.mail()[..] else {
        panic!("{:?}", app.mail())
    };
    assert!(mail.contains("eve@example.org"));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_bookings_history_the_reason_alone_may_go() {
    let market = Market::open().await;
    let app = &market.app;
    let booking = market.requested(0).await;
    let because = "input: { reason: \"No\" }";
    act(&market.provider, "Reject", &booking, because)
        .await
        .payload("bookingReject");
    let id = uuid::<BookingId>(&booking);
    let person = uuid::<UserId>(&market.client.user_id);
    for change in [
        "UPDATE booking_events SET reason = 'Another'".to_owned(),
        "UPDATE booking_events SET reason = NULL, action = 'CANCEL'".to_owned(),
        format!("UPDATE booking_events SET reason = NULL, actor_id = '{person}'"),
        format!("DELETE FROM booking_events WHERE booking_id = '{id}'"),
        "TRUNCATE booking_events".to_owned(),
    ] {
        let refused = app.conn().await.batch_execute(&change).await.unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{refused}");
    }
    app.sql("UPDATE booking_events SET reason = NULL").await;
    assert_eq!(app.count("booking_events").await, 2);
}
