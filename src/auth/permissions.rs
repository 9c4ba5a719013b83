//! Permissions: `resource:action`, with wildcards `resource:*` and `*`.
//!
//! People act on what is theirs without any permission: a client cancels their booking because
//! they are its party (rules.md, "Bookings"). Permissions open what belongs to others, and who
//! holds one is staff. [`PERMISSIONS`] and [`BUILT_IN_ROLES`] are what the migration seeds; rows
//! that staff add later live in the database alone.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest part of a permission, before or after the colon.
const MAX_PART_LENGTH: usize = 40;

/// The text is no permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be resource:action in lower-case letters and _, or a wildcard resource:* or *")]
pub struct PermissionError;

/// One permission or wildcard, checked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission(String);

impl Permission {
    /// Reads `resource:action`, `resource:*` or `*`. Both parts are lower-case letters and
    /// `_`, begin with a letter and have at most 40 characters.
    ///
    /// # Errors
    /// [`PermissionError`].
    pub fn parse(text: &str) -> Result<Self, PermissionError> {
        let good = match text.split_once(':') {
            Some((resource, "*")) => word(resource),
            Some((resource, action)) => word(resource) && word(action),
            None => text == "*",
        };
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(PermissionError)
        }
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `*` or `resource:*`.
    pub fn is_wildcard(&self) -> bool {
        self.0.ends_with('*')
    }

    /// Whether who holds this holds `needed`: the same, or below this wildcard. A wildcard is
    /// covered by an equal or wider one alone.
    pub fn covers(&self, needed: &Self) -> bool {
        covers(&self.0, &needed.0)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Permission {
    type Err = PermissionError;

    fn from_str(text: &str) -> Result<Self, PermissionError> {
        Self::parse(text)
    }
}

fn word(part: &str) -> bool {
    part.len() <= MAX_PART_LENGTH
        && part.starts_with(|c: char| c.is_ascii_lowercase())
        && part.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// Both are well-formed. The colon stays in the comparison, so that `users:*` never covers
/// `usersx:read`.
fn covers(held: &str, needed: &str) -> bool {
    held == "*"
        || held == needed
        || held
            .strip_suffix('*')
            .is_some_and(|start| start.ends_with(':') && needed.starts_with(start))
}

/// What a person's roles allow together. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PermissionSet(Arc<BTreeSet<Permission>>);

impl PermissionSet {
    /// From the names of granted permissions. A malformed name grants nothing and is left out.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        names
            .into_iter()
            .filter_map(|name| Permission::parse(name).ok())
            .collect()
    }

    /// Whether a grant covers this permission, one of [`known`] or a wildcard: `users:*` covers
    /// `users:read` and never `usersx:read`. Malformed text is covered by nothing, not even `*`.
    pub fn covers(&self, permission: &str) -> bool {
        Permission::parse(permission).is_ok_and(|needed| self.covers_one(&needed))
    }

    /// Whether everything of `needed` is held: nobody grants what they do not hold (rule 17).
    pub fn covers_all(&self, needed: &Self) -> bool {
        needed
            .0
            .iter()
            .all(|permission| self.covers_one(permission))
    }

    /// Whether anything is held, which makes a person staff.
    pub fn is_staff(&self) -> bool {
        !self.0.is_empty()
    }

    /// The permissions, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &Permission> {
        self.0.iter()
    }

    fn covers_one(&self, needed: &Permission) -> bool {
        self.0.iter().any(|held| held.covers(needed))
    }
}

impl FromIterator<Permission> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(Arc::new(permissions.into_iter().collect()))
    }
}

macro_rules! permissions {
    ($($constant:ident $name:literal $description:literal)*) => {
        /// The names of the built-in permissions, for guards.
        pub mod known {
            $(#[doc = $description] pub const $constant: &str = $name;)*
        }

        /// The built-in permissions, sorted by name, as the migration seeds them.
        pub static PERMISSIONS: &[PermissionInfo] = &[
            $(PermissionInfo { name: known::$constant, description: $description },)*
        ];
    };
}

/// A built-in permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PermissionInfo {
    /// `resource:action`.
    pub name: &'static str,
    /// What it opens.
    pub description: &'static str,
}

