use super::InitDataError::{BadSignature, BadUser, FromFuture, Malformed, TooOld};
use super::*;
use ed25519_dalek::{Signer, SigningKey};

const MINI_APPS_TOKEN: &str = "5768337691:AAH5YkoiEuPk8-FZa32hStHTqXiLPtAEhx8";
const MINI_APPS: &str = "query_id=AAHdF6IQAAAAAN0XohDhrOrc&user=%7B%22id%22%3A279058397%2C%22first_name%22%3A%22Vladislav%22%2C%22last_name%22%3A%22Kibenko%22%2C%22username%22%3A%22vdkfrost%22%2C%22language_code%22%3A%22ru%22%2C%22is_premium%22%3Atrue%7D&auth_date=1662771648&hash=c501b71e775f74ce10e377dea85a7ea24ecd640b223ea86dfe453e0eaed2e2b2";

const GOLANG_TOKEN: &str = "7342037359:AAHI25ES9xCOMPokpYoz-p8XVrZUdygo2J4";
const GOLANG_BOT: i64 = 7_342_037_359;
const GOLANG: &str = "user=%7B%22id%22%3A279058397%2C%22first_name%22%3A%22Vladislav%20%2B%20-%20%3F%20%5C%2F%22%2C%22last_name%22%3A%22Kibenko%22%2C%22username%22%3A%22vdkfrost%22%2C%22language_code%22%3A%22ru%22%2C%22is_premium%22%3Atrue%2C%22allows_write_to_pm%22%3Atrue%2C%22photo_url%22%3A%22https%3A%5C%2F%5C%2Ft.me%5C%2Fi%5C%2Fuserpic%5C%2F320%5C%2F4FPEE4tmP3ATHa57u6MqTDih13LTOiMoKoLDRG4PnSA.svg%22%7D&chat_instance=8134722200314281151&chat_type=private&auth_date=1733509682&signature=TYJxVcisqbWjtodPepiJ6ghziUL94-KNpG8Pau-X7oNNLNBM72APCpi_RKiUlBvcqo5L-LAxIc3dnTzcZX_PDg&hash=a433d8f9847bd6addcc563bff7cc82c89e97ea0d90c11fe5729cae6796a36d73";

pub(super) const AIOGRAM_TOKEN: &str = "42:TEST";
const AIOGRAM: &str = "auth_date=1650385342&user=%7B%22id%22%3A42%2C%22first_name%22%3A%22Test%22%7D&query_id=test&hash=46d2ea5e32911ec8d30999b56247654460c0d20949b6277af519e76271182803";

pub(super) const TOKEN: &str = "123456:AAtest";
pub(super) const AT: i64 = 1_790_000_000;
pub(super) const USER: &str = r#"{"id":7,"first_name":"Ann"}"#;

