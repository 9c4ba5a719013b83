//! People as staff keep them: search, edits, suspension, deletion.

use companion::db::ids::UserId;
use serde_json::{Value, json};

use super::support::{
    Answer, Client, TestApp,
    market::{Market, uuid},
};

const ACCOUNT: &str = "user { id displayName account { username email emailVerifiedAt telegramUsername language city { slug }
    status statusReason roles { name } version } } userErrors { code field details }";

async fn names(staff: &Client, arguments: &str) -> Vec<String> {
    let query = format!("{{ users({arguments}) {{ nodes {{ displayName }} }} }}");
    let answer = staff.query(&query).await;
    answer.data()["users"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["displayName"].as_str().unwrap().to_owned())
        .collect()
}

async fn set_status(staff: &Client, user: &str, decision: &str, reason: Option<&str>) -> Answer {
    let query = format!(
        "mutation($id: ID!, $reason: String) {{ userStatusSet(id: $id, input: {{ decision: {decision}, reason: $reason }}) {{ {ACCOUNT} }} }}"
    );
    staff
        .post(&query, json!({ "id": user, "reason": reason }))
        .await
}

async fn delete(staff: &Client, users: &[&str]) -> Answer {
    let query = "mutation($ids: [ID!]!) { usersDelete(ids: $ids) { users { displayName account { status } } userErrors { code field details } } }";
    staff.post(query, json!({ "ids": users })).await
}

fn codes(answer: &Answer, mutation: &str) -> Vec<(String, String)> {
    answer.data()[mutation]["userErrors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| {
            let parts = error["field"].as_array().into_iter().flatten();
            let field: Vec<_> = parts.map(|part| part.as_str().unwrap()).collect();
            (error["code"].as_str().unwrap().to_owned(), field.join("."))
        })
        .collect()
}

