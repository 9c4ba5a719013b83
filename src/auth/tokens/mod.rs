//! The two tokens of a sign-in (security.md, Tokens; rules.md 21).
//!
//! An access token says for half an hour who is calling, and is believed by its signature alone.
//! A refresh token is an opaque random string that is exchanged, once, for a new pair.

mod access;
mod refresh;
#[cfg(test)]
mod tests;

use std::fmt;

use hmac::Mac;
use jsonwebtoken::{DecodingKey, EncodingKey};
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use crate::mac::{hmac_sha256, hmac_sha256_of};
pub use access::{AccessClaims, AccessToken, IssueError, TokenError};
pub use refresh::RefreshToken;

/// Hex digits in the name of a key: enough that two keys never share one.
const KID_DIGITS: usize = 16;

/// The server's keys: the first signs, every one of them verifies, so that keys can be exchanged
/// without ending anyone's session.
///
/// Whether they are long enough is for the settings to say.
pub struct TokenKeys {
    /// At least one.
    keys: Vec<Key>,
    issuer: String,
    audience: String,
}

/// What one secret is good for. Each purpose has its own key, derived from the secret or, for the
/// signature of access tokens, the secret itself.
struct Key {
    /// Names the key in the header of an access token; tells nothing about the secret.
    kid: String,
    signing: EncodingKey,
    verifying: DecodingKey,
    refresh: SecretSlice<u8>,
}

/// Why keys can't be made of the settings. The text shows no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenKeysError {
    /// No secret at all.
    #[error("access tokens need at least one secret")]
    None,
    /// A blank secret would let anyone sign.
    #[error("a secret of access tokens is blank")]
    Blank,
}

impl TokenKeys {
    /// Keys from these secrets, for tokens with this `iss` and `aud`. A secret given twice counts
    /// once.
    ///
    /// # Errors
    /// [`TokenKeysError`] when there is no secret or a blank one.
    pub fn new(
        secrets: &[SecretString],
        issuer: &str,
        audience: &str,
    ) -> Result<Self, TokenKeysError> {
        let mut keys: Vec<Key> = Vec::new();
        for secret in secrets {
            let key = Key::new(secret).ok_or(TokenKeysError::Blank)?;
            if keys.iter().all(|known| known.kid != key.kid) {
                keys.push(key);
            }
        }
        if keys.is_empty() {
            return Err(TokenKeysError::None);
        }
        Ok(Self {
            keys,
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
        })
    }

    /// The refresh token that follows a presented one (rules.md 21): the same one each time.
    #[must_use]
    pub fn successor(&self, presented: &RefreshToken) -> RefreshToken {
        self.current().successor(presented)
    }

    /// The successor of a presented token whose hash is the stored one, under whichever key it was
    /// made: during an exchange of keys the copies of the server don't all sign with the same.
    #[must_use]
    pub fn stored_successor(
        &self,
        presented: &RefreshToken,
        stored_hash: &[u8],
    ) -> Option<RefreshToken> {
        self.keys
            .iter()
            .map(|key| key.successor(presented))
            .find(|successor| successor.hash() == stored_hash)
    }

    fn current(&self) -> &Key {
        match self.keys.first() {
            Some(key) => key,
            None => unreachable!("`new` refuses an empty list"),
        }
    }
}

impl Key {
    /// `None` for a blank secret.
    fn new(secret: &SecretString) -> Option<Self> {
        let secret = secret.expose_secret();
        if secret.trim().is_empty() {
            return None;
        }
        let secret = secret.as_bytes();
        let derive = |purpose: &str| hmac_sha256_of(secret, purpose.as_bytes());
        let mut kid = hex::encode(derive("companion: name of the key"));
        kid.truncate(KID_DIGITS);
        Some(Self {
            kid,
            signing: EncodingKey::from_secret(secret),
            verifying: DecodingKey::from_secret(secret),
            refresh: derive("companion: successors of refresh tokens")
                .to_vec()
                .into(),
        })
    }

    fn successor(&self, presented: &RefreshToken) -> RefreshToken {
        let mac = hmac_sha256(self.refresh.expose_secret())
            .chain_update(presented.expose())
            .finalize();
        RefreshToken::from_bytes(mac.into_bytes().into())
    }
}

impl fmt::Debug for TokenKeys {
    /// Shows how many keys there are, never one of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKeys")
            .field("keys", &self.keys.len())
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .finish()
    }
}