permissions! {
    EVERYTHING "*" "Everything."
    AUDIT_READ "audit:read" "Read the audit trail."
    BOOKINGS_MANAGE "bookings:manage" "Cancel any booking and settle contrary claims."
    BOOKINGS_READ "bookings:read" "Find and read any booking and its history."
    BOUNDARY_PUBLISH "boundary:publish" "Publish a new version of the boundary rules."
    ORDERS_READ "orders:read" "Find and read any order, and see what needs a person."
    PERMISSIONS_READ "permissions:read" "Read the list of permissions."
    PERMISSIONS_WRITE "permissions:write" "Create and delete permissions that are not built in."
    PROVIDERS_READ "providers:read" "Find and read providers and applications in every state."
    PROVIDERS_REVIEW "providers:review" "Approve and reject applications of providers."
    PROVIDERS_SUSPEND "providers:suspend" "Suspend and reinstate providers."
    REFUNDS_CREATE "refunds:create" "Refund any order, in whole or in part, and settle what of it needs a person."
    REPORTS_READ "reports:read" "Read reports, with who made them."
    REPORTS_RESOLVE "reports:resolve" "Decide reports."
    REVIEWS_MODERATE "reviews:moderate" "See hidden reviews, hide and restore reviews."
    ROLES_GRANT "roles:grant" "Give roles to users and take them away."
    ROLES_READ "roles:read" "Read roles and what they grant."
    ROLES_WRITE "roles:write" "Create, change and delete roles and what they grant."
    SCHEMA_READ "schema:read" "Read the schema through the API in production."
    SERVICES_WRITE "services:write" "Create, change and archive services of the catalog."
    USERS_DELETE "users:delete" "Delete users."
    USERS_READ "users:read" "Find and read any user."
    USERS_SUSPEND "users:suspend" "Suspend and reinstate users."
    USERS_WRITE "users:write" "Create users and change any user's account."
}

/// A built-in role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleInfo {
    /// Its name.
    pub name: &'static str,
    /// Who has it.
    pub description: &'static str,
    /// What it grants, sorted.
    pub permissions: &'static [&'static str],
}

