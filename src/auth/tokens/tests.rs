use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::*;
use crate::db::ids::{SessionId, UserId};
use crate::entropy::Entropy;

const SECRET: &str = "a-secret-of-at-least-thirty-two-bytes";
const OTHER: &str = "the-secret-before-the-one-in-use-today";
const AT: i64 = 1_790_000_000;
const HALF_HOUR: Duration = Duration::from_secs(1_800);

fn keys(secrets: &[&str]) -> TokenKeys {
    let secrets: Vec<_> = secrets.iter().map(|&secret| secret.into()).collect();
    TokenKeys::new(&secrets, "companion", "companion-api").unwrap()
}

fn second(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn user() -> UserId {
    UserId(Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0001))
}

fn session() -> SessionId {
    SessionId(Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0002))
}

fn issued(keys: &TokenKeys) -> String {
    let token = keys.issue(user(), session(), second(AT), HALF_HOUR);
    token.unwrap().token.expose_secret().to_owned()
}

/// The answer of a server with one key, 10 s after `AT`.
fn check(token: &str) -> Result<AccessClaims, TokenError> {
    keys(&[SECRET]).verify(token, second(AT + 10))
}

fn kid(secret: &str) -> String {
    keys(&[secret]).keys[0].kid.clone()
}

fn header() -> Value {
    json!({"alg": "HS256", "typ": "JWT", "kid": kid(SECRET)})
}

fn claims() -> Value {
    json!({
        "exp": AT + 1_800, "iat": AT, "iss": "companion", "aud": "companion-api",
        "sub": user().to_string(), "sid": session().to_string(), "typ": "access",
    })
}

/// `object` with one entry changed, or taken away by `null`.
fn with(mut object: Value, key: &str, value: Value) -> Value {
    let map = object.as_object_mut().unwrap();
    if value.is_null() {
        map.remove(key);
    } else {
        map.insert(key.to_owned(), value);
    }
    object
}

/// A token over these texts, signed as a holder of the key could.
fn signed_text(secret: &str, header: &str, claims: &str) -> String {
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let mac = hmac_sha256_of(secret.as_bytes(), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac))
}

fn signed(header: &Value, claims: &Value) -> String {
    signed_text(SECRET, &header.to_string(), &claims.to_string())
}

#[test]
fn what_is_issued_is_accepted_until_its_time_is_over() {
    let keys = keys(&[SECRET]);
    let made = keys
        .issue(user(), session(), second(AT), HALF_HOUR)
        .unwrap();
    assert_eq!(made.expires_at, second(AT + 1_800));
    let token = made.token.expose_secret();
    assert!(token.len() < 500, "{}", token.len());
    let claims = AccessClaims {
        user_id: user(),
        session_id: session(),
        issued_at: second(AT),
        expires_at: second(AT + 1_800),
    };
    assert_eq!(keys.verify(token, second(AT)), Ok(claims));
    assert_eq!(keys.verify(token, second(AT + 1_799)), Ok(claims));
    let last = Timestamp::new(AT + 1_799, 999_999_000).unwrap();
    assert_eq!(keys.verify(token, last), Ok(claims));
    for late in [second(AT + 1_800), second(AT + 900_000), Timestamp::MAX] {
        assert_eq!(keys.verify(token, late), Err(TokenError::Expired));
    }
    assert_eq!(
        keys.verify(token, second(AT - 30)),
        Ok(claims),
        "another copy's clock may run 30 s ahead"
    );
    for early in [second(AT - 31), Timestamp::MIN] {
        assert_eq!(keys.verify(token, early), Err(TokenError::Invalid));
    }
}

#[test]
fn a_token_of_our_form_made_by_hand_is_accepted() {
    // Without this, every refusal below could be for a reason that isn't meant.
    assert!(check(&signed(&header(), &claims())).is_ok());
    assert!(check(&signed(&with(header(), "typ", Value::Null), &claims())).is_ok());
    assert!(check(&signed(&with(header(), "kid", Value::Null), &claims())).is_ok());
    assert!(
        check(&signed(&header(), &with(claims(), "new", json!([1])))).is_ok(),
        "a claim of a later version"
    );
}