pub(super) fn second(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

pub(super) fn verifier(tokens: &[&str], ids: &[i64]) -> InitDataVerifier {
    let tokens: Vec<_> = tokens.iter().map(|&token| token.into()).collect();
    InitDataVerifier::new(&tokens, ids, DEFAULT_MAX_AGE).unwrap()
}

pub(super) fn signed(user: &str, extra: &[(&str, &str)]) -> String {
    sign(user, &TOKEN.into(), second(AT), extra).unwrap()
}

/// The answer to init data 50 s after `AT`, with [`TOKEN`] the only bot.
fn check(init_data: &str) -> Result<TelegramSignIn, InitDataError> {
    verifier(&[TOKEN], &[]).verify(init_data, second(AT + 50))
}

/// Signs decoded lines as an owner of the token could, whatever they are.
fn hash_of(check_string: &str) -> String {
    let secret = hmac_sha256_of(b"WebAppData", TOKEN.as_bytes());
    hex::encode(hmac_sha256_of(&secret, check_string.as_bytes()))
}

#[test]
fn the_mini_apps_documentation_vector_passes() {
    let sign_in = verifier(&[MINI_APPS_TOKEN], &[])
        .verify(MINI_APPS, second(1_662_771_648 + 50))
        .unwrap();
    assert_eq!(
        sign_in,
        TelegramSignIn {
            user: TelegramUser {
                id: 279_058_397,
                first_name: "Vladislav".into(),
                last_name: Some("Kibenko".into()),
                username: Some("vdkfrost".into()),
                language_code: Some("ru".into()),
                is_premium: true,
                photo_url: None,
            },
            auth_date: second(1_662_771_648),
            hash: "c501b71e775f74ce10e377dea85a7ea24ecd640b223ea86dfe453e0eaed2e2b2".into(),
            start_param: None,
        }
    );
}

#[test]
fn the_golang_vector_passes_by_hash_and_by_signature() {
    let now = second(1_733_509_682 + 50);
    let by_hash = verifier(&[GOLANG_TOKEN], &[]).verify(GOLANG, now).unwrap();
    assert_eq!(by_hash.user.first_name, "Vladislav + - ? /");
    assert_eq!(
        by_hash.user.photo_url.as_deref(),
        Some("https://t.me/i/userpic/320/4FPEE4tmP3ATHa57u6MqTDih13LTOiMoKoLDRG4PnSA.svg")
    );
    let third_party = verifier(&[], &[1, GOLANG_BOT]);
    let by_signature = third_party.verify(GOLANG, now).unwrap();
    assert_eq!(by_signature.user, by_hash.user);

    // The signature doesn't cover `hash`: another one passes, under the same name for limits.
    let (rest, _) = GOLANG.split_once("&hash=").unwrap();
    let varied = third_party
        .verify(&format!("{rest}&hash=whatever"), now)
        .unwrap();
    assert_eq!(varied.hash, by_signature.hash);
    assert_eq!(varied.hash.len(), 64);

    assert_eq!(
        verifier(&[], &[1]).verify(GOLANG, now),
        Err(BadSignature),
        "signed for another bot"
    );
    assert_eq!(
        verifier(&["7342037359:other"], &[]).verify(GOLANG, now),
        Err(BadSignature),
        "a bot with a token is checked by its token alone"
    );
}

#[test]
fn the_aiogram_vector_passes_and_any_of_several_bots_may_match() {
    let now = second(1_650_385_342 + 50);
    for tokens in [
        &[AIOGRAM_TOKEN][..],
        &[MINI_APPS_TOKEN, GOLANG_TOKEN, AIOGRAM_TOKEN],
        &[AIOGRAM_TOKEN, MINI_APPS_TOKEN],
    ] {
        let sign_in = verifier(tokens, &[]).verify(AIOGRAM, now).unwrap();
        assert_eq!(sign_in.user.id, 42);
    }
    assert_eq!(
        verifier(&[MINI_APPS_TOKEN, GOLANG_TOKEN], &[]).verify(AIOGRAM, now),
        Err(BadSignature)
    );
}

#[test]
fn without_a_bot_nothing_passes() {
    let none = verifier(&[], &[]);
    assert!(!none.is_configured());
    assert_eq!(
        none.verify(GOLANG, second(1_733_509_682)),
        Err(BadSignature)
    );
}

#[test]
fn what_we_sign_passes_with_every_field_as_given() {
    let extra = [
        ("start_param", "ref_7-a"),
        ("empty", ""),
        ("odd key?&%+", "é = & % + ünïcode \u{1F600}"),
        ("signature", "not checked here"),
    ];
    let sign_in = check(&signed(USER, &extra)).unwrap();
    assert_eq!(sign_in.user.id, 7);
    assert_eq!(sign_in.user.first_name, "Ann");
    assert_eq!(sign_in.auth_date, second(AT));
    assert_eq!(sign_in.start_param.as_deref(), Some("ref_7-a"));
    assert_eq!(check(&signed(USER, &[])).unwrap().start_param, None);
}

#[test]
fn a_plus_is_a_space_and_percent_codes_take_either_case_and_are_decoded_once() {
    let data = signed(r#"{"id":7,"first_name":"A %2B B"}"#, &[]);
    assert_eq!(check(&data).unwrap().user.first_name, "A %2B B");
    let plus = data.replace("%20", "+");
    assert_ne!(plus, data);
    assert_eq!(check(&plus).unwrap().user.first_name, "A %2B B");
    let lower = data.replace("%7B", "%7b").replace("%3A", "%3a");
    assert_ne!(lower, data);
    assert!(check(&lower).is_ok());
    assert_eq!(
        check(&data.replace("%252B", "%2B")),
        Err(BadSignature),
        "decoded twice"
    );
}

#[test]
fn a_malformed_string_is_refused_whoever_signed_it() {
    let good = signed(USER, &[]);
    let (body, hash) = good.split_once("&hash=").unwrap();
    let long = "x".repeat(8 * 1024);
    let cases = [
        ("", "a field without an equals sign"),
        ("hash", "a field without an equals sign"),
        (&format!("?{good}"), "a leading question mark"),
        (&format!("{good}&"), "a field without an equals sign"),
        (&format!("&{good}"), "a field without an equals sign"),
        (&good.replace('&', "&&"), "a field without an equals sign"),
        (&format!("{good}&x"), "a field without an equals sign"),
        (&format!("{good}&=x"), "a field without a name"),
        (&format!("{good}&a%3Db=c"), "an equals sign in a name"),
        (&format!("{good}&hash={hash}"), "a field given twice"),
        (&format!("{good}&%68ash={hash}"), "a field given twice"),
        (&format!("{good}&auth_date={AT}"), "a field given twice"),
        (&format!("{good}&a=1&a=2"), "a field given twice"),
        (&format!("{good}&x=%0A"), "a control character"),
        (&format!("{good}&x=\n"), "a control character"),
        (&format!("{good}&x%00=1"), "a control character"),
        (&format!("{good}&x=%7F"), "a control character"),
        (&format!("{good}&x=%C2%85"), "a control character"),
        (&format!("{good}&x=%"), "a broken percent code"),
        (&format!("{good}&x=%4"), "a broken percent code"),
        (&format!("{good}&x=%4&y=1"), "a broken percent code"),
        (&format!("{good}&x=%4G"), "a broken percent code"),
        (&format!("{good}&x=%+1"), "a broken percent code"),
        (&format!("{good}&x=%u0041"), "a broken percent code"),
        (&format!("{good}&x=%é1"), "a broken percent code"),
        (&format!("{good}&x=%FF"), "not UTF-8"),
        (&format!("{good}&x=%C0%80"), "not UTF-8"),
        (&format!("{good}&x=%ED%A0%80"), "not UTF-8"),
        (&format!("{good}&x={long}"), "longer than 8 KiB"),
        (body, "no hash"),
        (&good.replace("auth_date", "auth_dat"), "no auth_date"),
    ];
    for (data, reason) in cases {
        assert_eq!(check(data), Err(Malformed(reason)), "{data:?}");
    }
}

#[test]
fn eight_kibibytes_pass_and_one_byte_more_does_not() {
    let spare = 8 * 1024 - signed(USER, &[("x", "")]).len();
    let full = signed(USER, &[("x", &"y".repeat(spare))]);
    assert_eq!(full.len(), 8 * 1024);
    assert!(check(&full).is_ok());
    let over = signed(USER, &[("x", &"y".repeat(spare + 1))]);
    assert_eq!(check(&over), Err(Malformed("longer than 8 KiB")));
}

#[test]
fn a_newline_in_a_value_forges_no_line() {
    // The owner of a bot would sign these lines for user 7 with a harmless start parameter.
    let lines = format!("auth_date={AT}\nstart_param=x\nuser={USER}");
    let hash = hash_of(&lines);
    assert!(
        check(&format!(
            "auth_date={AT}&start_param=x&user={USER}&hash={hash}"
        ))
        .is_ok()
    );
    for merged in [
        format!("auth_date={AT}%0Astart_param=x&user={USER}&hash={hash}"),
        format!("auth_date={AT}&start_param=x%0Auser={USER}&hash={hash}"),
    ] {
        assert_eq!(check(&merged), Err(Malformed("a control character")));
    }
}

#[test]
fn the_border_of_key_and_value_does_not_move() {
    let data = signed(USER, &[("start_param", "a=b")]);
    assert!(check(&data).is_ok());
    let moved = data.replace("start_param=a%3Db", "start_param%3Da=b");
    assert_ne!(moved, data);
    assert_eq!(check(&moved), Err(Malformed("an equals sign in a name")));
}

#[test]
fn only_hash_is_left_out_of_the_string() {
    let full = [("signature", "s"), ("unknown", "u"), ("empty", "")];
    let data = signed(USER, &full);
    for (field, without) in [
        ("signature", data.replace("signature=s&", "")),
        ("unknown", data.replace("unknown=u&", "")),
        ("empty", data.replace("empty=&", "")),
        ("more", format!("{data}&more=")),
    ] {
        assert_ne!(without, data);
        assert_eq!(check(&without), Err(BadSignature), "{field}");
    }
}

#[test]
fn the_hash_counts_in_one_spelling() {
    let good = signed(USER, &[]);
    let (body, hash) = good.split_once("&hash=").unwrap();
    for bad in [
        String::new(),
        hash.to_uppercase(),
        hash[..62].to_owned(),
        format!("{hash}00"),
        format!("+{hash}"),
        "0".repeat(64),
        hash_of(""),
    ] {
        assert_eq!(
            check(&format!("{body}&hash={bad}")),
            Err(BadSignature),
            "{bad}"
        );
    }
    let anywhere = format!("hash={hash}&{body}");
    assert!(check(&anywhere).is_ok(), "the order of the fields is free");
}

#[test]
fn the_key_is_the_token_hashed_under_webappdata() {
    // The Login Widget's way (key = SHA-256 of the token), and key and message swapped.
    let lines = format!("auth_date={AT}\nuser={USER}");
    let widget = Sha256::digest(TOKEN);
    let swapped = hmac_sha256_of(TOKEN.as_bytes(), b"WebAppData");
    for key in [&widget[..], &swapped, TOKEN.as_bytes(), b""] {
        let hash = hex::encode(hmac_sha256_of(key, lines.as_bytes()));
        let data = format!("auth_date={AT}&user={USER}&hash={hash}");
        assert_eq!(check(&data), Err(BadSignature));
    }
}

#[test]
fn auth_date_is_ascii_digits() {
    for (date, reason) in [
        ("", "auth_date is not a number"),
        ("-1", "auth_date is not a number"),
        ("+1790000000", "auth_date is not a number"),
        (" 1790000000", "auth_date is not a number"),
        ("1790000000.0", "auth_date is not a number"),
        ("1.79e9", "auth_date is not a number"),
        ("0x6AB1A380", "auth_date is not a number"),
        ("１７９０００００００", "auth_date is not a number"),
        ("1790000000000", "auth_date is out of range"),
        ("9223372036854775808", "auth_date is out of range"),
        ("99999999999999999999999999", "auth_date is out of range"),
    ] {
        let data = signed(USER, &[("auth_date", date)]);
        assert_eq!(check(&data), Err(Malformed(reason)), "{date:?}");
    }
    assert_eq!(check(&signed(USER, &[("auth_date", "0")])), Err(TooOld));
}

#[test]
fn age_has_its_two_edges() {
    let data = signed(USER, &[]);
    let verifier = verifier(&[TOKEN], &[]);
    let at = |seconds| verifier.verify(&data, second(AT + seconds)).err();
    assert_eq!(at(3_600), None);
    assert_eq!(at(3_601), Some(TooOld));
    assert_eq!(at(-60), None);
    assert_eq!(at(-61), Some(FromFuture));

    let day = InitDataVerifier::new(&[TOKEN.into()], &[], LONGEST_MAX_AGE).unwrap();
    assert!(day.verify(&data, second(AT + 86_400)).is_ok());
    assert_eq!(day.verify(&data, second(AT + 86_401)), Err(TooOld));
    assert_eq!(
        day.verify(&data, Timestamp::MAX),
        Err(TooOld),
        "the arithmetic holds at the edges of time"
    );
    assert_eq!(day.verify(&data, Timestamp::MIN), Err(FromFuture));
}

#[test]
fn a_bad_signature_hides_what_else_is_wrong() {
    let old_and_bad = signed(r#"{"id":0}"#, &[("auth_date", "1")]).replace("hash=", "hash=0");
    assert_eq!(check(&old_and_bad), Err(BadSignature));
}

#[test]
fn a_good_hash_over_a_bad_user_is_refused() {
    let deep = |levels: usize| {
        format!(
            r#"{{"id":7,"x":{}{}}}"#,
            "[".repeat(levels),
            "]".repeat(levels)
        )
    };
    let name = |length: usize| format!(r#"{{"id":7,"first_name":"{}"}}"#, "é".repeat(length));
    for bad in [
        "",
        "null",
        "7",
        "[]",
        r#""{\"id\":7}""#,
        r#"[{"id":7}]"#,
        "{}",
        r#"{"first_name":"Ann"}"#,
        r#"{"id":null}"#,
        r#"{"id":"7"}"#,
        r#"{"id":7.0}"#,
        r#"{"id":7e0}"#,
        r#"{"id":[7]}"#,
        r#"{"id":true}"#,
        r#"{"id":0}"#,
        r#"{"id":-0}"#,
        r#"{"id":-7}"#,
        r#"{"id":4503599627370497}"#,
        r#"{"id":9223372036854775808}"#,
        r#"{"id":18446744073709551623}"#,
        r#"{"id":1e400}"#,
        r#"{"id":7,"id":8}"#,
        r#"{"id":7,"\u0069d":7}"#,
        r#"{"id":7,"x":1,"x":1}"#,
        r#"{"id":7,"x":{"y":1,"y":2}}"#,
        r#"{"id":7,"x":[{"y":1,"y":2}]}"#,
        r#"{"id":7,"is_bot":true}"#,
        r#"{"id":7,"is_bot":"false"}"#,
        r#"{"id":7,"is_bot":1}"#,
        r#"{"id":7,"is_bot":false,"is_bot":false}"#,
        r#"{"id":7,"first_name":5}"#,
        r#"{"id":7,"first_name":"a\u0000b"}"#,
        r#"{"id":7,"last_name":"a\nb"}"#,
        r#"{"id":7,"username":"\ud800"}"#,
        r#"{"id":7,"is_premium":"yes"}"#,
        r#"{"id":7}{"id":8}"#,
        r#"{"id":7} x"#,
        r#"{"id":7,}"#,
        r#"{"id":7"#,
        r#"{"id":007}"#,
        r#"{'id':7}"#,
        &deep(8),
        &deep(1_000),
        &name(257),
    ] {
        assert_eq!(check(&signed(bad, &[])), Err(BadUser), "{bad:.80}");
    }
    let hash = hash_of(&format!("auth_date={AT}"));
    assert_eq!(
        check(&format!("auth_date={AT}&hash={hash}")),
        Err(BadUser),
        "no user at all"
    );
    for good in [
        r#"{"id":1}"#,
        r#" { "id" : 7 , "is_bot" : false , "first_name" : "" } "#,
        r#"{"id":4503599627370496}"#,
        r#"{"id":7,"first_name":null,"last_name":null,"photo_url":null}"#,
        r#"{"id":7,"x":{"id":"9","is_bot":true,"y":[1,-1,1.5,"s",null,{}]}}"#,
        &deep(7),
        &name(256),
    ] {
        assert!(check(&signed(good, &[])).is_ok(), "{good}");
    }
}

#[test]
fn a_photo_is_https_or_none() {
    let photo = |url| {
        let user = format!(r#"{{"id":7,"photo_url":"{url}"}}"#);
        check(&signed(&user, &[])).unwrap().user.photo_url
    };
    assert!(photo("https://t.me/i/a.svg").is_some());
    assert_eq!(photo("javascript:alert(1)"), None);
    assert_eq!(photo("http://t.me/i/a.svg"), None);
}

#[test]
fn settings_that_would_let_anyone_in_are_refused_without_being_shown() {
    for token in [
        "",
        " ",
        ":",
        "42",
        "42:",
        ":TEST",
        "x:TEST",
        "42:TEST\n",
        " 42:TEST",
        "42:TE ST",
    ] {
        let made = InitDataVerifier::new(&[token.into()], &[], DEFAULT_MAX_AGE);
        assert_eq!(
            made.err(),
            Some(TelegramSettingsError::BotToken),
            "{token:?}"
        );
        assert!(sign(USER, &token.into(), second(AT), &[]).is_err());
    }
    for seconds in [0, 86_401, u64::MAX] {
        let age = Duration::from_secs(seconds);
        let made = InitDataVerifier::new(&[], &[], age);
        assert_eq!(made.err(), Some(TelegramSettingsError::MaxAge));
    }
    let mut small_order = [0; 32];
    small_order[0] = 1;
    assert_eq!(
        verifier(&[], &[1]).with_public_key(&small_order).err(),
        Some(TelegramSettingsError::PublicKey),
        "anyone signs for the neutral point"
    );
    let shown = format!("{:?}", verifier(&[TOKEN], &[42]));
    assert!(!shown.contains("AAtest"), "{shown}");
    assert!(!format!("{}", TelegramSettingsError::BotToken).contains("AAtest"));
}

/// Init data signed by a key of our own in Telegram's place.
pub(super) fn third_party(key: &SigningKey, bot: i64, lines: &str) -> String {
    let signature = key.sign(format!("{bot}:WebAppData\n{lines}").as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(signature.to_bytes());
    let fields = lines.replace('\n', "&");
    format!("{fields}&signature={signature}&hash=00")
}

#[test]
fn a_third_party_signature_is_for_one_bot_one_key_one_text_and_one_spelling() {
    let key = SigningKey::from_bytes(&[9; 32]);
    let own = verifier(&[], &[77])
        .with_public_key(key.verifying_key().as_bytes())
        .unwrap();
    let now = second(AT + 50);
    let lines = format!("auth_date={AT}\nuser={USER}");
    let good = third_party(&key, 77, &lines);
    assert_eq!(own.verify(&good, now).unwrap().user.id, 7);

    let (before, signature) = good.split_once("&signature=").unwrap();
    let (signature, _) = signature.split_once('&').unwrap();
    let respelt = |text: &str| format!("{before}&signature={text}&hash=00");
    let other_key = SigningKey::from_bytes(&[8; 32]);
    // The last digit of 64 bytes holds four idle bits, which must be zero.
    let idle_bits = format!("{}B", &signature[..85]);
    for bad in [
        third_party(&other_key, 77, &lines),
        third_party(&key, 78, &lines),
        third_party(&key, 7, &lines),
        format!("{good}&more=1"),
        good.replace("Ann", "Bob"),
        respelt(""),
        respelt(&format!("{signature}==")),
        respelt(&signature[..84]),
        respelt(&format!("{signature}AAAA")),
        respelt(&idle_bits),
        respelt(&"A".repeat(86)),
        format!("{before}&hash=00"),
    ] {
        assert_eq!(own.verify(&bad, now), Err(BadSignature), "{bad}");
    }
    assert_eq!(own.verify(&good, second(AT + 3_601)), Err(TooOld));
    let bot = third_party(&key, 77, &lines.replace("Ann\"", "Ann\",\"is_bot\":true"));
    assert_eq!(own.verify(&bot, now), Err(BadUser));
}