/// The built-in roles as the migration seeds them.
pub static BUILT_IN_ROLES: &[RoleInfo] = &[
    RoleInfo {
        name: "USER",
        description: "Everyone who signs in. What is their own needs no permission.",
        permissions: &[],
    },
    RoleInfo {
        name: "PROVIDER",
        description: "An approved provider. What is their own needs no permission.",
        permissions: &[],
    },
    RoleInfo {
        name: "MODERATOR",
        description: "Reviews applications, reviews and reports, and keeps the catalog.",
        permissions: &[
            known::BOOKINGS_READ,
            known::PROVIDERS_READ,
            known::PROVIDERS_REVIEW,
            known::PROVIDERS_SUSPEND,
            known::REPORTS_READ,
            known::REPORTS_RESOLVE,
            known::REVIEWS_MODERATE,
            known::SCHEMA_READ,
            known::SERVICES_WRITE,
            known::USERS_READ,
        ],
    },
    RoleInfo {
        name: "SUPPORT",
        description: "Helps people with bookings and payments.",
        permissions: &[
            known::BOOKINGS_MANAGE,
            known::BOOKINGS_READ,
            known::ORDERS_READ,
            known::PROVIDERS_READ,
            known::REFUNDS_CREATE,
            known::SCHEMA_READ,
            known::USERS_READ,
        ],
    },
    RoleInfo {
        name: "AUDITOR",
        description: "Reads everything and changes nothing.",
        permissions: &[
            known::AUDIT_READ,
            known::BOOKINGS_READ,
            known::ORDERS_READ,
            known::PERMISSIONS_READ,
            known::PROVIDERS_READ,
            known::REPORTS_READ,
            known::ROLES_READ,
            known::SCHEMA_READ,
            known::USERS_READ,
        ],
    },
    RoleInfo {
        name: "ADMIN",
        description: "May do everything.",
        permissions: &[known::EVERYTHING],
    },
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(permissions: &[&str]) -> PermissionSet {
        permissions
            .iter()
            .map(|text| Permission::parse(text).unwrap())
            .collect()
    }

    #[test]
    fn the_form_is_checked() {
        for good in ["users:read", "users:*", "*", "a_b:c_d"] {
            assert_eq!(Permission::parse(good).unwrap().as_str(), good);
        }
        let long = format!("{}:read", "a".repeat(41));
        for bad in [
            "",
            "users",
            "users:",
            ":read",
            "users:read:all",
            "Users:read",
            "users:Read",
            "us*:read",
            "users:re*",
            "*:read",
            "*:*",
            "**",
            "users:**",
            " users:read",
            "users:read ",
            "users :read",
            "1users:read",
            "users1:read",
            "_a:b",
            "ü:b",
            "users:*x",
            "users:\0",
            long.as_str(),
        ] {
            assert_eq!(Permission::parse(bad), Err(PermissionError), "{bad:?}");
        }
    }

    #[test]
    fn wildcards_end_at_the_colon() {
        let users = set(&["users:*"]);
        assert!(users.covers("users:read") && users.covers("users:*"));
        for needed in [
            "usersx:read",
            "user:read",
            "roles:read",
            "*",
            "users",
            "users:",
            "",
        ] {
            assert!(!users.covers(needed), "{needed}");
        }
        let all = set(&["*"]);
        assert!(all.covers("users:read") && all.covers("users:*") && all.covers("*"));
        let one = set(&["users:read"]);
        assert!(one.covers("users:read") && !one.covers("users:*") && !one.covers("users:reads"));
        assert!(!PermissionSet::default().covers("users:read"));
    }

    #[test]
    fn nobody_covers_more_than_they_hold() {
        let support = set(&["users:*", "orders:read"]);
        assert!(support.covers_all(&set(&["users:read", "users:write", "orders:read"])));
        assert!(support.covers_all(&PermissionSet::default()));
        assert!(!support.covers_all(&set(&["users:read", "orders:*"])));
        assert!(!support.covers_all(&set(&["*"])));
    }

    #[test]
    fn malformed_rows_grant_nothing() {
        let rows = PermissionSet::from_names(["users:read", "user*", "", "*:*"]);
        assert_eq!(rows, set(&["users:read"]));
        assert!(rows.is_staff() && !PermissionSet::from_names(["**"]).is_staff());
    }

    #[test]
    fn the_tables_are_sorted_and_sound() {
        let names: Vec<_> = PERMISSIONS.iter().map(|p| p.name).collect();
        assert!(names.is_sorted() && names.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(names.iter().all(|n| {
            Permission::parse(n).is_ok_and(|p| !p.is_wildcard() || p.as_str() == known::EVERYTHING)
        }));
        for role in BUILT_IN_ROLES {
            assert!(role.permissions.is_sorted(), "{}", role.name);
            assert!(
                role.permissions.iter().all(|p| names.contains(p)),
                "{}",
                role.name
            );
        }
        let roles: Vec<_> = BUILT_IN_ROLES.iter().map(|role| role.name).collect();
        assert_eq!(
            roles,
            [
                "USER",
                "PROVIDER",
                "MODERATOR",
                "SUPPORT",
                "AUDITOR",
                "ADMIN"
            ]
        );
    }

    #[test]
    fn every_permission_of_a_root_field_is_in_the_table() {
        use crate::auth::policy::{Audience, MUTATIONS, QUERIES};
        for (field, audience) in QUERIES.iter().chain(MUTATIONS) {
            if let Audience::Permission(needed) = audience {
                assert!(
                    PERMISSIONS.iter().any(|p| p.name == *needed),
                    "{field}: {needed}"
                );
            }
        }
    }

    #[test]
    fn the_auditor_only_reads_and_reads_everything() {
        let auditor = BUILT_IN_ROLES
            .iter()
            .find(|role| role.name == "AUDITOR")
            .unwrap();
        let readable: Vec<_> = PERMISSIONS
            .iter()
            .map(|p| p.name)
            .filter(|name| name.ends_with(":read"))
            .collect();
        assert_eq!(auditor.permissions, readable);
    }

    proptest! {
        #[test]
        fn covering_is_equality_or_a_wildcard(a in "[a-c]{1,2}", b in "[a-c]{1,2}",
                                              x in "[a-c]{1,2}|\\*", y in "[a-c]{1,2}|\\*") {
            let held = Permission::parse(&format!("{a}:{x}")).unwrap();
            let needed = Permission::parse(&format!("{b}:{y}")).unwrap();
            prop_assert_eq!(held.covers(&needed), a == b && (x == y || x == "*"));
        }

        #[test]
        fn covering_is_reflexive_and_transitive(texts in prop::array::uniform3("[ab]:([ab]|\\*)|\\*")) {
            let [a, b, c] = texts.map(|text| Permission::parse(&text).unwrap());
            prop_assert!(a.covers(&a));
            prop_assert!(!(a.covers(&b) && b.covers(&c)) || a.covers(&c));
        }

        #[test]
        fn any_text_is_answered(text in any::<String>()) {
            let held = set(&["*"]);
            prop_assert_eq!(held.covers(&text), Permission::parse(&text).is_ok());
        }
    }
}
