//! The check of Stripe's webhook signatures (security.md, Stripe webhooks 1, 2, 7 and 8).
//!
//! Ours, because async-stripe's takes one secret, accepts a blank one and refuses an event that a clock ahead of ours
//! signed.

use std::fmt;

use hmac::Mac;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use crate::mac::{hmac_sha256, mac_from_hex};

/// Seconds between the signature's time and ours, to either side: 300 passes, 301 doesn't.
const TOLERANCE_SECONDS: i64 = 300;

/// The longest header, in bytes; Stripe's is under 1 KiB with every secret of a rotation.
const MAX_HEADER_BYTES: usize = 4 * 1024;

/// Checks the `Stripe-Signature` header of webhooks against the active secrets.
#[derive(Clone)]
pub struct StripeSignature {
    secrets: Vec<SecretString>,
}

/// Why a webhook is refused. All of these are a 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StripeSignatureError {
    /// The header has not the form of a signature; the text says why.
    #[error("malformed Stripe-Signature header: {0}")]
    Malformed(&'static str),
    /// No signature in the header fits the body under an active secret.
    #[error("the Stripe signature does not match")]
    BadSignature,
    /// Signed more than 300 s ago.
    #[error("the Stripe signature is too old")]
    TooOld,
}

impl StripeSignature {
    /// Checks against these endpoint secrets, each the whole `whsec_…` text; several of them
    /// while one replaces another.
    ///
    /// A blank secret never matches, since anyone could sign with it; with no other secret,
    /// everything is refused.
    #[must_use]
    pub fn new(secrets: &[SecretString]) -> Self {
        Self {
            secrets: secrets
                .iter()
                .filter(|secret| !is_blank(secret))
                .cloned()
                .collect(),
        }
    }

    /// Checks the header against the raw bytes of the body, before anyone parses them.
    ///
    /// The header is split at commas, with spaces and tabs around an element ignored; it holds
    /// one `t`, in digits, and one `v1` or more; elements of other schemes are ignored. A `v1`
    /// counts in lowercase hex alone. Times are compared in whole seconds.
    ///
    /// # Errors
    /// The first of these that applies: [`StripeSignatureError::Malformed`], then
    /// [`StripeSignatureError::BadSignature`], then [`StripeSignatureError::TooOld`]. A time ahead of ours is no error:
    /// an event counts once however often it comes (security.md, Stripe webhooks 2 and 4).
    pub fn verify(
        &self,
        header: &str,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), StripeSignatureError> {
        let header = Header::parse(header)?;
        let matches = self.secrets.iter().any(|secret| {
            let mac = hmac_sha256(secret.expose_secret().as_bytes())
                .chain_update(header.t)
                .chain_update(b".")
                .chain_update(body);
            header
                .signatures
                .iter()
                .any(|signature| mac.clone().verify_slice(signature).is_ok())
        });
        if !matches {
            return Err(StripeSignatureError::BadSignature);
        }
        let age = now.as_second().saturating_sub(header.seconds);
        if age > TOLERANCE_SECONDS {
            return Err(StripeSignatureError::TooOld);
        }
        Ok(())
    }
}

impl fmt::Debug for StripeSignature {
    /// Shows how many secrets there are, never one of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StripeSignature")
            .field("secrets", &self.secrets.len())
            .finish()
    }
}

/// The `Stripe-Signature` header that Stripe would send with `body` at `t` (Unix seconds): for
/// sandbox payments and tests.
#[must_use]
pub fn sign(secret: &SecretString, t: i64, body: &[u8]) -> String {
    let mac = hmac_sha256(secret.expose_secret().as_bytes())
        .chain_update(format!("{t}."))
        .chain_update(body)
        .finalize();
    format!("t={t},v1={}", hex::encode(mac.into_bytes()))
}

fn is_blank(secret: &SecretString) -> bool {
    secret.expose_secret().trim().is_empty()
}

