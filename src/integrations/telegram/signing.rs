//! Makes init data as Telegram does, for `companion telegram sign` and for tests.

use std::collections::BTreeMap;

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};

use super::{TelegramSettingsError, bot_secret};
use crate::mac::hmac_sha256_of;

/// Init data over this `user` (JSON, taken as it is), signed with a bot's token.
///
/// `extra` are further fields (`query_id`, `start_param`, …); one named `user` or `auth_date`
/// takes the place of that field, and one named `hash` has no effect.
///
/// # Errors
/// [`TelegramSettingsError::BotToken`] when the token has not the form of one.
pub fn sign(
    user_json: &str,
    bot_token: &SecretString,
    auth_date: Timestamp,
    extra: &[(&str, &str)],
) -> Result<String, TelegramSettingsError> {
    let secret = bot_secret(bot_token).ok_or(TelegramSettingsError::BotToken)?;
    let auth_date = auth_date.as_second().to_string();
    let mut fields = BTreeMap::from([("user", user_json), ("auth_date", &auth_date)]);
    fields.extend(extra.iter().copied());
    fields.remove("hash");

    let lines: Vec<_> = fields
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let hash = hex::encode(hmac_sha256_of(
        secret.expose_secret(),
        lines.join("\n").as_bytes(),
    ));
    let mut pairs: Vec<_> = fields
        .iter()
        .map(|(key, value)| format!("{}={}", encode(key), encode(value)))
        .collect();
    pairs.push(format!("hash={hash}"));
    Ok(pairs.join("&"))
}

/// Encodes everything but ASCII letters, digits and `_`, which keeps field names readable.
fn encode(text: &str) -> impl std::fmt::Display {
    utf8_percent_encode(text, const { &NON_ALPHANUMERIC.remove(b'_') })
}
