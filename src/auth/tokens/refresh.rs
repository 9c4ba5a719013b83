//! Refresh tokens: 32 bytes in base64url, of which only the hash is ever stored.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::entropy::Entropy;

/// A refresh token, drawn at a sign-in or derived from the one before it; nobody can tell which.
#[derive(Clone, Debug)]
pub struct RefreshToken(SecretString);

impl RefreshToken {
    /// A new one for a sign-in.
    ///
    /// # Panics
    /// As [`Entropy::fill`].
    #[must_use]
    pub fn generate(entropy: &Entropy) -> Self {
        Self::from_bytes(entropy.bytes())
    }

    /// A token as a client presents it, or `None` where it can't be one of ours: 43 characters of
    /// base64url in the one spelling of 32 bytes. Nothing is trimmed.
    #[must_use]
    pub fn parse(presented: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        let length = URL_SAFE_NO_PAD.decode_slice(presented, &mut bytes).ok()?;
        (length == bytes.len()).then(|| Self(presented.into()))
    }

    pub(super) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bytes).into())
    }

    /// The text for the client, and for nobody else.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What is stored in its place: the SHA-256 of the text. A plain hash is enough for 256 random
    /// bits.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.expose()).into()
    }
}