fn code(code: &str, field: &str) -> Vec<(String, String)> {
    vec![(code.to_owned(), field.to_owned())]
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_find_people_by_name_address_and_telegram_name() {
    let app = TestApp::start().await;
    let admin = app.user_with_roles("Zoe", &["ADMIN"]).await;
    for name in [
        "Mia Wong",
        "Ben Miatello",
        "李明",
        "100% Percy_",
        "ΟΣ Nikos",
    ] {
        app.app.clock.advance(jiff::SignedDuration::from_secs(1));
        app.user(name).await;
    }
    app.sql(
        "UPDATE users SET email = 'lee@Example.org', telegram_username = 'LiMing' WHERE display_name = '李明';
         UPDATE users SET username = 'benny', status = 'SUSPENDED', status_reason = 'x' WHERE display_name = 'Ben Miatello'",
    )
    .await;
    let all = [
        "ΟΣ Nikos",
        "100% Percy_",
        "李明",
        "Ben Miatello",
        "Mia Wong",
        "Zoe",
    ];
    assert_eq!(names(&admin, "first: 10").await, all);
    for (text, found) in [
        ("mia", &["Ben Miatello", "Mia Wong"][..]),
        ("MIA W", &["Mia Wong"]),
        ("@example.ORG", &["李明"]),
        ("liming", &["李明"]),
        ("enny", &["Ben Miatello"]),
        // Two characters: at the beginning of name or username.
        ("李", &["李明"]),
        ("李明", &["李明"]),
        ("mi", &["Mia Wong"]),
        ("BE", &["Ben Miatello"]),
        ("明", &[]),
        ("0%", &[]),
        ("0% p", &["100% Percy_"]),
        ("y_", &[]),
        ("%", &[]),
        ("!!!", &[]),
        ("e@e", &["李明"]),
        // The database's lower case, not Rust's, which ends a word in another sigma.
        ("ΟΣ", &["ΟΣ Nikos"]),
        ("  ", &all),
    ] {
        let arguments = format!("filter: {{ text: {} }}", json!(text));
        assert_eq!(names(&admin, &arguments).await, found, "{text}");
    }
    for (arguments, found) in [
        ("filter: { status: SUSPENDED }", &["Ben Miatello"][..]),
        ("filter: { status: ACTIVE, text: \"mia\" }", &["Mia Wong"]),
        ("filter: { status: DELETED }", &[]),
        ("filter: { roleId: \"rol_x\" }", &[]),
        ("sort: NAME, first: 2", &["100% Percy_", "Ben Miatello"]),
        ("sort: NAME, last: 2", &["ΟΣ Nikos", "李明"]),
    ] {
        assert_eq!(names(&admin, arguments).await, found, "{arguments}");
    }
    let roles = admin
        .query("{ roles(first: 1) { nodes { id name } } }")
        .await;
    let role = &roles.data()["roles"]["nodes"][0]["id"];
    let admins = format!("filter: {{ roleId: {role} }}");
    assert_eq!(names(&admin, &admins).await, ["Zoe"]);
    let page = "{ users(sort: NAME, first: 2) { totalCount pageInfo { endCursor } } }";
    let page = admin.query(page).await;
    assert_eq!(page.data()["users"]["totalCount"], 6);
    let cursor = &page.data()["users"]["pageInfo"]["endCursor"];
    let rest = format!("sort: NAME, after: {cursor}");
    let after = ["Mia Wong", "Zoe", "ΟΣ Nikos", "李明"];
    assert_eq!(names(&admin, &rest).await, after);
    let foreign = admin
        .query(&format!(
            "{{ users(after: {cursor}) {{ nodes {{ id }} }} }}"
        ))
        .await;
    assert_eq!(foreign.error_code(), "BAD_REQUEST");
    let long = format!(
        "{{ users(filter: {{ text: \"{}\" }}) {{ nodes {{ id }} }} }}",
        "a".repeat(101)
    );
    assert_eq!(admin.query(&long).await.error_code(), "BAD_REQUEST");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_shows_to_its_person_and_to_staff_alone() {
    let app = TestApp::start().await;
    let (mia, eve) = (app.user("Mia").await, app.user("Eve").await);
    let support = app.user_with_roles("Sue", &["SUPPORT"]).await;
    let query = format!(
        "{{ node(id: \"{}\") {{ ... on User {{ displayName account {{ status roles {{ name }} }} }} }} }}",
        mia.user_id
    );
    let open = json!({ "displayName": "Mia", "account": { "status": "ACTIVE", "roles": [{ "name": "USER" }] } });
    for client in [&mia, &support] {
        assert_eq!(client.query(&query).await.data()["node"], open);
    }
    let closed = json!({ "displayName": "Mia", "account": null });
    for client in [&eve, &app.anonymous()] {
        assert_eq!(client.query(&query).await.data()["node"], closed);
    }
    let user = format!(
        "{{ user(id: \"{}\") {{ account {{ status }} }} }}",
        mia.user_id
    );
    assert_eq!(eve.query(&user).await.error_code(), "FORBIDDEN");
    assert_eq!(
        support.query(&user).await.data()["user"]["account"]["status"],
        "ACTIVE"
    );
    let none = support.query("{ user(id: \"usr_x\") { id } }").await;
    assert_eq!(none.data()["user"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_make_and_change_accounts() {
    let app = TestApp::start().await;
    let admin = app.user_with_roles("Ada", &["ADMIN"]).await;
    let city = admin.query("{ cities { id slug } }").await.data()["cities"][0].clone();
    let create = format!(
        "mutation($name: String!, $handle: String, $email: EmailAddress!, $city: ID) {{ userCreate(input: {{
            displayName: $name, username: $handle, email: $email, language: RU, cityId: $city }}) {{ {ACCOUNT} }} }}"
    );
    let new = |name: &str, handle: &str, email: &str| json!({ "name": name, "handle": handle, "email": email, "city": city["id"] });
    let made = admin
        .post(&create, new(" Mia ", "mia_w", "mia@Example.ORG"))
        .await;
    let user = made.payload("userCreate")["user"].clone();
    assert_eq!(
        user["account"],
        json!({ "username": "mia_w", "email": "mia@example.org", "emailVerifiedAt": super::support::START, "telegramUsername": null,
            "language": "RU", "city": { "slug": city["slug"] }, "status": "ACTIVE", "statusReason": null,
            "roles": [{ "name": "USER" }], "version": 1 })
    );
    for (variables, expected) in [
        (
            new("", "x", "mia"),
            vec![
                ("INVALID_INPUT", "input.displayName"),
                ("INVALID_INPUT", "input.username"),
                ("INVALID_INPUT", "input.email"),
            ],
        ),
        (
            new("A", "other", "MIA@example.org"),
            vec![("ALREADY_EXISTS", "input.email")],
        ),
        (
            new("A", "mia_w", "a@example.org"),
            vec![("ALREADY_EXISTS", "input.username")],
        ),
        (
            json!({ "name": "A", "email": "a@example.org", "city": "cty_x" }),
            vec![("NOT_FOUND", "input.cityId")],
        ),
    ] {
        let refused = admin.post(&create, variables).await;
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(code, field)| (code.to_owned(), field.to_owned()))
            .collect();
        assert_eq!(codes(&refused, "userCreate"), expected);
    }
    assert_eq!(app.count("users").await, 2);

    let update = |input: &str, version: i32| {
        format!(
            "mutation {{ userUpdate(id: {}, expectedVersion: {version}, input: {{ {input} }}) {{ {ACCOUNT} }} }}",
            user["id"]
        )
    };
    let changed = admin
        .query(&update(
            "displayName: \"Mia W.\", username: null, email: null, cityId: null",
            1,
        ))
        .await;
    let changed = &changed.payload("userUpdate")["user"];
    assert_eq!(changed["displayName"], "Mia W.");
    for field in ["username", "email", "emailVerifiedAt", "city"] {
        assert_eq!(changed["account"][field], Value::Null, "{field}");
    }
    for (input, version, expected) in [
        ("displayName: \"B\"", 1, code("CONFLICT", "expectedVersion")),
        (
            "displayName: null",
            2,
            code("INVALID_INPUT", "input.displayName"),
        ),
        ("language: null", 2, code("INVALID_INPUT", "input.language")),
        ("cityId: \"cty_x\"", 2, code("NOT_FOUND", "input.cityId")),
    ] {
        let refused = admin.query(&update(input, version)).await;
        assert_eq!(codes(&refused, "userUpdate"), expected, "{input}");
    }
    let trail = "audit_events WHERE action = 'user.staffUpdate' AND after->'changed' = '[\"displayName\", \"username\", \"email\", \"city\"]'";
    assert_eq!(app.count(trail).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_holds_more_is_out_of_reach() {
    let app = TestApp::start().await;
    let admin = app.user_with_roles("Ada", &["ADMIN"]).await;
    let clerk = app.user_with_permissions("Carl", &["users:*"]).await;
    let peer = app.user_with_permissions("Pam", &["users:read"]).await;
    let update = |id: &str| {
        format!(
            "mutation {{ userUpdate(id: \"{id}\", input: {{ email: \"mine@example.org\" }}) {{ {ACCOUNT} }} }}"
        )
    };
    let refused = clerk.query(&update(&admin.user_id)).await;
    assert_eq!(codes(&refused, "userUpdate"), code("NOT_ALLOWED", "id"));
    let refused = set_status(&clerk, &admin.user_id, "SUSPEND", Some("x")).await;
    assert_eq!(codes(&refused, "userStatusSet"), code("NOT_ALLOWED", "id"));
    let refused = delete(&clerk, &[&peer.user_id, &admin.user_id, &clerk.user_id]).await;
    let expected = [("NOT_ALLOWED", "ids.1"), ("SELF_ACTION", "ids.2")]
        .map(|(code, field)| (code.to_owned(), field.to_owned()));
    assert_eq!(codes(&refused, "usersDelete"), expected);
    clerk
        .query(&update(&peer.user_id))
        .await
        .payload("userUpdate");
    let myself = set_status(&admin, &admin.user_id, "SUSPEND", Some("x")).await;
    assert_eq!(codes(&myself, "userStatusSet"), code("SELF_ACTION", "id"));
    // Each refusal is written down under who it was about.
    for (action, code, about) in [
        ("user.staffUpdate", "NOT_ALLOWED", &admin),
        ("user.suspend", "NOT_ALLOWED", &admin),
        ("user.delete", "NOT_ALLOWED", &admin),
        ("user.delete", "SELF_ACTION", &clerk),
        ("user.suspend", "SELF_ACTION", &admin),
    ] {
        let row = format!(
            "audit_events WHERE outcome = 'REFUSED' AND action = '{action}' AND after->>'code' = '{code}' AND target_id = '{}'",
            uuid::<UserId>(&about.user_id)
        );
        assert_eq!(app.count(&row).await, 1, "{row}");
    }
    let rows = "audit_events WHERE outcome = 'REFUSED' AND action LIKE 'user.%'";
    assert_eq!(app.count(rows).await, 5);
    assert_eq!(app.count("users WHERE status <> 'ACTIVE'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_ends_sessions_hides_the_profile_and_cancels_what_is_ahead() {
    let market = Market::open_with("FLEXIBLE", 1000).await;
    let app = &market.app;
    let admin = app.user_with_roles("Ada", &["ADMIN"]).await;
    let booking = market.confirmed(60).await;
    let person = &market.provider;
    let refused = set_status(&admin, &person.user_id, "SUSPEND", Some(" ")).await;
    assert_eq!(
        codes(&refused, "userStatusSet"),
        code("INVALID_INPUT", "input.reason")
    );
    let done = set_status(&admin, &person.user_id, "SUSPEND", Some("Complaints")).await;
    let account = &done.payload("userStatusSet")["user"]["account"];
    assert_eq!(
        (&account["status"], &account["statusReason"]),
        (&json!("SUSPENDED"), &json!("Complaints"))
    );
    app.settle(&[&admin]).await;
    assert_eq!(
        person.query("{ me { id } }").await.error_code(),
        "UNAUTHENTICATED"
    );
    let listed = "{ providers { nodes { id } } }";
    let nobody = json!([]);
    assert_eq!(
        app.anonymous().query(listed).await.data()["providers"]["nodes"],
        nobody
    );
    app.run_jobs().await;
    assert_eq!(market.state(&booking).await, "CANCELLED");
    assert_eq!(app.count("orders WHERE state = 'REFUNDED'").await, 1);
    let again = set_status(&admin, &person.user_id, "SUSPEND", Some("x")).await;
    assert_eq!(codes(&again, "userStatusSet"), code("INVALID_STATE", "id"));
    // The profile goes and comes with the person, not by itself.
    let reinstate = format!(
        "mutation {{ providerReinstate(id: \"{}\") {{ provider {{ id }} userErrors {{ code field details }} }} }}",
        market.provider_id
    );
    assert_eq!(
        codes(&admin.query(&reinstate).await, "providerReinstate"),
        code("INVALID_STATE", "id")
    );

    let state = admin.query(&reinstate).await;
    let details = &state.data()["providerReinstate"]["userErrors"][0]["details"];
    assert_eq!(details, &json!({ "state": "SUSPENDED" }));

    let back = set_status(&admin, &person.user_id, "REINSTATE", None).await;
    assert_eq!(
        back.payload("userStatusSet")["user"]["account"]["statusReason"],
        Value::Null
    );
    assert_eq!(
        app.anonymous().query(listed).await.data()["providers"]["nodes"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    // The old session stays ended; a new one works.
    app.settle(&[&admin]).await;
    assert_eq!(
        person.query("{ me { id } }").await.error_code(),
        "UNAUTHENTICATED"
    );
    let new = app.sign_in(UserId(uuid::<UserId>(&person.user_id))).await;
    new.query("{ me { id } }").await.data();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_erases_the_person_and_keeps_the_books() {
    let market = Market::open_with("FLEXIBLE", 1000).await;
    let app = &market.app;
    let admin = app.user_with_roles("Ada", &["ADMIN"]).await;
    let booking = market.confirmed(60).await;
    app.sql(
        "UPDATE bookings SET note = 'Ring twice at Elm St 5';
         UPDATE users SET email = display_name || '@example.org', telegram_username = display_name, username = lower(display_name),
             telegram_id = 7000 + length(display_name) WHERE display_name NOT IN ('Ada', 'Stella') AND username IS NULL",
    )
    .await;
    let (client, provider) = (&market.client, &market.provider);
    let refused = delete(&admin, &[&client.user_id, "usr_x", &admin.user_id]).await;
    let expected = [("NOT_FOUND", "ids.1"), ("SELF_ACTION", "ids.2")]
        .map(|(code, field)| (code.to_owned(), field.to_owned()));
    assert_eq!(codes(&refused, "usersDelete"), expected);
    assert_eq!(app.count("users WHERE status <> 'ACTIVE'").await, 0);

    let gone = delete(
        &admin,
        &[&client.user_id, &provider.user_id, &client.user_id],
    )
    .await;
    let gone = gone.payload("usersDelete")["users"].clone();
    let one = json!({ "displayName": "Deleted user", "account": { "status": "DELETED" } });
    assert_eq!(gone, json!([one, one]));
    app.settle(&[&admin]).await;
    for client in [client, provider] {
        assert_eq!(
            client.query("{ me { id } }").await.error_code(),
            "UNAUTHENTICATED"
        );
    }
    app.run_jobs().await;
    let left = "users WHERE status = 'DELETED' AND username IS NULL AND email IS NULL AND telegram_id IS NULL AND telegram_username IS NULL AND password_hash IS NULL";
    assert_eq!(app.count(left).await, 2);
    for (table, rows) in [
        (
            "sessions s JOIN users u ON u.id = s.user_id WHERE u.status = 'DELETED'",
            0,
        ),
        (
            "user_roles r JOIN users u ON u.id = r.user_id WHERE u.status = 'DELETED'",
            0,
        ),
        ("bookings WHERE note <> ''", 0),
        (
            "providers WHERE display_name = 'Deleted provider' AND bio = '' AND status = 'WITHDRAWN'",
            1,
        ),
        ("orders WHERE state = 'REFUNDED'", 1),
        (
            "audit_events WHERE action = 'user.delete' AND outcome = 'DONE'",
            2,
        ),
    ] {
        assert_eq!(app.count(table).await, rows, "{table}");
    }
    let kept = format!(
        "{{ booking(id: \"{booking}\") {{ state client {{ displayName }} provider {{ displayName }} order {{ total {{ amountMinor }} }} }} }}"
    );
    assert_eq!(
        admin.query(&kept).await.data()["booking"],
        json!({ "state": "CANCELLED", "client": { "displayName": "Deleted user" }, "provider": { "displayName": "Deleted provider" },
            "order": { "total": { "amountMinor": 1000 } } })
    );
    let again = delete(&admin, &[&client.user_id]).await;
    assert_eq!(codes(&again, "usersDelete"), code("INVALID_STATE", "ids.0"));
    let roles = format!(
        "mutation {{ userRolesSet(userId: \"{}\", input: {{ roleIds: [] }}) {{ {ACCOUNT} }} }}",
        client.user_id
    );
    assert_eq!(
        codes(&admin.query(&roles).await, "userRolesSet"),
        code("INVALID_STATE", "userId")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_administrator_is_neither_suspended_nor_deleted() {
    let app = TestApp::start().await;
    let ada = app.user_with_roles("Ada", &["ADMIN"]).await;
    // Holds all rights by another role, and is no administrator.
    let deputy = app.user_with_permissions("Dan", &["*"]).await;
    let details = json!({ "state": "LAST_ADMIN" });
    let refused = set_status(&deputy, &ada.user_id, "SUSPEND", Some("x")).await;
    assert_eq!(
        refused.data()["userStatusSet"]["userErrors"][0]["details"],
        details
    );
    assert_eq!(
        codes(&refused, "userStatusSet"),
        code("INVALID_STATE", "id")
    );
    let refused = delete(&deputy, &[&ada.user_id]).await;
    assert_eq!(
        refused.data()["usersDelete"]["userErrors"][0]["details"],
        details
    );
    let mia = app.user("Mia").await;
    let refused = delete(&deputy, &[&mia.user_id, &ada.user_id]).await;
    assert_eq!(
        codes(&refused, "usersDelete"),
        code("INVALID_STATE", "ids.1")
    );
    let rows = format!(
        "audit_events WHERE outcome = 'REFUSED' AND after->>'code' = 'INVALID_STATE' AND target_id = '{}'",
        uuid::<UserId>(&ada.user_id)
    );
    assert_eq!(app.count(&rows).await, 3);
    assert_eq!(app.count("users WHERE status <> 'ACTIVE'").await, 0);
    let ann = app.user_with_roles("Ann", &["ADMIN"]).await;
    set_status(&deputy, &ada.user_id, "SUSPEND", Some("x"))
        .await
        .payload("userStatusSet");
    let refused = delete(&deputy, &[&ann.user_id]).await;
    assert_eq!(
        refused.data()["usersDelete"]["userErrors"][0]["details"],
        details
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_persons_profile_does_not_become_public() {
    let app = TestApp::start().await;
    let admin = app.user_with_roles("Ada", &["ADMIN"]).await;
    let review = async |profile: &str, decision: &str| {
        let query = format!(
            "mutation {{ providerApplicationReview(id: \"{profile}\", input: {{ decision: {decision}, reason: \"x\" }}) {{
                provider {{ status }} userErrors {{ code field details }} }} }}"
        );
        admin.query(&query).await
    };
    let reinstate = async |profile: &str| {
        let query = format!(
            "mutation {{ providerReinstate(id: \"{profile}\") {{ provider {{ status }} userErrors {{ code field details }} }} }}"
        );
        admin.query(&query).await
    };
    let refused = |answer: &Answer, mutation: &str, state: &str| {
        assert_eq!(codes(answer, mutation), code("INVALID_STATE", "id"));
        let details = &answer.data()[mutation]["userErrors"][0]["details"];
        assert_eq!(details, &json!({ "state": state }));
    };
    // One who waits, one whom staff have suspended as a provider, and one who is approved.
    let (waits, closed, open) = (
        app.user("Wim").await,
        app.user("Cora").await,
        app.user("Olga").await,
    );
    let (waiting, shut, approved) = (
        app.make_provider(&waits).await,
        app.make_provider(&closed).await,
        app.make_provider(&open).await,
    );
    app.sql(&format!(
        "UPDATE providers SET status = 'PENDING' WHERE id = '{}'",
        waiting.0
    ))
    .await;
    let suspend = format!(
        "mutation {{ providerSuspend(id: \"{shut}\", input: {{ reason: \"x\" }}) {{ provider {{ status }} userErrors {{ code }} }} }}"
    );
    admin.query(&suspend).await.payload("providerSuspend");
    for person in [&waits, &closed, &open] {
        set_status(&admin, &person.user_id, "SUSPEND", Some("x"))
            .await
            .payload("userStatusSet");
    }
    let (waiting, shut, approved) = (waiting.to_string(), shut.to_string(), approved.to_string());
    let approve = "providerApplicationReview";
    refused(&review(&waiting, "APPROVE").await, approve, "SUSPENDED");
    for profile in [&shut, &approved] {
        refused(&reinstate(profile).await, "providerReinstate", "SUSPENDED");
    }
    assert_eq!(app.count("providers WHERE status = 'APPROVED'").await, 0);
    let role = "user_roles ur JOIN roles r ON r.id = ur.role_id WHERE r.name = 'PROVIDER'";
    let before = app.count(role).await;

    // The persons come back: only the profile that went with its account comes along.
    for person in [&waits, &closed, &open] {
        set_status(&admin, &person.user_id, "REINSTATE", None)
            .await
            .payload("userStatusSet");
    }
    let status = async |profile: &str| {
        let node = format!("{{ node(id: \"{profile}\") {{ ... on Provider {{ status }} }} }}");
        admin.query(&node).await.data()["node"]["status"].clone()
    };
    assert_eq!(status(&waiting).await, "PENDING");
    assert_eq!(status(&shut).await, "SUSPENDED");
    assert_eq!(status(&approved).await, "APPROVED");
    assert_eq!(app.count(role).await, before);
    reinstate(&shut).await.payload("providerReinstate");
    // Rejecting needs no active person, approving one who is there.
    set_status(&admin, &waits.user_id, "SUSPEND", Some("x"))
        .await
        .payload("userStatusSet");
    review(&waiting, "REJECT").await.payload(approve);
    delete(&admin, &[&closed.user_id])
        .await
        .payload("usersDelete");
    refused(&reinstate(&shut).await, "providerReinstate", "DELETED");
    refused(&review(&shut, "APPROVE").await, approve, "DELETED");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_address_ends_what_signed_in_by_the_old_one() {
    let app = TestApp::start().await;
    let admin = app.user_with_roles("Ada", &["ADMIN"]).await;
    let mia = app.user("Mia").await;
    app.verified_email(&mia, "mia@example.org").await;
    app.sql("UPDATE users SET password_hash = '$argon2id$x' WHERE email IS NOT NULL")
        .await;
    let update = |input: &str| {
        let id = &mia.user_id;
        format!("mutation {{ userUpdate(id: \"{id}\", input: {{ {input} }}) {{ {ACCOUNT} }} }}")
    };
    admin
        .query(&update(
            "displayName: \"Mia W.\", email: \"mia@example.org\"",
        ))
        .await
        .payload("userUpdate");
    mia.query("{ me { id } }").await.data();
    assert_eq!(app.count("users WHERE password_hash IS NOT NULL").await, 1);
    admin
        .query(&update("email: \"moved@example.org\""))
        .await
        .payload("userUpdate");
    app.settle(&[&admin]).await;
    assert_eq!(
        mia.query("{ me { id } }").await.error_code(),
        "UNAUTHENTICATED"
    );
    assert_eq!(app.count("users WHERE password_hash IS NOT NULL").await, 0);
}
