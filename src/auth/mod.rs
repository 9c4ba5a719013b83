//! Who may do what: tokens, sessions and rights, permissions, and the policy of the roots. No GraphQL here.

pub mod access;
pub mod codes;
pub mod passwords;
pub mod permissions;
pub mod policy;
pub mod refusals;
pub mod tokens;
pub mod viewer;

use jiff::Timestamp;

use crate::{app::App, error::Result};
use tokens::TokenError;
use viewer::Viewer;

/// Why a bearer token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Ours and in order, but its time is over: `extensions.reason: TOKEN_EXPIRED`.
    Expired,
    /// Anything else, the end of its session included.
    Invalid,
}

/// Who sends this bearer token: the viewer with the person filled in, or why not.
///
/// `UNAVAILABLE` when the rights have to be asked of a database that does not answer.
pub async fn authenticate(
    app: &App,
    viewer: Viewer,
    bearer: &str,
    now: Timestamp,
) -> Result<std::result::Result<Viewer, Refusal>> {
    let claims = match app.tokens.verify(bearer, now) {
        Ok(claims) => claims,
        Err(TokenError::Expired) => return Ok(Err(Refusal::Expired)),
        Err(TokenError::Invalid) => return Ok(Err(Refusal::Invalid)),
    };
    let person = app
        .access
        .of(&app.db, claims.session_id, claims.user_id)
        .await?;
    Ok(person
        .map(|person| viewer.with(person))
        .ok_or(Refusal::Invalid))
}