struct Header<'a> {
    /// The time as it stands in the header, which is what is signed.
    t: &'a str,
    seconds: i64,
    signatures: Vec<[u8; 32]>,
}

impl<'a> Header<'a> {
    fn parse(header: &'a str) -> Result<Self, StripeSignatureError> {
        use StripeSignatureError::Malformed;

        if header.len() > MAX_HEADER_BYTES {
            return Err(Malformed("too long"));
        }
        let mut time = None;
        let mut has_v1 = false;
        let mut signatures = Vec::new();
        for element in header.split(',') {
            match element.trim_matches([' ', '\t']).split_once('=') {
                Some(("t", _)) if time.is_some() => return Err(Malformed("more than one t")),
                Some(("t", text)) => time = Some(text),
                Some(("v1", text)) => {
                    has_v1 = true;
                    // One in another spelling just doesn't match.
                    signatures.extend(mac_from_hex(text));
                }
                _ => {}
            }
        }
        let t = time.ok_or(Malformed("no t"))?;
        if !has_v1 {
            return Err(Malformed("no v1"));
        }
        if t.is_empty() || !t.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Malformed("t is not a number"));
        }
        let seconds = t.parse().map_err(|_| Malformed("t is out of range"))?;
        Ok(Self {
            t,
            seconds,
            signatures,
        })
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::StripeSignatureError::{BadSignature, Malformed, TooOld};
    use super::*;

    const SECRET: &str = "whsec_test_secret";
    const OLD_SECRET: &str = "whsec_before_rotation";
    const AT: i64 = 1_790_000_000;
    const BODY: &[u8] = br#"{"id":"evt_1","object":"event"}"#;

    fn checker(secrets: &[&str]) -> StripeSignature {
        let secrets: Vec<_> = secrets.iter().map(|&secret| secret.into()).collect();
        StripeSignature::new(&secrets)
    }

    fn check(header: &str) -> Result<(), StripeSignatureError> {
        checker(&[SECRET]).verify(header, BODY, Timestamp::from_second(AT).unwrap())
    }

    fn good() -> String {
        sign(&SECRET.into(), AT, BODY)
    }

    /// The hex of a good signature.
    fn v1() -> String {
        good().split_once("v1=").unwrap().1.to_owned()
    }

    /// A signature over a time that is spelt as given.
    fn signed_text(t: &str) -> String {
        let mac = hmac_sha256(SECRET.as_bytes())
            .chain_update(t)
            .chain_update(b".")
            .chain_update(BODY);
        format!("t={t},v1={}", hex::encode(mac.finalize().into_bytes()))
    }

    #[test]
    fn a_signature_is_the_hmac_of_time_and_body_under_the_whole_secret() {
        // Made by: printf '1790000000.%s' '{"id":"evt_1","object":"event"}' |
        //     openssl dgst -sha256 -hmac whsec_test_secret
        assert_eq!(
            good(),
            "t=1790000000,v1=765d0d35514a56905b8ddef451bc5570cc45dfa0395a213879a36689a6be55a3"
        );
        assert_eq!(check(&good()), Ok(()));
        assert_eq!(
            check(&sign(&"test_secret".into(), AT, BODY)),
            Err(BadSignature),
            "without the whsec_"
        );
    }

    #[test]
    fn the_raw_bytes_are_signed() {
        let now = Timestamp::from_second(AT).unwrap();
        let checker = checker(&[SECRET]);
        for body in [&b""[..], b"\xff\x00 not even text", b"{ }", b"{}\n"] {
            let header = sign(&SECRET.into(), AT, body);
            assert_eq!(checker.verify(&header, body, now), Ok(()));
            let mut other = body.to_vec();
            other.push(b' ');
            assert_eq!(checker.verify(&header, &other, now), Err(BadSignature));
        }
        // A dot of the body does not slide into the time.
        let header = sign(&SECRET.into(), 1, b"2.{}");
        assert_eq!(
            checker.verify(&header.replace("t=1", "t=1.2"), b"{}", now),
            Err(Malformed("t is not a number"))
        );
    }

    #[test]
    fn any_v1_matches_any_active_secret() {
        let now = Timestamp::from_second(AT).unwrap();
        let (new, old) = (good(), sign(&OLD_SECRET.into(), AT, BODY));
        let both = format!("{new},{}", old.split_once(',').unwrap().1);
        let verify = |secrets: &[&str], header: &str| checker(secrets).verify(header, BODY, now);
        assert_eq!(verify(&[SECRET, OLD_SECRET], &new), Ok(()));
        assert_eq!(verify(&[SECRET, OLD_SECRET], &old), Ok(()));
        assert_eq!(verify(&[OLD_SECRET, SECRET], &new), Ok(()));
        assert_eq!(verify(&[SECRET], &both), Ok(()));
        assert_eq!(verify(&[OLD_SECRET], &both), Ok(()));
        assert_eq!(verify(&[SECRET], &old), Err(BadSignature));
        assert_eq!(verify(&["whsec_third"], &both), Err(BadSignature));
    }

    #[test]
    fn a_blank_secret_refuses_everything() {
        let now = Timestamp::from_second(AT).unwrap();
        for blank in ["", " ", "\t\n"] {
            let header = sign(&blank.into(), AT, BODY);
            for secrets in [&[blank][..], &[blank, blank], &[], &[SECRET, blank]] {
                assert_eq!(
                    checker(secrets).verify(&header, BODY, now),
                    Err(BadSignature),
                    "{secrets:?}"
                );
            }
            assert_eq!(
                checker(&[blank]).verify(&good(), BODY, now),
                Err(BadSignature)
            );
            assert_eq!(checker(&[blank, SECRET]).verify(&good(), BODY, now), Ok(()));
        }
    }

    #[test]
    fn the_tolerance_is_300_seconds_into_the_past() {
        let at = |seconds| check(&sign(&SECRET.into(), AT - seconds, BODY));
        assert_eq!(at(300), Ok(()));
        assert_eq!(at(301), Err(TooOld));
        assert_eq!(at(AT), Err(TooOld));
        assert_eq!(at(-300), Ok(()));
        assert_eq!(at(-301), Ok(()));
        assert_eq!(check(&sign(&SECRET.into(), i64::MAX, BODY)), Ok(()));
        let checker = checker(&[SECRET]);
        assert_eq!(
            checker.verify(&signed_text("0"), BODY, Timestamp::MAX),
            Err(TooOld)
        );
        assert_eq!(
            checker.verify(&signed_text("9223372036854775807"), BODY, Timestamp::MIN),
            Ok(())
        );
        assert_eq!(
            check("t=1,v1=00"),
            Err(BadSignature),
            "the signature comes first"
        );
    }

    #[test]
    fn a_time_that_is_no_number_or_overflows_is_malformed() {
        for (t, reason) in [
            ("", "t is not a number"),
            ("x", "t is not a number"),
            ("-1790000000", "t is not a number"),
            ("+1790000000", "t is not a number"),
            (" 1790000000", "t is not a number"),
            ("1790000000.0", "t is not a number"),
            ("1_790_000_000", "t is not a number"),
            ("0x6ab1a380", "t is not a number"),
            ("\u{0661}", "t is not a number"),
            ("9223372036854775808", "t is out of range"),
            ("99999999999999999999999999999", "t is out of range"),
        ] {
            assert_eq!(check(&signed_text(t)), Err(Malformed(reason)), "{t:?}");
        }
        assert_eq!(check(&signed_text("01790000000")), Ok(()));
        let respelt = good().replace("t=", "t=0");
        assert_eq!(check(&respelt), Err(BadSignature), "the text is signed");
    }

    #[test]
    fn the_header_has_one_t_and_v1s_and_whatever_else() {
        let (t, v1) = (format!("t={AT}"), v1());
        let zero = "0".repeat(64);
        for passes in [
            format!("v1={v1},{t}"),
            format!("{t},v1={zero},v1={v1}"),
            format!("{t},v1={v1},v1={zero}"),
            format!("{t},v1=,v1={v1}"),
            format!("{t},v0={zero},v1={v1},v2=x=y,=,,scheme,T=5"),
            format!(" {t} ,\tv1={v1} "),
        ] {
            assert_eq!(check(&passes), Ok(()), "{passes}");
        }
        for (header, answer) in [
            (String::new(), Malformed("no t")),
            ("x".to_owned(), Malformed("no t")),
            (format!("v1={v1}"), Malformed("no t")),
            (format!("T={AT},v1={v1}"), Malformed("no t")),
            (t.clone(), Malformed("no v1")),
            (format!("{t},v0={v1}"), Malformed("no v1")),
            (format!("{t},V1={v1}"), Malformed("no v1")),
            (format!("{t},v1"), Malformed("no v1")),
            (format!("{t};v1={v1}"), Malformed("no v1")),
            (format!("{t},{t},v1={v1}"), Malformed("more than one t")),
            (format!("t=1,v1={v1},{t}"), Malformed("more than one t")),
            (format!("t=,v1={v1},{t}"), Malformed("more than one t")),
            (
                format!("{t},v1={v1},{}", "x".repeat(4096)),
                Malformed("too long"),
            ),
            (format!("{t},v1="), BadSignature),
            (format!("{t},v1={zero}"), BadSignature),
            (format!("{t},v1={}", v1.to_uppercase()), BadSignature),
            (format!("{t},v1={}", &v1[..62]), BadSignature),
            (format!("{t},v1={v1}00"), BadSignature),
            (format!("{t},v1= {v1}"), BadSignature),
            (format!("{t},v1=\"{v1}\""), BadSignature),
        ] {
            assert_eq!(check(&header), Err(answer), "{header}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", checker(&[SECRET]));
        assert_eq!(shown, "StripeSignature { secrets: 1 }");
    }

    #[test]
    fn no_changed_signature_or_body_passes() {
        const MUTANTS: usize = 100_000;
        let now = Timestamp::from_second(AT).unwrap();
        let checker = checker(&[SECRET, OLD_SECRET]);
        let mut rng = StdRng::seed_from_u64(20_261_121);
        let (header, other) = (good(), sign(&SECRET.into(), AT + 1, b"{}"));
        let mut refused = 0;
        for _ in 0..MUTANTS {
            let (mut changed, mut body) = (header.clone().into_bytes(), BODY.to_vec());
            for _ in 0..rng.random_range(1..=2) {
                let target = if rng.random_ratio(1, 4) {
                    &mut body
                } else {
                    &mut changed
                };
                let at = rng.random_range(0..target.len());
                match rng.random_range(0..6) {
                    0 => target[at] ^= 1 << rng.random_range(0..8),
                    1 => {
                        target[at] = *b"0123456789abcdef,=tv. \t"
                            .get(rng.random_range(0..23))
                            .unwrap()
                    }
                    2 => drop(target.remove(at)),
                    3 => target.insert(at, rng.random_range(0..128)),
                    4 => target.extend_from_slice(&other.as_bytes()[at.min(other.len())..]),
                    _ => target.truncate(at.max(1)),
                }
            }
            let changed = String::from_utf8_lossy(&changed).into_owned();
            match checker.verify(&changed, &body, now) {
                // Only what the header ignores may differ: the signed parts are all there.
                Ok(()) => assert!(
                    body == BODY
                        && changed.contains(&format!("t={AT}"))
                        && changed.contains(&format!("v1={}", v1())),
                    "a false accept: {changed:?}"
                ),
                Err(_) => refused += 1,
            }
        }
        assert!(refused > MUTANTS * 9 / 10, "{refused}");
    }
}
