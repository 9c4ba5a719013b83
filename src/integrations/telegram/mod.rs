//! Sign-in with a Telegram Mini App: the check of its init data (security.md, Telegram sign-in).
//!
//! Telegram hands the Mini App a query string with the person in it and a hash over it all, keyed
//! by the bot's token; a service that knows the bot's id alone checks Telegram's own signature
//! instead. Nothing in the string is believed before one of the two is right.

mod fields;
#[cfg(test)]
mod mutation_tests;
mod signing;
#[cfg(test)]
mod tests;
mod user;

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, VerifyingKey};
use hmac::Mac;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::{Digest, Sha256};

use crate::mac::{hmac_sha256, hmac_sha256_of, mac_from_hex};
use fields::Fields;
pub use signing::sign;
pub use user::TelegramUser;

/// Telegram's public key in production, which signs init data for third parties.
pub const PRODUCTION_KEY: [u8; 32] = [
    0xe7, 0xbf, 0x03, 0xa2, 0xfa, 0x46, 0x02, 0xaf, 0x45, 0x80, 0x70, 0x3d, 0x88, 0xdd, 0xa5, 0xbb,
    0x59, 0xf3, 0x2e, 0xd8, 0xb0, 0x2a, 0x56, 0xc1, 0x87, 0xfe, 0x7d, 0x34, 0xca, 0xed, 0x24, 0x2d,
];

/// Init data may be this old unless the setting says otherwise: an hour.
pub const DEFAULT_MAX_AGE: Duration = Duration::from_secs(3_600);

/// The most that the setting may say: a day.
pub const LONGEST_MAX_AGE: Duration = Duration::from_secs(86_400);

/// Seconds that `auth_date` may lie ahead of our clock.
const FUTURE_SECONDS: i64 = 60;

/// Checks init data against the configured bots.
///
/// With no bot configured it refuses everything.
#[derive(Clone)]
pub struct InitDataVerifier {
    /// One secret for each bot token, derived from it; the tokens themselves aren't kept.
    secrets: Vec<SecretSlice<u8>>,
    bot_ids: Vec<i64>,
    public_key: VerifyingKey,
    max_age_seconds: i64,
}

/// A sign-in that Telegram vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelegramSignIn {
    /// The person.
    pub user: TelegramUser,
    /// When Telegram made the init data.
    pub auth_date: Timestamp,
    /// Names this init data, for rate limits: 64 hex digits that nobody but Telegram can vary.
    ///
    /// Telegram's `hash` where a bot token checked it. Telegram's signature doesn't cover `hash`,
    /// so where that decided, it is the SHA-256 of the signed text.
    pub hash: String,
    /// What followed `startapp=` in the link that opened the Mini App, if not empty.
    pub start_param: Option<String>,
}

/// Why init data is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InitDataError {
    /// It isn't init data, whoever may have signed it; the text says what is wrong. A 400, while
    /// all others are a 401.
    #[error("malformed init data: {0}")]
    Malformed(&'static str),
    /// No configured bot's hash or signature fits.
    #[error("the init data is not signed for a configured bot")]
    BadSignature,
    /// Older than the setting allows.
    #[error("the init data is too old")]
    TooOld,
    /// Made more than 60 s after our clock's time.
    #[error("the init data is from the future")]
    FromFuture,
    /// Well signed, but over no person that may sign in.
    #[error("the init data has no user that can sign in")]
    BadUser,
}

/// Why a verifier can't be made of the settings. The text shows no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TelegramSettingsError {
    /// A bot token isn't `<digits>:<secret>`. A blank one would let anyone sign.
    #[error("a Telegram bot token must have the form <digits>:<secret>, without spaces")]
    BotToken,
    /// The age isn't within 1 s and a day.
    #[error("the age of Telegram init data must be between 1 and 86400 seconds")]
    MaxAge,
    /// The key isn't a point of the curve, or one that anyone can sign for.
    #[error("the Telegram public key is not a valid Ed25519 key")]
    PublicKey,
}