#[test]
fn extreme_lifetimes_overflow_nothing() {
    let keys = keys(&[SECRET]);
    for lifetime in [Duration::ZERO, Duration::MAX] {
        for now in [Timestamp::MIN, second(AT), Timestamp::MAX] {
            let made = keys.issue(user(), session(), now, lifetime).unwrap();
            let token = made.token.expose_secret();
            assert!(lifetime > Duration::ZERO || keys.verify(token, now).is_err());
        }
    }
}

#[test]
fn the_algorithm_is_never_the_tokens_choice() {
    let claims_part = URL_SAFE_NO_PAD.encode(claims().to_string());
    for alg in [
        "none", "None", "NONE", "nOnE", "", " HS256", "HS256 ", "hs256", "Hs256", "HS384", "HS512",
        "RS256", "RS384", "RS512", "PS256", "ES256", "EdDSA", "A128KW", "dir",
    ] {
        let header = with(header(), "alg", json!(alg));
        let header_part = URL_SAFE_NO_PAD.encode(header.to_string());
        for token in [
            signed(&header, &claims()),
            format!("{header_part}.{claims_part}."),
            format!("{header_part}.{claims_part}"),
            format!("{header_part}.{claims_part}.AA"),
        ] {
            assert_eq!(check(&token), Err(TokenError::Invalid), "{alg:?} {token}");
        }
    }
    for alg in [
        Value::Null,
        json!(256),
        json!(true),
        json!(["HS256"]),
        json!({}),
    ] {
        let header = with(header(), "alg", alg);
        assert!(check(&signed(&header, &claims())).is_err(), "{header}");
    }
    // A public RSA key used as the secret of an HMAC: we have no such key to confuse.
    let public = "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n";
    let token = signed_text(public, &header().to_string(), &claims().to_string());
    assert_eq!(check(&token), Err(TokenError::Invalid));
    for longer in [
        jsonwebtoken::Algorithm::HS384,
        jsonwebtoken::Algorithm::HS512,
    ] {
        let header = jsonwebtoken::Header::new(longer);
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let token = jsonwebtoken::encode(&header, &claims(), &key).unwrap();
        assert_eq!(check(&token), Err(TokenError::Invalid));
    }
}

#[test]
fn a_header_that_asks_for_more_is_refused_though_well_signed() {
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("jku", json!("https://evil.example/keys")),
        ("jwk", json!({"kty": "oct", "k": "AA"})),
        ("jwk", json!(false)),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!(["AA"])),
        ("x5t", json!("AA")),
        ("x5t#S256", json!("AA")),
        ("zip", json!("DEF")),
        ("enc", json!("A128GCM")),
        ("cty", json!("JWT")),
        ("b64", json!(false)),
        ("anything", json!(1)),
        ("typ", json!("at+jwt")),
        ("typ", json!("jwt")),
        ("typ", json!(5)),
    ] {
        let header = with(header(), name, value);
        let token = signed(&header, &claims());
        assert_eq!(check(&token), Err(TokenError::Invalid), "{header}");
    }
    for text in [
        r#"{"alg":"HS256","jku":null}"#,
        r#"{"alg":"HS256","crit":null}"#,
        r#"{"alg":"none","alg":"HS256"}"#,
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":"HS256","al\u0067":"none"}"#,
        r#"{"typ":"JWT"}"#,
        r#"{"alg":"HS256"} {}"#,
        r#"{"alg":"HS256"}x"#,
        r#" {"alg":"HS256"}"#,
        r#"["HS256",null,null]"#,
        r#""HS256""#,
        "null",
        "{}",
        "{",
        "",
        "\u{feff}{\"alg\":\"HS256\"}",
    ] {
        let token = signed_text(SECRET, text, &claims().to_string());
        assert_eq!(check(&token), Err(TokenError::Invalid), "{text}");
    }
}

#[test]
fn the_key_id_picks_among_our_keys_alone() {
    for kid in [
        json!(""),
        json!("/dev/null"),
        json!("../../../../dev/null"),
        json!("' OR '1'='1"),
        json!("' UNION SELECT 'AA'; --"),
        json!("$(id)"),
        json!("\u{0}"),
        json!("0000000000000000"),
        json!(kid(OTHER)),
        json!(kid(SECRET).to_uppercase()),
        json!(format!(" {}", kid(SECRET))),
        json!(&kid(SECRET)[..8]),
        json!(0),
        json!([kid(SECRET)]),
    ] {
        let header = with(header(), "kid", kid);
        for secret in [SECRET, "", "AA"] {
            let token = signed_text(secret, &header.to_string(), &claims().to_string());
            assert_eq!(check(&token), Err(TokenError::Invalid), "{header}");
        }
    }
    // One key's name over another key's signature, though we hold both.
    let both = keys(&[SECRET, OTHER]);
    let crossed = signed_text(OTHER, &header().to_string(), &claims().to_string());
    assert_eq!(both.verify(&crossed, second(AT)), Err(TokenError::Invalid));
    let nameless = signed(&with(header(), "kid", Value::Null), &claims());
    assert_eq!(
        both.verify(&nameless, second(AT)),
        Err(TokenError::Invalid),
        "no name while there are several keys"
    );
}

