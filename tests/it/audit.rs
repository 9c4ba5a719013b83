//! The audit trail: what it says, who reads it, and that nobody changes it.

use serde_json::{Value, json};

use super::support::{Client, TestApp};

const EVENT: &str = "id actorKind actor { id displayName } action outcome targetId before after ipAddress requestId createdAt";

/// What the trail has that this filter lets through, the newest first.
pub async fn events(client: &Client, filter: &str) -> Vec<Value> {
    let query =
        format!("{{ auditEvents(filter: {{ {filter} }}) {{ totalCount nodes {{ {EVENT} }} }} }}");
    let answer = client.query(&query).await;
    let list = &answer.data()["auditEvents"];
    let nodes = list["nodes"].as_array().unwrap().clone();
    assert_eq!(list["totalCount"], nodes.len());
    nodes
}

async fn rename(client: &Client, name: &str) {
    let query = "mutation($name: String!) { meUpdate(input: { displayName: $name }) { me { id } userErrors { code } } }";
    client
        .post(query, json!({ "name": name }))
        .await
        .payload("meUpdate");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_who_did_what_on_what_from_where_before_and_after() {
    let app = TestApp::start().await;
    let auditor = app.user_with_roles("Otto", &["AUDITOR"]).await;
    let (mia, eve) = (app.user("Mia").await, app.user("Eve").await);
    rename(&mia, "Mia M.").await;
    app.app.clock.advance(jiff::SignedDuration::from_mins(1));
    rename(&eve, "Eve E.").await;

    let mine = events(&auditor, &format!("actorId: \"{}\"", mia.user_id)).await;
    let [event] = &mine[..] else {
        panic!("{mine:?}")
    };
    assert_eq!(event["actorKind"], "USER");
    assert_eq!(
        event["actor"],
        json!({ "id": mia.user_id, "displayName": "Mia M." })
    );
    assert_eq!(
        (&event["action"], &event["outcome"]),
        (&json!("user.update"), &json!("DONE"))
    );
    assert_eq!(event["targetId"], json!(mia.user_id));
    // Names are personal, and the trail outlives an erasure.
    assert_eq!(event["before"], json!({ "version": 1 }));
    assert_eq!(
        event["after"],
        json!({ "changed": ["displayName"], "version": 2 })
    );
    assert_eq!(event["ipAddress"], "127.0.0.1");
    assert!(!event["requestId"].as_str().unwrap().is_empty());
    assert_eq!(event["createdAt"], super::support::START);

    let later = events(
        &auditor,
        "action: \"user.update\", from: \"2026-11-21T12:00:30Z\"",
    )
    .await;
    assert_eq!(later.len(), 1);
    assert_eq!(later[0]["actor"]["displayName"], "Eve E.");
    let earlier = "action: \"user.update\", to: \"2026-11-21T12:00:30Z\", ipAddress: \"127.0.0.1\", outcome: DONE";
    let earlier = events(&auditor, earlier).await;
    assert_eq!(earlier, mine);
    let target = format!("targetId: \"{}\", action: \"user.update\"", eve.user_id);
    assert_eq!(events(&auditor, &target).await, later);
    for nothing in [
        "ipAddress: \"10.0.0.1\"",
        "outcome: REFUSED",
        "targetId: \"x\"",
        "actorId: \"ses_x\"",
        "action: \"user.updat\"",
    ] {
        assert_eq!(
            events(&auditor, nothing).await,
            Vec::<Value>::new(),
            "{nothing}"
        );
    }
    // The newest first, and page by page the same.
    let query = "query($after: String) { auditEvents(first: 1, after: $after, filter: { action: \"user.update\" })
        { nodes { id } pageInfo { endCursor hasNextPage } } }";
    let first = auditor.query(query).await;
    let first = &first.data()["auditEvents"];
    assert_eq!(first["nodes"][0]["id"], later[0]["id"]);
    let after = &first["pageInfo"]["endCursor"];
    let second = auditor.post(query, json!({ "after": after })).await;
    assert_eq!(
        second.data()["auditEvents"]["nodes"][0]["id"],
        mine[0]["id"]
    );
    assert_eq!(
        second.data()["auditEvents"]["pageInfo"]["hasNextPage"],
        false
    );

    let node = format!("{{ node(id: {}) {{ id }} }}", mine[0]["id"]);
    assert_eq!(
        auditor.query(&node).await.data()["node"]["id"],
        mine[0]["id"]
    );
    for other in [&mia, &app.anonymous()] {
        assert_eq!(other.query(&node).await.data()["node"], Value::Null);
    }
    for bad in [
        "from: \"2026-11-21T12:00:00Z\", to: \"2026-11-21T12:00:00Z\"",
        "action: \"\"",
    ] {
        let query = format!("{{ auditEvents(filter: {{ {bad} }}) {{ nodes {{ id }} }} }}");
        assert_eq!(
            auditor.query(&query).await.error_code(),
            "BAD_REQUEST",
            "{bad}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_of_staffs_fields_is_written_with_its_target() {
    let app = TestApp::start().await;
    let auditor = app.user_with_roles("Otto", &["AUDITOR"]).await;
    let mia = app.user_with_permissions("Mia", &["services:write"]).await;
    let paul = app.user("Paul").await;
    for _ in 0..3 {
        assert_eq!(
            mia.query("{ orders { nodes { id } } }").await.error_code(),
            "FORBIDDEN"
        );
        let resolve = "mutation { reportResolve(id: \"x\", input: { decision: DISMISSED, resolution: \"x\" }) { userErrors { code } } }";
        assert_eq!(mia.query(resolve).await.error_code(), "FORBIDDEN");
        assert_eq!(
            app.anonymous()
                .query("{ orders { nodes { id } } }")
                .await
                .error_code(),
            "FORBIDDEN"
        );
    }
    let refused = events(&auditor, "outcome: REFUSED").await;
    let told: Vec<_> = refused
        .iter()
        .map(|event| (&event["action"], &event["after"], &event["actor"]["id"]))
        .collect();
    let (action, who) = (json!("access.refused"), json!(mia.user_id));
    let after = |field: &str| json!({ "field": field, "code": "FORBIDDEN", "count": 1 });
    let both = [
        (&action, &after("reportResolve"), &who),
        (&action, &after("orders"), &who),
    ];
    assert_eq!(told, [both, both, both].concat());

    // Who is not of staff cannot fill the trail.
    let before = app.count("audit_events").await;
    for _ in 0..3 {
        let (one, two) = (&paul.user_id, "usr_01jd6xk5wvfz6bqkdzn6g5r3a1");
        let query =
            format!("{{ a: user(id: \"{one}\") {{ id }} b: user(id: \"{two}\") {{ id }} }}");
        assert_eq!(paul.query(&query).await.error_code(), "FORBIDDEN");
    }
    assert_eq!(app.count("audit_events").await, before + 1);

    // What is asked many times at once is one row with a count; of an id is kept what can be one of ours.
    let before = app.count("audit_events").await;
    let user = |alias: &str, id: &str| format!("{alias}: user(id: \"{id}\") {{ id }} ");
    let many: String = (0..7)
        .map(|number| user(&format!("a{number}"), &auditor.user_id))
        .collect();
    let others = [
        user("b", "secret_words"),
        user("c", "secret_01jd6xk5wvfz6bqkdzn6g5r3a1"),
        format!("d: user(id: \"{}\") @skip(if: true) {{ id }}", mia.user_id),
    ];
    let delete = format!(
        "usersDelete(ids: [\"{}\", \"x\"]) {{ userErrors {{ code }} }}",
        auditor.user_id
    );
    let set = format!(
        "userRolesSet(userId: \"{}\", input: {{ roleIds: [] }}) {{ userErrors {{ code }} }}",
        mia.user_id
    );
    let batch = json!([
        { "query": format!("{{ {many} {} }}", others.concat()) },
        { "query": format!("{{ {many} }}") },
        { "query": format!("mutation {{ {delete} }}") },
        { "query": format!("mutation {{ {set} }}") },
    ]);
    let sent = mia
        .http()
        .post(mia.url("/graphql"))
        .bearer_auth(mia.token().unwrap());
    let answers: Value = sent
        .json(&batch)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        answers[1]["errors"][0]["extensions"]["code"], "FORBIDDEN",
        "{answers}"
    );
    assert_eq!(app.count("audit_events").await, before + 4);
    let target = format!("targetId: \"{}\", outcome: REFUSED", auditor.user_id);
    let rows = events(&auditor, &target).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(
        rows[0]["after"],
        json!({ "field": "user", "code": "FORBIDDEN", "count": 14 })
    );
    let target = format!("targetId: \"{}\", outcome: REFUSED", mia.user_id);
    let rows = events(&auditor, &target).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["after"]["field"], "userRolesSet");
    let listed = format!(
        "audit_events WHERE after = '{}' AND target_id IS NULL",
        json!({ "field": "usersDelete", "code": "FORBIDDEN", "count": 1, "ids": [auditor.user_id] })
    );
    assert_eq!(app.count(&listed).await, 1);
    assert_eq!(
        app.count("audit_events WHERE after::text LIKE '%secret%'")
            .await,
        0
    );

    // What a service refuses staff is there as well.
    let clerk = app
        .user_with_permissions("Carl", &["roles:grant", "roles:read"])
        .await;
    let roles = clerk.query("{ roles { nodes { id name } } }").await;
    let admin = roles.data()["roles"]["nodes"][0]["id"].clone();
    let set = "mutation($id: ID!, $role: ID!) { userRolesSet(userId: $id, input: { roleIds: [$role] }) { userErrors { code } } }";
    let refused = clerk
        .post(set, json!({ "id": clerk.user_id, "role": admin }))
        .await;
    assert!(
        refused
            .user_error_codes("userRolesSet")
            .contains(&"NOT_ALLOWED".to_owned())
    );
    let refused = events(&auditor, "outcome: REFUSED, action: \"user.rolesSet\"").await;
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0]["targetId"], json!(clerk.user_id));
    let after = json!({ "field": "userRolesSet", "code": "NOT_ALLOWED", "count": 1, "at": ["input.roleIds.0"], "ids": [admin] });
    assert_eq!(refused[0]["after"], after);
}

