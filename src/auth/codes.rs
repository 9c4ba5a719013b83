//! The 6 digits that prove an e-mail address (rule 22).
//!
//! A code is not drawn but derived, as an HMAC of its row's id under a key of the server's. So the job that sends it
//! needs only the id: neither the queue nor any other table ever holds a code, a second try sends the same one, and who
//! reads the database learns none. What is stored is another HMAC under that key, because a plain hash of a million
//! possible codes is no secret.

use hmac::Mac;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::mac::{hmac_sha256, hmac_sha256_of};

/// Digits of a code.
pub const DIGITS: usize = 6;

/// A code as a person reads and types it.
///
/// It has no `Debug`, so that nothing which holds one can be logged by accident.
#[derive(Clone)]
pub struct Code(SecretString);

impl Code {
    /// What a person typed, space around it aside; nothing where it can't be a code.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let good = text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
        good.then(|| Self(SecretString::from(text)))
    }

    /// The digits, for the person alone.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The keys of codes, one for each secret of the server's: the first makes codes, all know theirs again, so that
/// secrets can be exchanged while codes are on their way.
pub struct CodeKeys(Vec<SecretSlice<u8>>);

impl CodeKeys {
    /// Keys from the secrets of `JWT_SECRET`, of which there is at least one.
    pub fn new(secrets: &[SecretString]) -> Self {
        let key = |secret: &SecretString| {
            let secret = secret.expose_secret().as_bytes();
            hmac_sha256_of(secret, b"companion: codes by e-mail").to_vec()
        };
        Self(secrets.iter().map(|secret| key(secret).into()).collect())
    }

    /// What to store of the code of this id.
    pub fn hash(&self, id: Uuid) -> Option<[u8; 32]> {
        let key = self.0.first()?;
        Some(hash(key, id, &derive(key, id)))
    }

    /// The code of this id, if its hash was made by one of these keys.
    pub fn code(&self, id: Uuid, stored_hash: &[u8]) -> Option<Code> {
        self.0.iter().find_map(|key| {
            let code = derive(key, id);
            bool::from(hash(key, id, &code).ct_eq(stored_hash)).then_some(code)
        })
    }

    /// Whether this is the code of this id, compared in constant time.
    pub fn matches(&self, id: Uuid, stored_hash: &[u8], presented: &Code) -> bool {
        let ours = |key| hash(key, id, presented).ct_eq(stored_hash);
        self.0
            .iter()
            .map(ours)
            .fold(subtle::Choice::from(0), |any, this| any | this)
            .into()
    }
}

fn derive(key: &SecretSlice<u8>, id: Uuid) -> Code {
    let mac = hmac_sha256(key.expose_secret())
        .chain_update(b"code")
        .chain_update(id.as_bytes())
        .finalize()
        .into_bytes();
    // Of 2^128 values the remainders are as good as even.
    let number = mac
        .iter()
        .take(16)
        .fold(0u128, |number, byte| (number << 8) | u128::from(*byte));
    Code(SecretString::from(format!("{:06}", number % 1_000_000)))
}

fn hash(key: &SecretSlice<u8>, id: Uuid, code: &Code) -> [u8; 32] {
    hmac_sha256(key.expose_secret())
        .chain_update(b"hash")
        .chain_update(id.as_bytes())
        .chain_update(code.expose())
        .finalize()
        .into_bytes()
        .into()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn keys(secrets: &[&str]) -> CodeKeys {
        let secrets: Vec<_> = secrets.iter().map(|s| SecretString::from(*s)).collect();
        CodeKeys::new(&secrets)
    }

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    #[test]
    fn a_code_is_six_digits_and_belongs_to_its_id_and_key() {
        let ours = keys(&["a secret"]);
        let stored = ours.hash(id(7)).unwrap();
        let code = ours.code(id(7), &stored).unwrap();
        assert!(Code::parse(code.expose()).is_some());
        assert!(ours.matches(id(7), &stored, &code));
        assert!(!ours.matches(id(8), &stored, &code));
        assert!(!keys(&["another"]).matches(id(7), &stored, &code));
        assert!(keys(&["another"]).code(id(7), &stored).is_none());
        assert!(!ours.matches(id(7), &[], &code));
        let hits = (0..1_000_000)
            .filter(|number| {
                let guess = Code(SecretString::from(format!("{number:06}")));
                guess.expose() != code.expose()
                    && number % 9973 == 0
                    && ours.matches(id(7), &stored, &guess)
            })
            .count();
        assert_eq!(hits, 0);
    }

    #[test]
    fn codes_outlive_an_exchange_of_secrets() {
        let stored = keys(&["old"]).hash(id(7)).unwrap();
        let both = keys(&["new", "old"]);
        let code = both.code(id(7), &stored).unwrap();
        assert!(both.matches(id(7), &stored, &code));
        assert_ne!(both.hash(id(7)).unwrap(), stored);
    }

    #[test]
    fn codes_spread_over_all_digits() {
        let ours = keys(&["a secret"]);
        let codes: Vec<_> = (0..2_000)
            .map(|number| derive(&ours.0[0], id(number)))
            .collect();
        let distinct: HashSet<_> = codes.iter().map(Code::expose).collect();
        assert!(distinct.len() > 1_980, "{}", distinct.len());
        for place in 0..DIGITS {
            let digits: HashSet<_> = codes
                .iter()
                .map(|code| code.expose().as_bytes()[place])
                .collect();
            assert_eq!(digits.len(), 10);
        }
    }

    #[test]
    fn only_six_digits_are_a_code() {
        assert_eq!(Code::parse(" 012345\n").unwrap().expose(), "012345");
        for text in [
            "",
            "12345",
            "1234567",
            "12345a",
            "１２３４５６",
            "123 456",
            "-12345",
            "+12345",
        ] {
            assert!(Code::parse(text).is_none(), "{text:?}");
        }
    }
}
