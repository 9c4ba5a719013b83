//! Who asks.

use std::{net::IpAddr, sync::Arc};

use super::permissions::PermissionSet;
use crate::db::ids::{SessionId, UserId};

/// A signed-in, active person, as the access cache knows them.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The person.
    pub user_id: UserId,
    /// The sign-in that the access token belongs to.
    pub session_id: SessionId,
    /// What the person's roles allow.
    pub permissions: PermissionSet,
}

/// Who asks, from where, in which request.
#[derive(Clone, Debug)]
pub struct Viewer {
    signed_in: Option<Arc<SignedIn>>,
    /// The request, as in `X-Request-Id`.
    pub request_id: Arc<str>,
    /// The client's address, past trusted proxies.
    pub ip_address: Option<IpAddr>,
    /// The client's `User-Agent`, at most 200 characters.
    pub user_agent: Option<Arc<str>>,
}

impl Viewer {
    /// Nobody in particular.
    pub fn anonymous(
        request_id: Arc<str>,
        ip_address: Option<IpAddr>,
        user_agent: Option<Arc<str>>,
    ) -> Self {
        Self {
            signed_in: None,
            request_id,
            ip_address,
            user_agent,
        }
    }

    /// The same request by this person.
    pub fn with(mut self, signed_in: Arc<SignedIn>) -> Self {
        self.signed_in = Some(signed_in);
        self
    }

    /// The person, when signed in.
    pub fn signed_in(&self) -> Option<&SignedIn> {
        self.signed_in.as_deref()
    }

    /// The person's id, when signed in.
    pub fn user_id(&self) -> Option<UserId> {
        self.signed_in().map(|person| person.user_id)
    }

    /// The person's id. `FORBIDDEN` when anonymous, which the policy has refused before any service is reached.
    pub fn require_user(&self) -> crate::error::Result<UserId> {
        self.user_id().ok_or(crate::error::Error::Forbidden)
    }

    /// Whether a role of the person grants this permission (`resource:action`).
    pub fn may(&self, permission: &str) -> bool {
        self.signed_in()
            .is_some_and(|person| person.permissions.covers(permission))
    }

    /// Whether this is that person.
    pub fn is(&self, user: UserId) -> bool {
        self.user_id() == Some(user)
    }
}
