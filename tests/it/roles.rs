//! Roles and permissions (rule 17): who sees and changes them, and what nobody can give or take.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::support::{Answer, Client, TestApp};

const PAYLOAD: &str = "userErrors { code field message details }";

async fn ids(admin: &Client, list: &str) -> BTreeMap<String, String> {
    let answer = admin
        .query(&format!(
            "{{ {list}(first: 100) {{ nodes {{ id name }} }} }}"
        ))
        .await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    answer.data()[list]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (text(&node["name"]), text(&node["id"])))
        .collect()
}

async fn create_role(client: &Client, name: &str) -> Answer {
    let query = format!(
        "mutation($name: String!) {{ roleCreate(input: {{ name: $name, description: \"Of a test\" }}) {{
            role {{ id name description builtIn version permissions {{ name }} }} {PAYLOAD} }} }}"
    );
    client.post(&query, json!({ "name": name })).await
}

async fn new_role(client: &Client, name: &str) -> String {
    let made = create_role(client, name).await;
    made.payload("roleCreate")["role"]["id"]
        .as_str()
        .unwrap()
        .to_owned()
}

async fn set_permissions(client: &Client, role: &str, permissions: &[&str]) -> Answer {
    let query = format!(
        "mutation($id: ID!, $ids: [ID!]!) {{ rolePermissionsSet(id: $id, input: {{ permissionIds: $ids }}) {{
            role {{ version permissions {{ name }} }} {PAYLOAD} }} }}"
    );
    client
        .post(&query, json!({ "id": role, "ids": permissions }))
        .await
}

async fn set_roles(client: &Client, user: &str, roles: &[&str]) -> Answer {
    let query = format!(
        "mutation($id: ID!, $ids: [ID!]!) {{ userRolesSet(userId: $id, input: {{ roleIds: $ids }}) {{
            user {{ id }} {PAYLOAD} }} }}"
    );
    client
        .post(&query, json!({ "id": user, "ids": roles }))
        .await
}

/// Codes and fields of a refusal, whose messages are sentences.
fn refusals(answer: &Answer, mutation: &str) -> Vec<(String, String)> {
    answer.data()[mutation]["userErrors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| {
            let message = error["message"].as_str().unwrap();
            assert!(
                message.starts_with(char::is_uppercase) && message.ends_with('.'),
                "{message}"
            );
            let field: Vec<&str> = error["field"]
                .as_array()
                .map(|parts| parts.iter().map(|part| part.as_str().unwrap()).collect())
                .unwrap_or_default();
            (error["code"].as_str().unwrap().to_owned(), field.join("."))
        })
        .collect()
}