impl InitDataVerifier {
    /// A verifier for the bots with these tokens, and, by Telegram's own signature, for the bots
    /// of which only the id is known.
    ///
    /// # Errors
    /// [`TelegramSettingsError`] when a token has not the form of one, or `max_age` isn't within
    /// 1 s and a day.
    pub fn new(
        bot_tokens: &[SecretString],
        bot_ids: &[i64],
        max_age: Duration,
    ) -> Result<Self, TelegramSettingsError> {
        let max_age_seconds = i64::try_from(max_age.as_secs())
            .ok()
            .filter(|seconds| *seconds >= 1 && max_age <= LONGEST_MAX_AGE)
            .ok_or(TelegramSettingsError::MaxAge)?;
        let secrets = bot_tokens
            .iter()
            .map(|token| bot_secret(token).ok_or(TelegramSettingsError::BotToken))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            secrets,
            bot_ids: bot_ids.to_vec(),
            public_key: strong_key(&PRODUCTION_KEY)?,
            max_age_seconds,
        })
    }

    /// Checks third-party signatures with another key than Telegram's in production: the one of
    /// its test environment, or a test's own.
    ///
    /// # Errors
    /// [`TelegramSettingsError::PublicKey`] when the bytes are no fit key.
    pub fn with_public_key(self, key: &[u8; 32]) -> Result<Self, TelegramSettingsError> {
        Ok(Self {
            public_key: strong_key(key)?,
            ..self
        })
    }

    /// Whether any bot is configured; if not, every init data is refused.
    #[must_use]
    pub const fn is_configured(&self) -> bool {
        !self.secrets.is_empty() || !self.bot_ids.is_empty()
    }

    /// Checks init data as the Mini App got it (`Telegram.WebApp.initData`), and reads who it is
    /// about.
    ///
    /// Ages are counted in whole seconds; the greatest allowed one passes.
    ///
    /// # Errors
    /// The first of these that applies: [`InitDataError::Malformed`], then
    /// [`InitDataError::BadSignature`], then [`InitDataError::TooOld`] or
    /// [`InitDataError::FromFuture`], then [`InitDataError::BadUser`].
    pub fn verify(&self, init_data: &str, now: Timestamp) -> Result<TelegramSignIn, InitDataError> {
        let fields = Fields::parse(init_data)?;
        let given_hash = fields
            .get("hash")
            .ok_or(InitDataError::Malformed("no hash"))?;
        let auth_date = auth_date(&fields)?;

        let hash = if self.is_signed_by_a_bot(&fields, given_hash) {
            given_hash.to_owned()
        } else {
            self.signed_by_telegram(&fields)
                .ok_or(InitDataError::BadSignature)?
        };

        let age = now.as_second().saturating_sub(auth_date.as_second());
        if age > self.max_age_seconds {
            return Err(InitDataError::TooOld);
        }
        if age < -FUTURE_SECONDS {
            return Err(InitDataError::FromFuture);
        }
        let user = fields
            .get("user")
            .and_then(TelegramUser::parse)
            .ok_or(InitDataError::BadUser)?;
        let start_param = fields
            .get("start_param")
            .filter(|text| !text.is_empty())
            .map(str::to_owned);
        Ok(TelegramSignIn {
            user,
            auth_date,
            hash,
            start_param,
        })
    }

    /// Rules 2 and 3: the hash of the owner of a bot token.
    fn is_signed_by_a_bot(&self, fields: &Fields, hash: &str) -> bool {
        let Some(hash) = mac_from_hex(hash) else {
            return false;
        };
        let text = fields.check_string(&["hash"]);
        self.secrets.iter().any(|secret| {
            hmac_sha256(secret.expose_secret())
                .chain_update(&text)
                .verify_slice(&hash)
                .is_ok()
        })
    }

    /// Rule 5: Telegram's signature for a third party. Answers what names this init data.
    fn signed_by_telegram(&self, fields: &Fields) -> Option<String> {
        if self.bot_ids.is_empty() {
            return None;
        }
        let mut bytes = [0; Signature::BYTE_SIZE];
        let length = URL_SAFE_NO_PAD
            .decode_slice(fields.get("signature")?, &mut bytes)
            .ok()?;
        if length != bytes.len() {
            return None;
        }
        let signature = Signature::from_bytes(&bytes);
        let text = fields.check_string(&["hash", "signature"]);
        self.bot_ids.iter().find_map(|bot_id| {
            let signed = format!("{bot_id}:WebAppData\n{text}");
            self.public_key
                .verify_strict(signed.as_bytes(), &signature)
                .ok()?;
            Some(hex::encode(Sha256::digest(&signed)))
        })
    }
}

impl fmt::Debug for InitDataVerifier {
    /// Shows how many bots there are, never a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InitDataVerifier")
            .field("bot_tokens", &self.secrets.len())
            .field("bot_ids", &self.bot_ids)
            .field("max_age_seconds", &self.max_age_seconds)
            .finish_non_exhaustive()
    }
}

/// The key of a bot's hashes, or `None` when the token has not the form of one.
fn bot_secret(token: &SecretString) -> Option<SecretSlice<u8>> {
    let token = token.expose_secret();
    let (id, secret) = token.split_once(':')?;
    let fit = !id.is_empty()
        && id.bytes().all(|byte| byte.is_ascii_digit())
        && !secret.is_empty()
        && secret.bytes().all(|byte| byte.is_ascii_graphic());
    fit.then(|| {
        hmac_sha256_of(b"WebAppData", token.as_bytes())
            .to_vec()
            .into()
    })
}

fn strong_key(bytes: &[u8; 32]) -> Result<VerifyingKey, TelegramSettingsError> {
    VerifyingKey::from_bytes(bytes)
        .ok()
        .filter(|key| !key.is_weak())
        .ok_or(TelegramSettingsError::PublicKey)
}

/// Rule 4's form: seconds since 1970 in ASCII digits alone.
fn auth_date(fields: &Fields) -> Result<Timestamp, InitDataError> {
    let text = fields
        .get("auth_date")
        .ok_or(InitDataError::Malformed("no auth_date"))?;
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InitDataError::Malformed("auth_date is not a number"));
    }
    text.parse()
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .ok_or(InitDataError::Malformed("auth_date is out of range"))
}
