//! Access tokens as an attacker would make them, through the public face. What a token must be is tested in
//! `auth/tokens/tests.rs`; here, that nothing else decides.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use companion::{db::ids::UserId, features::accounts::service};
use hmac::{Hmac, KeyInit, Mac};
use jiff::SignedDuration;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use sha2::Sha256;

use super::support::TestApp;

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn encoded(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

fn signed(key: &[u8], header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", encoded(header), encoded(claims));
    let mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    let mac = mac.chain_update(&message).finalize().into_bytes();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac))
}

/// `object` with one entry changed, or taken away by `null`.
fn with(object: &Value, name: &str, value: Value) -> Value {
    let mut object = object.clone();
    let entries = object.as_object_mut().unwrap();
    match value {
        Value::Null => entries.remove(name),
        value => entries.insert(name.to_owned(), value),
    };
    object
}

#[tokio::test(flavor = "multi_thread")]
async fn no_forged_token_is_let_in() {
    let app = TestApp::start_with(|config| {
        config.access_token_ttl = std::time::Duration::from_secs(1_800);
    })
    .await;
    let (mia, eve) = (app.user("Mia").await, app.user("Eve").await);
    let token = mia.token().unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let (header, claims) = (decoded(parts[0]), decoded(parts[1]));
    let key = app.app.config.jwt_secrets[0].expose_secret().as_bytes();
    let by_hand = |header: &Value, claims: &Value| signed(key, header, claims);
    let accepted = async |token: &str| {
        let answer = app
            .anonymous()
            .with_token(token)
            .query("{ me { id } }")
            .await;
        if answer.status == 200 {
            assert_eq!(answer.data()["me"]["id"], mia.user_id, "{token}");
            return true;
        }
        assert_eq!(answer.status, 401, "{}", answer.body);
        assert_eq!(answer.error_code(), "UNAUTHENTICATED", "{token}");
        let reason = &answer.body["errors"][0]["extensions"]["reason"];
        assert_eq!(reason, "TOKEN_INVALID", "{token}");
        assert!(answer.body.get("data").is_none());
        false
    };
    // Without this, every refusal below could be for a reason that isn't meant.
    assert!(accepted(&by_hand(&header, &claims)).await);

    let mut forged = Vec::new();
    for alg in ["none", "None", "", "HS512", "RS256", "ES256", "EdDSA"] {
        let header = with(&header, "alg", json!(alg));
        let whole = by_hand(&header, &claims);
        let (unsigned, _) = whole.rsplit_once('.').unwrap();
        forged.extend([format!("{unsigned}."), unsigned.to_owned(), whole]);
    }
    for kid in [
        "",
        "../../../dev/null",
        "' UNION SELECT 'A'; --",
        "0000000000000000",
    ] {
        let header = with(&header, "kid", json!(kid));
        forged.push(by_hand(&header, &claims));
        forged.push(signed(b"", &header, &claims));
        forged.push(signed(b"A", &header, &claims));
    }
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("jku", json!("https://evil.example/keys")),
        ("jwk", json!({ "kty": "oct", "k": "AA" })),
        ("x5u", json!("https://evil.example/certificate")),
    ] {
        forged.push(by_hand(&with(&header, name, value), &claims));
    }
    for name in ["iss", "aud", "sub", "sid", "typ", "iat", "exp"] {
        for odd in [Value::Null, json!(""), json!([]), json!(true), json!(1e300)] {
            forged.push(by_hand(&header, &with(&claims, name, odd)));
        }
    }
    for (name, value) in [
        ("iss", json!("somebody")),
        ("aud", json!(["companion"])),
        ("typ", json!("refresh")),
        // Another person's session is not one's own.
        ("sub", json!(eve.user_id)),
        ("sid", json!(app.sessions(&eve).await[0])),
        (
            "iat",
            json!((app.now() + SignedDuration::from_hours(1)).as_second()),
        ),
        ("exp", json!("4102444800")),
    ] {
        forged.push(by_hand(&header, &with(&claims, name, value)));
    }
    // Another's claims under one's own signature, and a signature under nobody's key.
    forged.push(format!(
        "{}.{}.{}",
        parts[0],
        encoded(&with(&claims, "sub", json!(eve.user_id))),
        parts[2]
    ));
    forged.push(signed(b"companion", &header, &claims));
    forged.push(format!("{token}.{}", parts[2]));
    forged.push(format!("{}=", token));
    forged.push(token.to_uppercase());
    for token in &forged {
        assert!(!accepted(token).await, "{token}");
    }

    // A refresh token opens nothing but the next pair.
    let id: UserId = mia.user_id.parse().unwrap();
    let pair = service::issue_for_operator(&app.app, id).await.unwrap();
    assert!(!accepted(&pair.refresh_token).await);
    let query = "mutation($t: String!) { authRefresh(refreshToken: $t) { accessToken userErrors { code } } }";
    let refused = app.anonymous().post(query, json!({ "t": token })).await;
    assert_eq!(
        refused.user_error_codes("authRefresh"),
        ["INVALID_CREDENTIALS"]
    );
    assert!(accepted(&token).await, "and ends no session by being tried");
}