fn refusal(code: &str, field: &str) -> Vec<(String, String)> {
    vec![(code.to_owned(), field.to_owned())]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_opens_what_it_grants_to_who_has_it_and_no_longer() {
    let app = TestApp::start().await;
    let admin = app.user_with_roles("Ada", &["ADMIN"]).await;
    let person = app.user("Mia").await;
    let permissions = ids(&admin, "permissions").await;
    let role = create_role(&admin, "BOOK_KEEPER").await;
    let role = role.payload("roleCreate")["role"].clone();
    assert_eq!(role["permissions"], json!([]));
    assert_eq!(
        (&role["name"], &role["builtIn"], &role["version"]),
        (&json!("BOOK_KEEPER"), &json!(false), &json!(1))
    );
    let role = role["id"].as_str().unwrap();
    let granted = [&*permissions["orders:read"], &permissions["bookings:read"]];
    let set = set_permissions(&admin, role, &granted).await;
    assert_eq!(
        set.payload("rolePermissionsSet")["role"],
        json!({ "version": 2, "permissions": [{ "name": "bookings:read" }, { "name": "orders:read" }] })
    );
    let orders = "{ orders { nodes { id } } }";
    assert_eq!(person.query(orders).await.error_code(), "FORBIDDEN");

    set_roles(&admin, &person.user_id, &[role])
        .await
        .payload("userRolesSet");
    app.settle(&[&admin, &person]).await;
    person.query(orders).await.data();
    // Without the role's permission, and without the role.
    set_permissions(&admin, role, &granted[1..])
        .await
        .payload("rolePermissionsSet");
    app.settle(&[&admin, &person]).await;
    assert_eq!(person.query(orders).await.error_code(), "FORBIDDEN");
    let bookings = "{ bookings { nodes { id } } }";
    person.query(bookings).await.data();
    set_roles(&admin, &person.user_id, &[])
        .await
        .payload("userRolesSet");
    app.settle(&[&admin, &person]).await;
    assert_eq!(person.query(bookings).await.error_code(), "FORBIDDEN");

    let trail =
        "SELECT count(*) FROM audit_events WHERE outcome = 'DONE' AND actor_id IS NOT NULL AND ";
    for (what, times) in [
        (
            "action = 'role.create' AND after->>'name' = 'BOOK_KEEPER'",
            1,
        ),
        (
            "action = 'role.permissionsSet' AND before->'permissions' = '[]'",
            1,
        ),
        (
            "action = 'role.permissionsSet' AND after->'permissions' = '[\"bookings:read\"]'",
            1,
        ),
        (
            "action = 'user.rolesSet' AND after->'roles' = '[\"BOOK_KEEPER\", \"USER\"]'",
            1,
        ),
        (
            "action = 'user.rolesSet' AND before->'roles' = '[\"BOOK_KEEPER\", \"USER\"]'",
            1,
        ),
    ] {
        assert_eq!(app.number(&format!("{trail}{what}")).await, times, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_or_takes_what_they_do_not_hold() {
    let app = TestApp::start().await;
    let admin = app.user_with_roles("Ada", &["ADMIN"]).await;
    let other = app.user_with_roles("Ann", &["ADMIN"]).await;
    let rights = ["roles:*", "permissions:*", "users:read"];
    let clerk = app.user_with_permissions("Carl", &rights).await;
    let (permissions, roles) = (ids(&admin, "permissions").await, ids(&admin, "roles").await);
    let role = new_role(&clerk, "HELPERS").await;

    // What one holds, also by a wildcard.
    let held = [&*permissions["users:read"], &permissions["roles:read"]];
    set_permissions(&clerk, &role, &held)
        .await
        .payload("rolePermissionsSet");
    for (lacking, at) in [
        (vec!["refunds:create"], "input.permissionIds.0"),
        (
            vec!["users:read", "roles:read", "users:write"],
            "input.permissionIds.2",
        ),
        (
            vec!["users:read", "roles:read", "*"],
            "input.permissionIds.2",
        ),
    ] {
        let wanted: Vec<&str> = lacking.iter().map(|name| &*permissions[*name]).collect();
        let set = set_permissions(&clerk, &role, &wanted).await;
        assert_eq!(
            refusals(&set, "rolePermissionsSet"),
            refusal("NOT_ALLOWED", at)
        );
    }
    // `users:*` is more than `users:read`.
    let create = format!(
        "mutation {{ permissionCreate(input: {{ name: \"users:*\" }}) {{ permission {{ id name builtIn }} {PAYLOAD} }} }}"
    );
    let made = clerk.query(&create).await;
    let wildcard = made.payload("permissionCreate")["permission"]["id"].clone();
    let wildcard = wildcard.as_str().unwrap();
    let set = set_permissions(&clerk, &role, &[held[0], held[1], wildcard]).await;
    let refused = refusal("NOT_ALLOWED", "input.permissionIds.2");
    assert_eq!(refusals(&set, "rolePermissionsSet"), refused);

    // Nor is it taken away.
    set_permissions(&admin, &role, &[held[0], &permissions["refunds:create"]])
        .await
        .payload("rolePermissionsSet");
    let set = set_permissions(&clerk, &role, &held[..1]).await;
    assert_eq!(
        refusals(&set, "rolePermissionsSet"),
        refusal("NOT_ALLOWED", "id")
    );
    // A role that grants more than one holds is left alone, name and all.
    for (mutation, call) in [
        (
            "roleUpdate",
            format!("roleUpdate(id: \"{role}\", input: {{ name: \"MINE\" }}) {{ role"),
        ),
        ("roleDelete", format!("roleDelete(id: \"{role}\") {{ role")),
        (
            "rolePermissionsSet",
            format!(
                "rolePermissionsSet(id: \"{role}\", input: {{ permissionIds: [\"{}\", \"{}\"] }}) {{ role",
                held[0], permissions["refunds:create"]
            ),
        ),
    ] {
        let answer = clerk
            .query(&format!("mutation {{ {call} {{ id }} {PAYLOAD} }} }}"))
            .await;
        assert_eq!(refusals(&answer, mutation), refusal("NOT_ALLOWED", "id"));
    }
    assert_eq!(
        app.count("audit_events WHERE outcome = 'REFUSED' AND action IN ('role.update', 'role.delete', 'role.permissionsSet')
            AND after->>'code' = 'NOT_ALLOWED' AND target_kind = 'rol'")
            .await,
        8
    );
    assert_eq!(app.count("roles WHERE name = 'HELPERS'").await, 1);
    for given in [&*roles["ADMIN"], &roles["SUPPORT"], &role] {
        let set = set_roles(&clerk, &clerk.user_id, &[given]).await;
        let refused = refusals(&set, "userRolesSet");
        assert!(refused.contains(&("NOT_ALLOWED".into(), "input.roleIds.0".into())));
    }
    // Who holds more is out of reach, whatever the role.
    let harmless = new_role(&clerk, "HARMLESS").await;
    for given in [&[][..], &[&*harmless], &[&roles["ADMIN"], &harmless]] {
        let set = set_roles(&clerk, &other.user_id, given).await;
        assert_eq!(
            refusals(&set, "userRolesSet"),
            refusal("NOT_ALLOWED", "userId")
        );
    }
    assert_eq!(
        app.count("user_roles WHERE granted_by IS NOT NULL").await,
        0
    );

    // A permission that a role grants goes with who holds it only.
    set_permissions(&admin, &role, &[wildcard])
        .await
        .payload("rolePermissionsSet");
    let delete = format!(
        "mutation {{ permissionDelete(id: \"{wildcard}\") {{ permission {{ name }} {PAYLOAD} }} }}"
    );
    let refused = refusals(&clerk.query(&delete).await, "permissionDelete");
    assert_eq!(refused, refusal("NOT_ALLOWED", "id"));
    let version = "SELECT version::bigint FROM roles WHERE name = 'HELPERS'";
    let before = app.number(version).await;
    admin.query(&delete).await.payload("permissionDelete");
    assert_eq!(app.number(version).await, before + 1);
    assert_eq!(
        app.number("SELECT version::bigint FROM roles WHERE name = 'HARMLESS'")
            .await,
        1
    );
    assert_eq!(
        app.count("role_permissions rp JOIN roles r ON r.id = rp.role_id WHERE r.name = 'HELPERS'")
            .await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_built_in_stays_and_what_is_wrong_is_named() {
    let app = TestApp::start().await;
    let admin = app.user_with_roles("Ada", &["ADMIN"]).await;
    let (permissions, roles) = (ids(&admin, "permissions").await, ids(&admin, "roles").await);
    let support = roles["SUPPORT"].as_str();
    for (mutation, call) in [
        (
            "roleUpdate",
            format!("roleUpdate(id: \"{support}\", input: {{ name: \"HELP\" }}) {{ role"),
        ),
        (
            "roleDelete",
            format!("roleDelete(id: \"{support}\") {{ role"),
        ),
        (
            "rolePermissionsSet",
            format!(
                "rolePermissionsSet(id: \"{support}\", input: {{ permissionIds: [] }}) {{ role"
            ),
        ),
        (
            "permissionDelete",
            format!(
                "permissionDelete(id: \"{}\") {{ permission",
                permissions["users:read"]
            ),
        ),
    ] {
        let answer = admin
            .query(&format!("mutation {{ {call} {{ id }} {PAYLOAD} }} }}"))
            .await;
        assert_eq!(refusals(&answer, mutation), refusal("INVALID_STATE", "id"));
        let details = &answer.data()[mutation]["userErrors"][0]["details"];
        assert_eq!(details, &json!({ "state": "BUILT_IN" }));
    }

    let role = new_role(&admin, "AB").await;
    for name in ["", "A", "ab", "1AB", "A B", "AÄ", &"A".repeat(33)] {
        let made = create_role(&admin, name).await;
        assert_eq!(
            refusals(&made, "roleCreate"),
            refusal("INVALID_INPUT", "input.name"),
            "{name}"
        );
    }
    let again = create_role(&admin, "AB").await;
    assert_eq!(
        refusals(&again, "roleCreate"),
        refusal("ALREADY_EXISTS", "input.name")
    );
    for name in [
        "users",
        "users:read:x",
        "Users:read",
        "users:re*",
        "*:*",
        "users:",
        "users:read",
    ] {
        let query = format!(
            "mutation($name: String!) {{ permissionCreate(input: {{ name: $name }}) {{ permission {{ id }} {PAYLOAD} }} }}"
        );
        let made = admin.post(&query, json!({ "name": name })).await;
        let code = if name == "users:read" {
            "ALREADY_EXISTS"
        } else {
            "INVALID_INPUT"
        };
        assert_eq!(
            refusals(&made, "permissionCreate"),
            refusal(code, "input.name"),
            "{name}"
        );
    }
    // Every one that is not there is named; nothing of the rest is written.
    let wanted = [
        &*permissions["users:read"],
        "prm_x",
        support,
        &permissions["orders:read"],
    ];
    let set = set_permissions(&admin, &role, &wanted).await;
    let named: Vec<_> = [1, 2]
        .map(|index| {
            (
                "NOT_FOUND".to_owned(),
                format!("input.permissionIds.{index}"),
            )
        })
        .into();
    assert_eq!(refusals(&set, "rolePermissionsSet"), named);
    let set = set_roles(&admin, &admin.user_id, &[support, "rol_x"]).await;
    assert_eq!(
        refusals(&set, "userRolesSet"),
        refusal("NOT_FOUND", "input.roleIds.1")
    );
    let set = set_roles(&admin, &role, &[support]).await;
    assert_eq!(
        refusals(&set, "userRolesSet"),
        refusal("NOT_FOUND", "userId")
    );

    // Twice the same is once.
    let wanted = [&*permissions["users:read"], &permissions["users:read"]];
    let set = set_permissions(&admin, &role, &wanted).await;
    let set = &set.payload("rolePermissionsSet")["role"];
    assert_eq!(
        set,
        &json!({ "version": 2, "permissions": [{ "name": "users:read" }] })
    );
    let person = app.user("Mia").await;
    set_roles(&admin, &person.user_id, &[&role, &role])
        .await
        .payload("userRolesSet");

    let update = |version: i32| {
        format!(
            "mutation {{ roleUpdate(id: \"{role}\", expectedVersion: {version}, input: {{ name: \"CD\", description: null }}) {{
                role {{ name description version permissions {{ name }} }} {PAYLOAD} }} }}"
        )
    };
    let stale = admin.query(&update(1)).await;
    assert_eq!(
        refusals(&stale, "roleUpdate"),
        refusal("CONFLICT", "expectedVersion")
    );
    let updated = admin.query(&update(2)).await;
    assert_eq!(
        updated.payload("roleUpdate")["role"],
        json!({ "name": "CD", "description": "", "version": 3, "permissions": [{ "name": "users:read" }] })
    );
    let delete =
        format!("mutation {{ roleDelete(id: \"{role}\") {{ role {{ name }} {PAYLOAD} }} }}");
    let held = admin.query(&delete).await;
    assert_eq!(
        refusals(&held, "roleDelete"),
        refusal("INVALID_STATE", "id")
    );
    let details = &held.data()["roleDelete"]["userErrors"][0]["details"];
    assert_eq!(details, &json!({ "state": "HELD", "holders": 1 }));
    set_roles(&admin, &person.user_id, &[])
        .await
        .payload("userRolesSet");
    admin.query(&delete).await.payload("roleDelete");
    assert_eq!(app.count("roles WHERE NOT built_in").await, 0);
    let gone = admin
        .query(&format!("{{ role(id: \"{role}\") {{ id }} }}"))
        .await;
    assert_eq!(gone.data()["role"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_administrators_who_remove_each_other_one_stays() {
    let app = TestApp::start().await;
    let ada = app.user_with_roles("Ada", &["ADMIN"]).await;
    let alone = set_roles(&ada, &ada.user_id, &[]).await;
    let details = &alone.data()["userRolesSet"]["userErrors"][0]["details"];
    assert_eq!(details, &json!({ "state": "LAST_ADMIN" }));
    assert_eq!(
        refusals(&alone, "userRolesSet"),
        refusal("INVALID_STATE", "userId")
    );
    assert_eq!(
        app.count("audit_events WHERE outcome = 'REFUSED' AND action = 'user.rolesSet' AND after->>'code' = 'INVALID_STATE'")
            .await,
        1
    );
    for _ in 0..10 {
        app.sql("DELETE FROM user_roles WHERE user_id IN (SELECT id FROM users WHERE display_name = 'Ann')")
            .await;
        let ann = app.user_with_roles("Ann", &["ADMIN"]).await;
        // Ada may have lost the role in the round before.
        app.sql(
            "INSERT INTO user_roles SELECT u.id, r.id, NULL, u.created_at FROM users u, roles r
             WHERE u.display_name = 'Ada' AND r.name = 'ADMIN' ON CONFLICT DO NOTHING;
             DELETE FROM user_roles WHERE user_id IN (SELECT id FROM users WHERE display_name = 'Old')",
        )
        .await;
        app.settle(&[&ada, &ann]).await;
        let (first, second) = tokio::join!(
            set_roles(&ada, &ann.user_id, &[]),
            set_roles(&ann, &ada.user_id, &[])
        );
        let done = [&first, &second]
            .iter()
            .filter(|answer| {
                answer.body["errors"].is_null() && refusals(answer, "userRolesSet").is_empty()
            })
            .count();
        assert_eq!(done, 1, "{} {}", first.body, second.body);
        assert_eq!(
            app.count("user_roles ur JOIN roles r ON r.id = ur.role_id WHERE r.name = 'ADMIN'")
                .await,
            1
        );
        app.sql("UPDATE users SET display_name = 'Old' WHERE display_name = 'Ann'")
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_nodes_are_for_who_may_read_them() {
    let app = TestApp::start().await;
    let auditor = app.user_with_roles("Otto", &["AUDITOR"]).await;
    let person = app.user("Mia").await;
    app.settle(&[&auditor]).await;
    let query = "{ roles(first: 2) { totalCount nodes { id name permissions { name } } pageInfo { hasNextPage endCursor } } }";
    let first = auditor.query(query).await;
    let list = &first.data()["roles"];
    assert_eq!(list["totalCount"], 6);
    assert_eq!(list["nodes"][0]["name"], "ADMIN");
    assert_eq!(list["nodes"][0]["permissions"], json!([{ "name": "*" }]));
    assert_eq!(first.statements, 3);
    let cursor = list["pageInfo"]["endCursor"].as_str().unwrap();
    let rest = format!(
        "{{ roles(after: \"{cursor}\") {{ nodes {{ name }} pageInfo {{ hasNextPage }} }} }}"
    );
    let rest = auditor.query(&rest).await;
    let names: Vec<_> = rest.data()["roles"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["MODERATOR", "PROVIDER", "SUPPORT", "USER"]);

    let role = list["nodes"][0]["id"].as_str().unwrap();
    let permission = ids(&auditor, "permissions").await["users:read"].clone();
    for id in [role, &permission] {
        let node = format!("{{ node(id: \"{id}\") {{ id }} }}");
        assert_eq!(auditor.query(&node).await.data()["node"]["id"], id);
        for other in [&person, &app.anonymous()] {
            assert_eq!(other.query(&node).await.data()["node"], Value::Null);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_of_account_and_profile_are_neither_given_nor_taken() {
    let app = TestApp::start().await;
    let admin = app.user_with_roles("Ada", &["ADMIN"]).await;
    let mia = app.user("Mia").await;
    let roles = ids(&admin, "roles").await;
    let held = async || {
        let query = format!(
            "{{ user(id: \"{}\") {{ account {{ version roles {{ name }} }} }} }}",
            mia.user_id
        );
        admin.query(&query).await.data()["user"]["account"].clone()
    };
    let user = json!({ "version": 1, "roles": [{ "name": "USER" }] });
    assert_eq!(held().await, user);
    for given in [
        &[&*roles["PROVIDER"]][..],
        &[&roles["SUPPORT"], &roles["PROVIDER"]],
    ] {
        let at = format!("input.roleIds.{}", given.len() - 1);
        let set = set_roles(&admin, &mia.user_id, given).await;
        assert_eq!(
            refusals(&set, "userRolesSet"),
            refusal("INVALID_INPUT", &at)
        );
    }
    // Left out or named, the role that is there stays; and nothing changed.
    for given in [&[][..], &[&*roles["USER"]]] {
        set_roles(&admin, &mia.user_id, given)
            .await
            .payload("userRolesSet");
    }
    assert_eq!(held().await, user);
    assert_eq!(
        app.count("audit_events WHERE action = 'user.rolesSet' AND outcome = 'DONE'")
            .await,
        0
    );
    set_roles(&admin, &mia.user_id, &[&roles["SUPPORT"]])
        .await
        .payload("userRolesSet");
    assert_eq!(
        held().await,
        json!({ "version": 2, "roles": [{ "name": "SUPPORT" }, { "name": "USER" }] })
    );
}
