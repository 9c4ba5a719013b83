use ed25519_dalek::SigningKey;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::InitDataVerifier;
use super::tests::{AIOGRAM_TOKEN, AT, TOKEN, USER, second, signed, third_party, verifier};

/// How many changed sign-ins must all be refused, by hash and by signature.
const MUTANTS: usize = 100_000;

/// One random change of the kinds that an attacker would try, and a few that they wouldn't.
fn mutant(rng: &mut StdRng, samples: &[String]) -> String {
    const PIECES: [&str; 22] = [
        "%00",
        "%0A",
        "\n",
        "&",
        "&&",
        "=",
        "%3D",
        "%26",
        "%25",
        "+",
        "%2B",
        "?",
        "%",
        "é",
        "\0",
        "&hash=",
        "&user=%7B%22id%22%3A1%7D",
        "&auth_date=1790000001",
        "signature",
        "\"id\":1,",
        "A",
        "0",
    ];
    let text = samples.choose(rng).unwrap();
    let mut bytes = text.clone().into_bytes();
    for _ in 0..rng.random_range(1..=3) {
        let at = rng.random_range(0..bytes.len());
        let to = rng.random_range(at..bytes.len().min(at + 12));
        match rng.random_range(0..8) {
            0 => bytes[at] ^= 1 << rng.random_range(0..7),
            1 => bytes[at] = rng.random_range(0..128),
            2 => drop(bytes.drain(at..=to)),
            3 => {
                let piece = PIECES.choose(rng).unwrap().bytes();
                drop(bytes.splice(at..at, piece));
            }
            4 => {
                let piece = PIECES.choose(rng).unwrap().bytes();
                drop(bytes.splice(at..=to, piece));
            }
            5 => {
                let copy = bytes[at..=to].to_vec();
                drop(bytes.splice(at..at, copy));
            }
            // Fields of another valid sign-in in place of this one's.
            6 => {
                let other: Vec<_> = samples.choose(rng).unwrap().split('&').collect();
                let mine = String::from_utf8_lossy(&bytes).into_owned();
                let mut mine: Vec<_> = mine.split('&').collect();
                let place = rng.random_range(0..mine.len());
                mine[place] = other.choose(rng).unwrap();
                bytes = mine.join("&").into_bytes();
            }
            _ => {
                bytes[at] = if bytes[at].is_ascii_uppercase() {
                    bytes[at].to_ascii_lowercase()
                } else {
                    bytes[at].to_ascii_uppercase()
                }
            }
        }
        if bytes.is_empty() {
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The fields as another decoder reads them, sorted.
fn decoded(text: &str, without: &str) -> Vec<(String, String)> {
    let mut fields: Vec<_> = url::form_urlencoded::parse(text.as_bytes())
        .filter(|(key, _)| key != without)
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect();
    fields.sort();
    fields
}

/// Runs mutants of `samples`: one may pass only if it says, to another decoder, exactly what one
/// of the samples says. Answers how many different ones were refused.
fn attack(verifier: &InitDataVerifier, samples: &[String], count: usize, unsigned: &str) -> usize {
    let mut rng = StdRng::seed_from_u64(20_261_121);
    let signed: Vec<_> = samples.iter().map(|text| decoded(text, unsigned)).collect();
    let mut refused = 0;
    for _ in 0..count {
        let text = mutant(&mut rng, samples);
        match verifier.verify(&text, second(AT + 50)) {
            Ok(_) => assert!(
                signed.contains(&decoded(&text, unsigned)),
                "a false accept: {text:?}"
            ),
            Err(_) => refused += 1,
        }
    }
    refused
}

#[test]
fn no_changed_sign_in_passes_by_hash() {
    let samples = [
        signed(USER, &[("query_id", "AAHdF6IQ"), ("chat_type", "private")]),
        signed(
            r#"{"id":8,"first_name":"B o+b"}"#,
            &[("start_param", "x=1")],
        ),
        signed(
            r#"{"id":8,"first_name":"Bob"}"#,
            &[("signature", "AAAA"), ("auth_date", "1790000010")],
        ),
    ];
    let verifier = verifier(&[AIOGRAM_TOKEN, TOKEN], &[]);
    for sample in &samples {
        assert!(verifier.verify(sample, second(AT + 50)).is_ok());
    }
    let refused = attack(&verifier, &samples, MUTANTS, "");
    assert!(refused > MUTANTS * 9 / 10, "{refused}");
}

#[test]
fn no_changed_sign_in_passes_by_signature() {
    let key = SigningKey::from_bytes(&[9; 32]);
    let samples =
        [7, 8].map(|id| third_party(&key, 77, &format!("auth_date={AT}\nuser={{\"id\":{id}}}")));
    let verifier = verifier(&[], &[77])
        .with_public_key(key.verifying_key().as_bytes())
        .unwrap();
    for sample in &samples {
        assert!(verifier.verify(sample, second(AT + 50)).is_ok());
    }
    let refused = attack(&verifier, &samples, MUTANTS, "hash");
    assert!(refused > MUTANTS / 2, "{refused}");
}

#[test]
fn no_changed_user_passes_for_another_though_well_signed() {
    const PIECES: [&str; 16] = [
        "1",
        "e1",
        ".0",
        "-",
        "\"",
        "\\u0069",
        "\\u0000",
        "\\ud800",
        "{",
        "}",
        "[",
        "],",
        ":",
        ",\"id\":8",
        "\"is_bot\":true,",
        "null",
    ];
    const SAMPLE: &str =
        r#"{"id":4503599627370495,"is_bot":false,"first_name":"Ann","x":{"y":[1]}}"#;
    let mut rng = StdRng::seed_from_u64(20_261_121);
    let verifier = verifier(&[TOKEN], &[]);
    let mut passed = 0;
    for _ in 0..20_000 {
        let mut json: Vec<_> = SAMPLE.chars().map(String::from).collect();
        for _ in 0..rng.random_range(1..=3) {
            let at = rng.random_range(0..json.len());
            match rng.random_range(0..3) {
                0 => drop(json.remove(at)),
                1 => json[at] = PIECES.choose(&mut rng).unwrap().to_string(),
                _ => json.insert(at, PIECES.choose(&mut rng).unwrap().to_string()),
            }
        }
        let json = json.concat();
        let Ok(sign_in) = verifier.verify(&signed(&json, &[]), second(AT + 50)) else {
            continue;
        };
        passed += 1;
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["id"].as_i64(), Some(sign_in.user.id), "{json}");
        assert!((1..=1 << 52).contains(&sign_in.user.id), "{json}");
        assert!(
            value.get("is_bot").is_none_or(|is_bot| is_bot == false),
            "{json}"
        );
    }
    assert!(passed > 100, "{passed}");
}
