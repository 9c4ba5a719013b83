//! Blocks between people.

use futures_util::future::join;
use serde_json::json;

use super::support::TestApp;

const BLOCK: &str = "mutation($id: ID!) { userBlock(userId: $id) {
    block { user { displayName } createdAt } userErrors { code field } } }";
const UNBLOCK: &str = "mutation($id: ID!) { userUnblock(userId: $id) {
    user { displayName } userErrors { code field } } }";
const MINE: &str =
    "query($first: Int, $after: String) { me { blocks(first: $first, after: $after) {
    nodes { user { displayName } } pageInfo { hasNextPage endCursor } totalCount } } }";

#[tokio::test(flavor = "multi_thread")]
async fn a_block_is_made_once_listed_and_taken_back() {
    let app = TestApp::start().await;
    let (mia, eve) = (app.user("Mia").await, app.user("Eve").await);
    for _ in 0..2 {
        let answer = mia.post(BLOCK, json!({ "id": eve.user_id })).await;
        assert_eq!(
            answer.payload("userBlock")["block"],
            json!({ "user": { "displayName": "Eve" }, "createdAt": "2026-11-21T12:00:00Z" })
        );
    }
    assert_eq!(
        app.number("SELECT count(*) FROM audit_events WHERE action = 'user.block'")
            .await,
        1
    );
    assert_eq!(
        eve.post(MINE, json!({})).await.data()["me"]["blocks"]["totalCount"],
        0
    );
    for _ in 0..2 {
        let answer = mia.post(UNBLOCK, json!({ "id": eve.user_id })).await;
        assert_eq!(answer.payload("userUnblock")["user"]["displayName"], "Eve");
    }
    assert_eq!(
        app.number("SELECT count(*) FROM audit_events WHERE action = 'user.unblock'")
            .await,
        1
    );
    assert_eq!(app.number("SELECT count(*) FROM user_blocks").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_blocks_themselves_or_who_is_not_there() {
    let app = TestApp::start().await;
    let (mia, gone) = (app.user("Mia").await, app.user("Gone").await);
    app.sql("UPDATE users SET status = 'DELETED' WHERE display_name = 'Gone'")
        .await;
    for (id, code) in [
        (mia.user_id.as_str(), "SELF_ACTION"),
        (&gone.user_id, "NOT_FOUND"),
        ("usr_01k4000000e008000000000001", "NOT_FOUND"),
        ("prv_01k4000000e008000000000001", "NOT_FOUND"),
        ("", "NOT_FOUND"),
    ] {
        for (name, mutation) in [("userBlock", BLOCK), ("userUnblock", UNBLOCK)] {
            let answer = mia.post(mutation, json!({ "id": id })).await;
            assert_eq!(answer.user_error_codes(name), [code], "{name} {id}");
            assert_eq!(
                answer.data()[name]["userErrors"][0]["field"],
                json!(["userId"])
            );
            let anonymous = app.anonymous().post(mutation, json!({ "id": id })).await;
            assert_eq!(anonymous.error_code(), "FORBIDDEN");
        }
    }
    assert_eq!(app.number("SELECT count(*) FROM user_blocks").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_block_each_other_at_once() {
    let app = TestApp::start().await;
    let (mia, eve) = (app.user("Mia").await, app.user("Eve").await);
    for _ in 0..20 {
        let (one, other) = join(
            mia.post(BLOCK, json!({ "id": eve.user_id })),
            eve.post(BLOCK, json!({ "id": mia.user_id })),
        )
        .await;
        one.payload("userBlock");
        other.payload("userBlock");
        assert_eq!(app.number("SELECT count(*) FROM user_blocks").await, 2);
        app.sql("DELETE FROM user_blocks").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn my_blocks_come_in_pages_the_newest_first() {
    let app = TestApp::start().await;
    let mia = app.user("Mia").await;
    for number in 0..5 {
        let other = app.user(&format!("P{number}")).await;
        mia.post(BLOCK, json!({ "id": other.user_id }))
            .await
            .payload("userBlock");
    }
    let mut names = Vec::new();
    let mut after = json!(null);
    loop {
        let answer = mia.post(MINE, json!({ "first": 2, "after": after })).await;
        let blocks = &answer.data()["me"]["blocks"];
        assert_eq!(blocks["totalCount"], 5);
        // Me, the page, the count, the people.
        assert_eq!(answer.statements, 4);
        for node in blocks["nodes"].as_array().unwrap() {
            names.push(node["user"]["displayName"].as_str().unwrap().to_owned());
        }
        if blocks["pageInfo"]["hasNextPage"] == false {
            break;
        }
        after = blocks["pageInfo"]["endCursor"].clone();
    }
    // All at one instant of the clock, so by id; ids of one instant come in no order, but each once.
    names.sort();
    assert_eq!(names, ["P0", "P1", "P2", "P3", "P4"]);
}