/// Whatever the code is, and whether or not its answer was asked for; what else went well is done.
#[tokio::test(flavor = "multi_thread")]
async fn each_user_error_of_staff_is_written_and_nothing_of_what_they_typed() {
    let app = TestApp::start().await;
    let admin = app.user_with_roles("Ada", &["ADMIN"]).await;
    let mia = app.user("Mia").await;
    let gone = "usr_01jd6xk5wvfz6bqkdzn6g5r3a1";
    let status = |alias: &str, id: &str, decision: &str, reason: &str| {
        format!(
            "{alias}: userStatusSet(id: \"{id}\", input: {{ decision: {decision}, reason: \"{reason}\" }}) {{ __typename }} "
        )
    };
    let query = [
        status("a", &mia.user_id, "REINSTATE", "secret"),
        status("b", &mia.user_id, "REINSTATE", "secret"),
        status("c", gone, "SUSPEND", "secret"),
        status("d", &admin.user_id, "SUSPEND", "secret"),
        status("e", &mia.user_id, "SUSPEND", " "),
        format!("f: userUpdate(id: \"{}\", input: {{ displayName: \"Mia M.\" }}, expectedVersion: 7) {{ __typename }} ", mia.user_id),
        "g: userCreate(input: { displayName: \"\", email: \"secret\", username: \"!\" }) { __typename } ".to_owned(),
        format!("h: usersDelete(ids: [\"{gone}\", \"{}\", \"{}\"]) {{ __typename }} ", admin.user_id, mia.user_id),
        "i: serviceArchive(id: \"nothing\") { __typename } ".to_owned(),
    ];
    admin
        .query(&format!("mutation {{ {} }}", query.concat()))
        .await
        .data();
    let told = events(&admin, "outcome: REFUSED").await;
    let mut told: Vec<_> = told
        .iter()
        .map(|row| {
            assert_eq!(row["actor"]["id"], json!(admin.user_id));
            json!([row["action"], row["targetId"], row["after"]])
        })
        .collect();
    told.sort_by_key(ToString::to_string);
    let row = |action: &str, target: Value, field: &str, code: &str, more: Value| {
        let mut after = json!({ "field": field, "code": code, "count": 1 });
        after
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!([action, target, after])
    };
    let (set, delete) = ("userStatusSet", "usersDelete");
    let mut asked = [gone, &admin.user_id, &mia.user_id];
    asked.sort_unstable();
    let mut expected = vec![
        row(
            "user.reinstate",
            json!(mia.user_id),
            set,
            "INVALID_STATE",
            json!({ "count": 2, "at": ["id"], "state": "ACTIVE" }),
        ),
        row(
            "user.suspend",
            json!(gone),
            set,
            "NOT_FOUND",
            json!({ "at": ["id"] }),
        ),
        row(
            "user.suspend",
            json!(admin.user_id),
            set,
            "SELF_ACTION",
            json!({ "at": ["id"] }),
        ),
        row(
            "user.suspend",
            json!(mia.user_id),
            set,
            "INVALID_INPUT",
            json!({ "at": ["input.reason"] }),
        ),
        row(
            "user.staffUpdate",
            json!(mia.user_id),
            "userUpdate",
            "CONFLICT",
            json!({ "at": ["expectedVersion"] }),
        ),
        row(
            "user.create",
            Value::Null,
            "userCreate",
            "INVALID_INPUT",
            json!({ "at": ["input.displayName", "input.email", "input.username"] }),
        ),
        row(
            "user.delete",
            json!(gone),
            delete,
            "NOT_FOUND",
            json!({ "at": ["ids.0"], "asked": 3, "askedIds": asked }),
        ),
        row(
            "user.delete",
            json!(admin.user_id),
            delete,
            "SELF_ACTION",
            json!({ "at": ["ids.1"], "asked": 3 }),
        ),
        row(
            "service.archive",
            Value::Null,
            "serviceArchive",
            "NOT_FOUND",
            json!({ "at": ["id"] }),
        ),
    ];
    expected.sort_by_key(ToString::to_string);
    assert_eq!(told, expected);
    assert_eq!(
        app.count("audit_events WHERE after::text LIKE '%secret%'")
            .await,
        0
    );

    // All of it in one statement, and none where nothing is refused.
    app.settle(&[&admin]).await;
    let two = format!("mutation {{ {} }}", query[..1].concat());
    let once = admin.query(&two).await.statements;
    let twice = format!("mutation {{ {} }}", query[..2].concat());
    assert_eq!(admin.query(&twice).await.statements, 2 * once - 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reported_is_for_who_may_read_reports() {
    let app = TestApp::start().await;
    let (mia, eve) = (app.user("Mia").await, app.user("Eve").await);
    let auditor = app.user_with_roles("Otto", &["AUDITOR"]).await;
    let half = app.user_with_permissions("Hal", &["audit:read"]).await;
    let query = format!(
        "mutation {{ reportCreate(input: {{ target: {{ userId: \"{}\" }}, reason: OTHER, details: \"Rude\" }}) {{ report {{ id }} userErrors {{ code }} }} }}",
        eve.user_id
    );
    mia.query(&query).await.payload("reportCreate");
    let filter = "action: \"report.create\"";
    let seen = events(&auditor, filter).await;
    assert_eq!(seen[0]["actor"]["id"], json!(mia.user_id));
    let node = format!("{{ node(id: {}) {{ id }} }}", seen[0]["id"]);
    auditor.query(&node).await.data();
    assert_eq!(half.query(&node).await.data()["node"], Value::Null);
    for filter in [filter.to_owned(), format!("actorId: \"{}\"", mia.user_id)] {
        assert_eq!(
            events(&half, &filter).await,
            Vec::<Value>::new(),
            "{filter}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_changes_it() {
    use diesel_async::SimpleAsyncConnection;
    let app = TestApp::start().await;
    rename(&app.user("Mia").await, "Mia M.").await;
    let before = app.count("audit_events").await;
    for statement in [
        "UPDATE audit_events SET action = 'x'",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
    ] {
        let refused = app.conn().await.batch_execute(statement).await.unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{refused}");
    }
    assert_eq!(app.count("audit_events").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_nothing_leaves_no_trace() {
    let app = TestApp::start().await;
    let admin = app.user_with_roles("Ada", &["ADMIN"]).await;
    let mia = app.user("Mia").await;
    let profile = app.make_provider(&mia).await;
    let service = app.service_row("Walk").await;
    let role = "mutation { roleCreate(input: { name: \"HELPERS\", description: \"x\" }) { role { id } userErrors { code } } }";
    let role = admin.query(role).await.payload("roleCreate")["role"]["id"].clone();
    let name = "UPDATE providers SET display_name = 'Mia'";
    app.sql(name).await;
    app.verified_email(&mia, "mia@example.org").await;
    let trail = "audit_events WHERE outcome = 'DONE'";
    let before = app.count(trail).await;
    for (client, mutation, call, answer) in [
        (
            &mia,
            "meUpdate",
            "(input: {})".to_owned(),
            "me { user { id } }",
        ),
        (
            &mia,
            "meUpdate",
            "(input: { displayName: \" Mia \", language: EN, username: null })".to_owned(),
            "me { user { id } }",
        ),
        (
            &mia,
            "providerUpdate",
            format!("(id: \"{profile}\", input: {{}})"),
            "provider { version }",
        ),
        (
            &mia,
            "providerUpdate",
            format!("(id: \"{profile}\", input: {{ displayName: \"Mia\" }})"),
            "provider { version }",
        ),
        (
            &admin,
            "userUpdate",
            format!("(id: \"{}\", input: {{}})", mia.user_id),
            "user { account { version } }",
        ),
        (
            &admin,
            "userUpdate",
            format!(
                "(id: \"{}\", input: {{ displayName: \"Mia\", email: \"mia@example.org\" }})",
                mia.user_id
            ),
            "user { account { version } }",
        ),
        (
            &admin,
            "roleUpdate",
            format!("(id: {role}, input: {{}})"),
            "role { version }",
        ),
        (
            &admin,
            "roleUpdate",
            format!("(id: {role}, input: {{ name: \"HELPERS\", description: \"x\" }})"),
            "role { version }",
        ),
        (
            &admin,
            "rolePermissionsSet",
            format!("(id: {role}, input: {{ permissionIds: [] }})"),
            "role { version }",
        ),
        (
            &admin,
            "serviceUpdate",
            format!("(id: \"{service}\", input: {{ title: \"Walk\" }})"),
            "service { version }",
        ),
    ] {
        let query = format!("mutation {{ {mutation}{call} {{ {answer} userErrors {{ code }} }} }}");
        let done = client.query(&query).await;
        let text = done.payload(mutation).to_string();
        assert!(!text.contains("\"version\":2"), "{query}: {text}");
    }
    assert_eq!(app.count(trail).await, before);
    for table in ["users", "providers", "roles", "services"] {
        let edited = format!("{table} WHERE version > 1");
        assert_eq!(app.count(&edited).await, 0, "{table}");
    }
    // Staff who name an address that nobody had proved vouch for it: that is an edit.
    app.sql("UPDATE users SET email_verified_at = NULL").await;
    let vouch = format!(
        "mutation {{ userUpdate(id: \"{}\", input: {{ email: \"mia@example.org\" }}) {{ user {{ account {{ emailVerifiedAt }} }} userErrors {{ code }} }} }}",
        mia.user_id
    );
    let vouched = admin.query(&vouch).await;
    let account = &vouched.payload("userUpdate")["user"]["account"];
    assert_eq!(account["emailVerifiedAt"], super::support::START);
    let edits = events(&admin, "action: \"user.staffUpdate\"").await;
    assert_eq!(edits.len(), 1);
    assert_eq!(edits[0]["after"]["changed"], json!(["email"]));
}
