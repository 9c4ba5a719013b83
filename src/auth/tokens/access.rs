//! Access tokens: JWTs under HS256, and nothing else that a JWT could be.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::Algorithm;
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Key, TokenKeys};
use crate::db::ids::{SessionId, UserId};

/// The longest token that is looked at, in bytes; ours are under 500.
const MAX_BYTES: usize = 8 * 1024;

/// How far a token's `iat` may lie ahead, in seconds: the copies of the server don't share a
/// clock. Its `exp` gets no leeway, since a client refreshes a token that is refused too early.
const LEEWAY_SECONDS: i64 = 30;

/// `typ` of the claims: a token for another use under the same key is no access token.
const TYP: &str = "access";

/// A fresh access token.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// The JWT.
    pub token: SecretString,
    /// The first instant at which it is no longer accepted, in whole seconds.
    pub expires_at: Timestamp,
}

/// What a valid access token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessClaims {
    /// Who is calling.
    pub user_id: UserId,
    /// The sign-in that the token comes from.
    pub session_id: SessionId,
    /// When it was made, in whole seconds.
    pub issued_at: Timestamp,
    /// The first instant at which it is no longer accepted.
    pub expires_at: Timestamp,
}

/// Why an access token is refused. Either is `UNAUTHENTICATED` for the whole request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Ours and in order, but its time is over: the client should refresh it.
    #[error("the access token has expired")]
    Expired,
    /// Anything else; what exactly is nobody's business.
    #[error("the access token is not valid")]
    Invalid,
}

/// An access token couldn't be encoded: a fault of ours.
#[derive(Debug, thiserror::Error)]
#[error("the access token could not be made")]
pub struct IssueError(#[from] jsonwebtoken::errors::Error);

/// The header as we write it. One with anything else in it (`crit`, `jku`, `jwk`, `x5u`, `x5c`, …)
/// asks for something that we don't do, and is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
}

/// The claims, all required. One that we don't know is ignored, so that copies of two versions of
/// the server can run side by side.
#[derive(Serialize, Deserialize)]
struct Claims {
    exp: i64,
    iat: i64,
    iss: String,
    aud: String,
    sub: UserId,
    sid: SessionId,
    typ: String,
}

impl TokenKeys {
    /// An access token for this user and session, accepted until `lifetime` has passed; whole
    /// seconds count.
    ///
    /// # Errors
    /// [`IssueError`] when the encoder fails, which it has no reason to.
    pub fn issue(
        &self,
        user_id: UserId,
        session_id: SessionId,
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<AccessToken, IssueError> {
        let iat = now.as_second();
        let lifetime = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        let expires_at =
            Timestamp::from_second(iat.saturating_add(lifetime)).unwrap_or(Timestamp::MAX);
        let claims = Claims {
            exp: expires_at.as_second(),
            iat,
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: user_id,
            sid: session_id,
            typ: TYP.to_owned(),
        };
        let key = self.current();
        let header = jsonwebtoken::Header {
            kid: Some(key.kid.clone()),
            ..jsonwebtoken::Header::new(Algorithm::HS256)
        };
        Ok(AccessToken {
            token: jsonwebtoken::encode(&header, &claims, &key.signing)?.into(),
            expires_at,
        })
    }

    /// Checks an access token, exactly as it was sent.
    ///
    /// # Errors
    /// [`TokenError::Expired`] when everything but the time is in order, else
    /// [`TokenError::Invalid`].
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<AccessClaims, TokenError> {
        self.read(token, now.as_second())
            .ok_or(TokenError::Invalid)
            .and_then(|claims| {
                if now < claims.expires_at {
                    Ok(claims)
                } else {
                    Err(TokenError::Expired)
                }
            })
    }

    /// Everything but the expiry. Nothing but the name of the key is taken from the token before
    /// its signature is found good.
    fn read(&self, token: &str, now: i64) -> Option<AccessClaims> {
        if token.len() > MAX_BYTES {
            return None;
        }
        let (message, signature) = token.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let key = self.key_for(&decode(header)?)?;
        let verified = jsonwebtoken::crypto::verify(
            signature,
            message.as_bytes(),
            &key.verifying,
            Algorithm::HS256,
        );
        if !verified.ok()? {
            return None;
        }
        let claims: Claims = decode(claims)?;
        let fits = claims.iss == self.issuer
            && claims.aud == self.audience
            && claims.typ == TYP
            && claims.iat <= now.saturating_add(LEEWAY_SECONDS)
            && claims.iat < claims.exp;
        if !fits {
            return None;
        }
        Some(AccessClaims {
            user_id: claims.sub,
            session_id: claims.sid,
            issued_at: Timestamp::from_second(claims.iat).ok()?,
            expires_at: Timestamp::from_second(claims.exp).ok()?,
        })
    }

    /// The key that the header names, among ours; a header without a name is good where there is
    /// but one.
    fn key_for(&self, header: &Header) -> Option<&Key> {
        if header.alg != "HS256" || header.typ.as_deref().is_some_and(|typ| typ != "JWT") {
            return None;
        }
        match (&header.kid, self.keys.as_slice()) {
            (Some(kid), keys) => keys.iter().find(|key| key.kid == *kid),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }
}

/// Reads a part of the token, which is a JSON object in base64url in its one spelling (no
/// padding, no idle bits).
fn decode<T: DeserializeOwned>(part: &str) -> Option<T> {
    let json = URL_SAFE_NO_PAD.decode(part).ok()?;
    // An array would pass for a struct.
    if json.first() != Some(&b'{') {
        return None;
    }
    serde_json::from_slice(&json).ok()
}