#[test]
fn keys_are_exchanged_without_ending_a_session() {
    let (before, during, after) = (keys(&[OTHER]), keys(&[SECRET, OTHER]), keys(&[SECRET]));
    let now = second(AT);
    let (old, new) = (issued(&before), issued(&during));
    assert!(during.verify(&old, now).is_ok());
    assert!(during.verify(&new, now).is_ok());
    assert!(after.verify(&new, now).is_ok(), "the first key signs");
    assert_eq!(after.verify(&old, now), Err(TokenError::Invalid));
    assert_eq!(before.verify(&new, now), Err(TokenError::Invalid));
}

#[test]
fn every_claim_is_required_and_has_one_type() {
    let odd = [
        Value::Null,
        json!(true),
        json!(1.5),
        json!(-1),
        json!(0),
        json!(""),
        json!("1790001800"),
        json!([]),
        json!({}),
        json!(9_223_372_036_854_775_807_i64),
        json!(18_446_744_073_709_551_615_u64),
        json!(1e300),
    ];
    for name in ["iss", "aud", "sub", "sid", "typ", "iat", "exp"] {
        for value in &odd {
            if name == "iat" && value.as_i64().is_some_and(|iat| iat <= 0) {
                continue; // An old token with a long life is no contradiction.
            }
            let claims = with(claims(), name, value.clone());
            assert_eq!(
                check(&signed(&header(), &claims)),
                Err(TokenError::Invalid),
                "{claims}"
            );
        }
    }
    let (user, session) = (user().to_string(), session().to_string());
    for (name, value) in [
        ("iss", json!("Companion")),
        ("iss", json!("companion ")),
        ("iss", json!(["companion"])),
        ("aud", json!("companion")),
        ("aud", json!(["companion-api"])),
        ("aud", json!(["companion-api", "other"])),
        ("typ", json!("refresh")),
        ("typ", json!("Access")),
        ("typ", json!("upload")),
        ("sub", json!(session)),
        ("sub", json!(user.to_uppercase())),
        ("sub", json!(format!("{user} "))),
        ("sub", json!("usr_")),
        ("sub", json!(self::user().0.to_string())),
        ("sid", json!(user)),
        ("iat", json!(AT + 41)),
        ("iat", json!(AT + 1_800)),
        ("exp", json!(AT)),
        ("exp", json!(f64::from(1_790_001_800))),
        ("exp", json!(253_402_300_800_i64)),
    ] {
        let claims = with(claims(), name, value);
        assert_eq!(
            check(&signed(&header(), &claims)),
            Err(TokenError::Invalid),
            "{claims}"
        );
    }
    let good = claims().to_string();
    for text in [
        good.replacen('{', r#"{"exp":9999999999,"#, 1),
        good.replacen('{', r#"{"s\u0075b":"usr_00000000000000000000000000","#, 1),
        format!("{good}{good}"),
        format!(" {good}"),
        format!("[{good}]"),
        json!(claims().as_object().unwrap().values().collect::<Vec<_>>()).to_string(),
        "null".to_owned(),
        String::new(),
        good[..good.len() - 1].to_owned(),
        "[".repeat(3_000),
        format!("{{\"x\":{}", "[".repeat(3_000)),
    ] {
        let token = signed_text(SECRET, &header().to_string(), &text);
        assert_eq!(check(&token), Err(TokenError::Invalid), "{text:.80}");
    }
}

#[test]
fn expiry_is_told_only_of_tokens_that_are_otherwise_in_order() {
    let late = second(AT + 5_000);
    let answer = |secret, claims: &Value| {
        let token = signed_text(secret, &header().to_string(), &claims.to_string());
        keys(&[SECRET]).verify(&token, late)
    };
    assert_eq!(answer(SECRET, &claims()), Err(TokenError::Expired));
    assert_eq!(answer(OTHER, &claims()), Err(TokenError::Invalid));
    let other = with(claims(), "aud", json!("other"));
    assert_eq!(answer(SECRET, &other), Err(TokenError::Invalid));
}

#[test]
fn a_token_is_taken_exactly_as_sent_and_has_one_spelling() {
    let token = issued(&keys(&[SECRET]));
    let parts: Vec<_> = token.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else {
        panic!("{token}");
    };
    let mac = URL_SAFE_NO_PAD.decode(signature).unwrap();
    // 32 bytes leave two idle bits in the last of 43 digits; set, they decode to the same.
    let idle = {
        const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let last = signature.as_bytes()[42];
        let place = DIGITS.iter().position(|digit| *digit == last).unwrap();
        format!("{}{}", &signature[..42], char::from(DIGITS[place + 1]))
    };
    for bad in [
        String::new(),
        ".".into(),
        "..".into(),
        "...".into(),
        format!(" {token}"),
        format!("{token} "),
        format!("{token}\n"),
        format!("\t{token}"),
        format!("{token}."),
        format!("{token}.."),
        format!(".{token}"),
        format!("{token}="),
        format!("{token}A"),
        format!("{token}\0"),
        format!("Bearer {token}"),
        format!("\"{token}\""),
        format!("{token}.{signature}"),
        format!("{header}.{claims}"),
        format!("{header}.{claims}."),
        format!("{header}..{signature}"),
        format!(".{claims}.{signature}"),
        format!("{claims}.{header}.{signature}"),
        format!("{header}.{claims}.{idle}"),
        format!("{header}.{claims}.{}", &signature[..42]),
        format!("{header}.{claims}.{}", URL_SAFE.encode(&mac)),
        format!("{header}.{claims}.{}", STANDARD.encode(&mac)),
        format!("{header}.{claims}.{}", hex::encode(&mac)),
        format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode([0; 32])),
        token.replace('.', "%2E"),
        token.replace('.', "．"),
        token.to_uppercase(),
        "A".repeat(8 * 1024),
        format!("{}.{}.{}", "A".repeat(9_000), claims, signature),
        ".".repeat(10_000_000),
    ] {
        assert_eq!(check(&bad), Err(TokenError::Invalid), "{bad:.80}");
    }
    assert!(check(&token).is_ok());
}

#[test]
fn eight_kibibytes_are_the_most() {
    let padded = |length| signed(&header(), &with(claims(), "x", json!("y".repeat(length))));
    let longest = (0..9_000)
        .rev()
        .find(|length| padded(*length).len() <= 8 * 1024)
        .unwrap();
    assert!(check(&padded(longest)).is_ok());
    assert_eq!(check(&padded(longest + 1)), Err(TokenError::Invalid));
}

#[test]
fn a_refresh_token_is_no_access_token_and_the_other_way_round() {
    let keys = keys(&[SECRET]);
    let refresh = RefreshToken::generate(&Entropy::seeded(1));
    assert_eq!(check(refresh.expose()), Err(TokenError::Invalid));
    assert!(RefreshToken::parse(&issued(&keys)).is_none());
}

#[test]
fn a_refresh_token_has_one_spelling_and_a_hash() {
    let token = RefreshToken::generate(&Entropy::seeded(1));
    let text = token.expose();
    assert_eq!(text.len(), 43);
    let parsed = RefreshToken::parse(text).unwrap();
    assert_eq!(parsed.expose(), text);
    assert_eq!(parsed.hash(), token.hash());
    assert_eq!(token.hash(), <[u8; 32]>::from(Sha256::digest(text)));
    for bad in [
        String::new(),
        text[..42].to_owned(),
        format!("{text}A"),
        format!("{text}="),
        format!("{text} "),
        format!(" {text}"),
        format!("{text}\n"),
        format!("{}+", &text[..42]),
        format!("{}/", &text[..42]),
        format!("{}B", &"A".repeat(42)),
        "A".repeat(1_000_000),
        "é".repeat(21) + "A",
    ] {
        assert!(RefreshToken::parse(&bad).is_none(), "{bad:.60}");
    }
    let other = RefreshToken::generate(&Entropy::seeded(2));
    assert_ne!(other.expose(), text);
}

#[test]
fn a_successor_is_always_the_same_and_only_the_server_knows_it() {
    let (one, both) = (keys(&[OTHER]), keys(&[SECRET, OTHER]));
    let first = RefreshToken::generate(&Entropy::seeded(1));
    let second = one.successor(&first);
    assert_eq!(second.expose(), one.successor(&first).expose());
    assert!(RefreshToken::parse(second.expose()).is_some());
    let third = one.successor(&second);
    let texts = [&first, &second, &third].map(|token| token.expose().to_owned());
    assert!(texts[0] != texts[1] && texts[1] != texts[2] && texts[0] != texts[2]);

    assert_ne!(both.successor(&first).expose(), second.expose());
    let found = both.stored_successor(&first, &second.hash()).unwrap();
    assert_eq!(found.expose(), second.expose(), "made under the older key");
    assert!(one.stored_successor(&first, &third.hash()).is_none());
    assert!(one.stored_successor(&first, &[]).is_none());

    // Not the bare secret as the key, and not the key that signs access tokens.
    let bare = hmac_sha256_of(OTHER.as_bytes(), first.expose().as_bytes());
    assert_ne!(URL_SAFE_NO_PAD.encode(bare), second.expose());
}

#[test]
fn keys_need_a_secret_and_none_is_blank() {
    let made = |secrets: &[&str]| {
        let secrets: Vec<_> = secrets.iter().map(|&secret| secret.into()).collect();
        TokenKeys::new(&secrets, "i", "a").map(|keys| keys.keys.len())
    };
    assert_eq!(made(&[]), Err(TokenKeysError::None));
    assert_eq!(made(&[""]), Err(TokenKeysError::Blank));
    assert_eq!(made(&[SECRET, " \n"]), Err(TokenKeysError::Blank));
    assert_eq!(made(&[SECRET, OTHER, SECRET]), Ok(2));
}

#[test]
fn debug_shows_no_secret() {
    let keys = keys(&[SECRET]);
    let refresh = RefreshToken::generate(&Entropy::seeded(1));
    let access = keys
        .issue(user(), session(), second(AT), HALF_HOUR)
        .unwrap();
    let shown = format!("{keys:?} {refresh:?} {access:?}");
    for secret in [SECRET, refresh.expose(), access.token.expose_secret()] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(!shown.contains("eyJ"), "{shown}");
}

#[test]
fn no_changed_token_passes() {
    const MUTANTS: usize = 100_000;
    const ALPHABET: &[u8] =
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ ";
    let server = keys(&[SECRET, OTHER]);
    let now = second(AT + 10);
    // Two users' tokens, one under each key, to splice together.
    let other_user = UserId(Uuid::from_u128(9));
    let samples = [
        issued(&server),
        keys(&[OTHER])
            .issue(other_user, session(), second(AT), HALF_HOUR)
            .unwrap()
            .token
            .expose_secret()
            .to_owned(),
    ];
    let mut rng = StdRng::seed_from_u64(20_261_121);
    let mut refused = 0;
    for _ in 0..MUTANTS {
        let sample = rng.random_range(0..2);
        let mut bytes = samples[sample].clone().into_bytes();
        for _ in 0..rng.random_range(1..=3) {
            let at = rng.random_range(0..bytes.len());
            match rng.random_range(0..8) {
                0 => bytes[at] ^= 1 << rng.random_range(0..7),
                1 | 2 => bytes[at] = ALPHABET[rng.random_range(0..ALPHABET.len())],
                3 => drop(bytes.remove(at)),
                4 => bytes.insert(at, ALPHABET[rng.random_range(0..ALPHABET.len())]),
                5 => bytes.truncate(at.max(1)),
                6 => bytes.extend_from_slice(&bytes.clone()[at..]),
                _ => {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    let mut parts: Vec<_> = text.split('.').collect();
                    let place = rng.random_range(0..parts.len());
                    let other = samples[1 - sample].split('.').nth(rng.random_range(0..3));
                    parts[place] = other.unwrap();
                    bytes = parts.join(".").into_bytes();
                }
            }
            if bytes.is_empty() {
                break;
            }
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match server.verify(&text, now) {
            Ok(_) => assert!(samples.contains(&text), "a false accept: {text}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > MUTANTS * 9 / 10, "{refused}");
}
