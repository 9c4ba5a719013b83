//! What has a row in the audit trail of its own: refusals of staff, and what follows from another change.

use serde_json::{Value, json};

use super::{
    audit::events,
    support::{
        TestApp,
        market::{Market, act},
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn what_staff_may_not_do_to_bookings_and_profiles_is_written_and_what_others_may_not_is_not()
{
    let market = Market::open().await;
    let app = &market.app;
    let booking = market.requested(0).await;
    let reader = app
        .user_with_permissions("Rita", &["bookings:read", "providers:read", "audit:read"])
        .await;
    for (verb, arguments) in [
        ("Accept", ""),
        ("Reject", "input: { reason: \"x\" }"),
        ("Cancel", "input: {}, idempotencyKey: \"a\""),
        ("Complete", ""),
        ("NoShow", ""),
        (
            "Reschedule",
            "input: { startsAt: \"2026-11-24T12:00:00Z\" }, idempotencyKey: \"b\"",
        ),
        (
            "RescheduleAnswer",
            "input: { accept: false }, idempotencyKey: \"c\"",
        ),
    ] {
        let refused = act(&reader, verb, &booking, arguments).await;
        let mutation = format!("booking{verb}");
        assert_eq!(refused.user_error_codes(&mutation), ["NOT_ALLOWED"]);
    }
    let profile = |verb: &str, input: &str| {
        let id = &market.provider_id;
        format!("mutation {{ provider{verb}(id: \"{id}\"{input}) {{ userErrors {{ code }} }} }}")
    };
    let edit = profile("Update", ", input: { headline: \"x\" }");
    let withdraw = profile("ApplicationWithdraw", "");
    for person in [&reader, &market.client] {
        let refused = person.query(&edit).await;
        assert_eq!(refused.user_error_codes("providerUpdate"), ["NOT_ALLOWED"]);
        let refused = person.query(&withdraw).await;
        let codes = refused.user_error_codes("providerApplicationWithdraw");
        assert_eq!(codes, ["NOT_ALLOWED"]);
    }
    let refused = act(&market.client, "Accept", &booking, "").await;
    assert_eq!(refused.user_error_codes("bookingAccept"), ["NOT_ALLOWED"]);
    let told = events(&reader, "outcome: REFUSED").await;
    let told: Vec<_> = told
        .iter()
        .rev()
        .map(|event| {
            assert_eq!(event["actor"]["id"], json!(reader.user_id));
            assert_eq!(event["after"]["code"], "NOT_ALLOWED");
            let target = event["targetId"].as_str().unwrap();
            (event["action"].as_str().unwrap(), target)
        })
        .collect();
    let (booking, provider) = (booking.as_str(), market.provider_id.as_str());
    assert_eq!(
        told,
        [
            ("booking.accept", booking),
            ("booking.reject", booking),
            ("booking.cancel", booking),
            ("booking.complete", booking),
            ("booking.no_show", booking),
            ("booking.reschedule", booking),
            ("booking.reschedule_decline", booking),
            ("provider.update", provider),
            ("provider.withdraw", provider),
        ]
    );

    // Whatever the code is.
    let unknown = "bkg_01jd6xk5wvfz6bqkdzn6g5r3a1";
    act(&reader, "Accept", unknown, "").await.data();
    let rows = events(&reader, &format!("targetId: \"{unknown}\"")).await;
    assert_eq!(rows[0]["after"]["code"], "NOT_FOUND");

    // Staff with a profile of their own decide nothing about it.
    let own = app
        .user_with_permissions("Sue", &["providers:suspend", "providers:review"])
        .await;
    let sue = app.make_provider(&own).await.to_string();
    let suspend = format!(
        "mutation {{ providerSuspend(id: \"{sue}\", input: {{ reason: \"x\" }}) {{ userErrors {{ code }} }} }}"
    );
    let reinstate =
        format!("mutation {{ providerReinstate(id: \"{sue}\") {{ userErrors {{ code }} }} }}");
    let review = format!(
        "mutation {{ providerApplicationReview(id: \"{sue}\", input: {{ decision: REJECT, reason: \"x\" }}) {{ userErrors {{ code }} }} }}"
    );
    for (query, mutation, action) in [
        (&suspend, "providerSuspend", "provider.suspend"),
        (&reinstate, "providerReinstate", "provider.reinstate"),
        (&review, "providerApplicationReview", "provider.reject"),
    ] {
        let refused = own.query(query).await;
        assert_eq!(refused.user_error_codes(mutation), ["SELF_ACTION"]);
        let filter = format!("action: \"{action}\", outcome: REFUSED");
        let rows = events(&reader, &filter).await;
        assert_eq!(rows.len(), 1, "{action}");
        assert_eq!(rows[0]["targetId"], json!(sue));
        assert_eq!(rows[0]["after"]["code"], "SELF_ACTION");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_goes_with_its_account_has_rows_of_its_own() {
    let app = TestApp::start().await;
    let admin = app.user_with_roles("Ada", &["ADMIN"]).await;
    let (mia, eve) = (app.user("Mia").await, app.user("Eve").await);
    let profile = app.make_provider(&mia).await;
    app.sql("UPDATE providers SET bio = 'About me'").await;
    let person = &mia.user_id;
    let status = |decision: &str| {
        format!(
            "mutation {{ userStatusSet(id: \"{person}\", input: {{ decision: {decision}, reason: \"x\" }}) {{ userErrors {{ code }} }} }}"
        )
    };
    for decision in ["SUSPEND", "REINSTATE"] {
        let set = admin.query(&status(decision)).await;
        set.payload("userStatusSet");
    }
    let eves: Vec<_> = app
        .sessions(&eve)
        .await
        .iter()
        .map(|id| json!(id.to_string()))
        .collect();
    let both = json!({ "ids": [mia.user_id, eve.user_id] });
    let delete = "mutation($ids: [ID!]!) { usersDelete(ids: $ids) { userErrors { code } } }";
    admin.post(delete, both).await.payload("usersDelete");

    let rows = events(&admin, &format!("targetId: \"{profile}\"")).await;
    let told: Vec<_> = rows
        .iter()
        .rev()
        .map(|row| {
            assert_eq!(row["actor"]["id"], json!(admin.user_id));
            assert_eq!(row["outcome"], "DONE");
            assert!(row["ipAddress"].is_string());
            (&row["action"], &row["before"], &row["after"])
        })
        .collect();
    let (approved, suspended) = (
        json!({ "status": "APPROVED", "reason": null }),
        json!({ "status": "SUSPENDED", "reason": null }),
    );
    assert_eq!(
        told,
        [
            (
                &json!("provider.suspend"),
                &approved,
                &json!({ "status": "SUSPENDED", "by": "account" })
            ),
            (
                &json!("provider.reinstate"),
                &suspended,
                &json!({ "status": "APPROVED", "by": "account" })
            ),
            (
                &json!("provider.erase"),
                &approved,
                &json!({ "status": "WITHDRAWN", "by": "account", "changed": ["displayName", "bio"], "removed": [] })
            ),
        ]
    );
    // Roles and sessions go with the account, and are told with it.
    let deletions = events(&admin, "action: \"user.delete\"").await;
    let of = |id: &str| deletions.iter().find(|row| row["targetId"] == *id).unwrap();
    let after = &of(&eve.user_id)["after"];
    assert_eq!(after["roles"], json!(["USER"]));
    let ended: Vec<_> = after["sessions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| json!(id))
        .collect();
    assert_eq!(ended, eves);
    // Hers had ended with the suspension.
    assert_eq!(of(person)["after"]["sessions"], json!([]));
    // The sessions that ended are told with what ended them; Eve never had a profile.
    let suspensions = events(&admin, "action: \"user.suspend\"").await;
    let ended = suspensions[0]["after"]["sessions"].as_array().unwrap();
    assert_eq!(ended.len(), 1);
    let trail = "audit_events WHERE action LIKE 'provider.%'";
    assert_eq!(app.count(trail).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_is_sent_is_told_and_its_address_is_not() {
    let app = TestApp::start().await;
    let auditor = app.user_with_roles("Otto", &["AUDITOR"]).await;
    let mia = app.user("Mia").await;
    let send = |email: &str, purpose: &str| {
        format!(
            "mutation {{ emailCodeSend(email: \"{email}\", purpose: {purpose}) {{ userErrors {{ code }} }} }}"
        )
    };
    let anyone = app.anonymous();
    let query = send("a@example.org", "PASSWORD_RESET");
    anyone.query(&query).await.payload("emailCodeSend");
    // Too soon for another: nothing is sent, which is told as refused.
    anyone.query(&query).await.data();
    let query = send("b@example.org", "LINK");
    mia.query(&query).await.payload("emailCodeSend");
    let told = events(&auditor, "action: \"auth.codeSend\"").await;
    let told: Vec<_> = told
        .iter()
        .rev()
        .map(|row| {
            assert_eq!(row["ipAddress"], "127.0.0.1");
            (&row["actor"]["id"], &row["targetId"], &row["after"])
        })
        .collect();
    // For an address that has an account, the account is found by it.
    let zoe = app.user("Zoe").await;
    app.verified_email(&zoe, "c@example.org").await;
    let known = anyone.query(&send("c@example.org", "PASSWORD_RESET")).await;
    let unknown = anyone.query(&send("d@example.org", "PASSWORD_RESET")).await;
    assert_eq!(known.body, unknown.body);
    assert_eq!(known.statements, unknown.statements);
    let sent = events(
        &auditor,
        &format!("targetId: \"{}\", action: \"auth.codeSend\"", zoe.user_id),
    )
    .await;
    assert_eq!((sent.len(), &sent[0]["actor"]), (1, &Value::Null));
    let (own, none) = (json!(mia.user_id), Value::Null);
    let (reset, link, soon) = (
        json!({ "purpose": "PASSWORD_RESET" }),
        json!({ "purpose": "LINK" }),
        json!({ "code": "TOO_MANY_ATTEMPTS" }),
    );
    assert_eq!(
        told,
        [
            (&none, &none, &reset),
            (&none, &none, &soon),
            (&own, &own, &link)
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_goes_is_told_of_each_role_that_granted_it() {
    let app = TestApp::start().await;
    let admin = app.user_with_roles("Ada", &["ADMIN"]).await;
    app.user_with_permissions("Kim", &["pets:read", "pets:write"])
        .await;
    app.user_with_permissions("Lea", &["pets:write"]).await;
    let all = "{ permissions(first: 100) { nodes { id name } } }";
    let all = admin.query(all).await;
    let all = all.data()["permissions"]["nodes"].as_array().unwrap();
    let pets = all.iter().find(|it| it["name"] == "pets:write").unwrap();
    let delete = format!(
        "mutation {{ permissionDelete(id: {}) {{ userErrors {{ code }} }} }}",
        pets["id"]
    );
    admin.query(&delete).await.payload("permissionDelete");
    let rows = events(&admin, "action: \"role.permissionsSet\"").await;
    let mut told: Vec<_> = rows
        .iter()
        .map(|row| {
            assert!(row["targetId"].as_str().unwrap().starts_with("rol_"));
            json!([row["before"]["permissions"], row["after"]])
        })
        .collect();
    told.sort_by_key(ToString::to_string);
    let after = |left: &[&str]| json!({ "permissions": left, "by": "permission" });
    assert_eq!(
        told,
        [
            json!([["pets:read", "pets:write"], after(&["pets:read"])]),
            json!([["pets:write"], after(&[])]),
        ]
    );
}

/// By who they are when it went well, by whose account it was when it did not.
#[tokio::test(flavor = "multi_thread")]
async fn a_persons_own_sign_ins_are_found_by_them() {
    let app = TestApp::start().await;
    let auditor = app.user_with_roles("Otto", &["AUDITOR"]).await;
    let anyone = app.anonymous();
    let (email, password) = ("zoe@example.org", "a good password");
    let call = |mutation: &str, arguments: &str| {
        format!("mutation {{ {mutation}({arguments}) {{ userErrors {{ code }} }} }}")
    };
    let register =
        format!("input: {{ email: \"{email}\", password: \"{password}\", displayName: \"Zoe\" }}");
    let register = call("authRegister", &register);
    anyone.query(&register).await.payload("authRegister");
    app.run_jobs().await;
    let verify = format!(
        "mutation {{ emailVerify(email: \"{email}\", code: \"{}\", password: \"{password}\") {{ user {{ id }} userErrors {{ code }} }} }}",
        app.mailed_code()
    );
    let verified = anyone.query(&verify).await;
    let zoe = verified.payload("emailVerify")["user"]["id"].clone();
    let login = |password: &str| {
        call(
            "authLogin",
            &format!("login: \"{email}\", password: \"{password}\""),
        )
    };
    anyone.query(&login(password)).await.payload("authLogin");
    anyone.query(&login("a guess")).await.data();
    app.advance(jiff::SignedDuration::from_mins(2)).await;
    let send = format!("email: \"{email}\", purpose: PASSWORD_RESET");
    let send = call("emailCodeSend", &send);
    anyone.query(&send).await.payload("emailCodeSend");
    app.run_jobs().await;
    let code = app.mailed_code();
    let reset = |email: &str, code: &str| {
        let arguments =
            format!("email: \"{email}\", code: \"{code}\", newPassword: \"another password\"");
        call("passwordReset", &arguments)
    };
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let known = anyone.query(&reset(email, wrong)).await;
    let unknown = anyone.query(&reset("nobody@example.org", wrong)).await;
    assert_eq!(known.body, unknown.body);
    assert_eq!(known.statements, unknown.statements);
    anyone
        .query(&reset(email, &code))
        .await
        .payload("passwordReset");

    let own = events(&auditor, &format!("actorId: {zoe}")).await;
    let own: Vec<_> = own.iter().rev().map(|row| &row["action"]).collect();
    let actions = [
        "user.create",
        "auth.emailVerify",
        "auth.login",
        "auth.passwordReset",
        "auth.passwordReset",
    ];
    assert_eq!(own, actions);
    let failed = events(&auditor, &format!("targetId: {zoe}, outcome: REFUSED")).await;
    let failed: Vec<_> = failed
        .iter()
        .rev()
        .map(|row| (&row["action"], &row["actor"]))
        .collect();
    let (login, reset) = (json!("auth.login"), json!("auth.passwordReset"));
    assert_eq!(failed, [(&login, &Value::Null), (&reset, &Value::Null)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_staff_close_while_its_account_is_suspended_stays_closed() {
    let app = TestApp::start().await;
    let admin = app.user_with_roles("Ada", &["ADMIN"]).await;
    let mia = app.user("Mia").await;
    let profile = app.make_provider(&mia).await;
    let status = |decision: &str| {
        format!(
            "mutation {{ userStatusSet(id: \"{}\", input: {{ decision: {decision}, reason: \"x\" }}) {{ userErrors {{ code }} }} }}",
            mia.user_id
        )
    };
    let suspend = format!(
        "mutation {{ providerSuspend(id: \"{profile}\", input: {{ reason: \"Complaints\" }}) {{ provider {{ status suspendedWithAccount }} userErrors {{ code }} }} }}"
    );
    let set = admin.query(&status("SUSPEND")).await;
    set.payload("userStatusSet");
    let seen = format!("{{ provider(id: \"{profile}\") {{ status suspendedWithAccount }} }}");
    let with_account = admin.query(&seen).await;
    let with_account = &with_account.data()["provider"];
    assert_eq!(
        *with_account,
        json!({ "status": "SUSPENDED", "suspendedWithAccount": true })
    );
    let closed = admin.query(&suspend).await;
    let closed = &closed.payload("providerSuspend")["provider"];
    assert_eq!(
        *closed,
        json!({ "status": "SUSPENDED", "suspendedWithAccount": false })
    );
    let done = "outcome: DONE, action: \"provider.suspend\"";
    let row = &events(&admin, done).await[0];
    assert_eq!(
        row["before"],
        json!({ "status": "SUSPENDED", "reason": null, "suspendedWithAccount": true })
    );
    assert_eq!(row["after"]["suspendedWithAccount"], false);
    // It is so already.
    let again = admin.query(&suspend).await;
    assert_eq!(again.user_error_codes("providerSuspend"), ["INVALID_STATE"]);
    let set = admin.query(&status("REINSTATE")).await;
    set.payload("userStatusSet");
    let still = admin.query(&seen).await;
    assert_eq!(still.data()["provider"]["status"], "SUSPENDED");
    let own = mia.user_id.parse().unwrap();
    let own = app.sign_in(own).await.query(&seen).await;
    assert_eq!(own.data()["provider"]["suspendedWithAccount"], Value::Null);
    let role = "user_roles JOIN roles ON roles.id = role_id WHERE name = 'PROVIDER'";
    assert_eq!(app.count(role).await, 0);
    let reinstate = format!(
        "mutation {{ providerReinstate(id: \"{profile}\") {{ provider {{ status }} userErrors {{ code }} }} }}"
    );
    let reinstated = admin.query(&reinstate).await;
    let reinstated = &reinstated.payload("providerReinstate")["provider"];
    assert_eq!(reinstated["status"], "APPROVED");
}
