//! Who may use each field of `Query` and `Mutation`: the one table that the guard enforces, the schema's descriptions
//! quote and the schema walk tests (rule 17).

use super::viewer::Viewer;
use crate::error::Error;

/// Who may use a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Anyone, signed in or not.
    Everyone,
    /// Any signed-in, active person.
    SignedIn,
    /// Who holds this permission (`resource:action`) through a role.
    Permission(&'static str),
}

impl Audience {
    /// Whether the viewer is in it.
    pub fn admits(self, viewer: &Viewer) -> bool {
        match self {
            Self::Everyone => true,
            Self::SignedIn => viewer.signed_in().is_some(),
            Self::Permission(permission) => viewer.may(permission),
        }
    }

    /// The answer to a viewer who is not in it.
    pub fn refusal(self, viewer: &Viewer) -> Error {
        match self {
            Self::Everyone | Self::SignedIn => Error::Forbidden,
            Self::Permission(permission) => Error::Lacking {
                permission,
                signed_in: viewer.signed_in().is_some(),
            },
        }
    }

    /// The sentence that ends the field's description.
    pub fn sentence(self) -> String {
        match self {
            Self::Everyone => "Audience: everyone.".to_owned(),
            Self::SignedIn => "Audience: signed in.".to_owned(),
            Self::Permission(permission) => format!("Audience: staff with `{permission}`."),
        }
    }
}

use Audience::{Everyone, Permission, SignedIn};

/// Every field of `Query`.
pub const QUERIES: &[(&str, Audience)] = &[
    ("node", Everyone),
    ("nodes", Everyone),
    ("me", SignedIn),
    ("categories", Everyone),
    ("cities", Everyone),
    ("services", Everyone),
    ("service", Everyone),
    ("providers", Everyone),
    ("provider", Everyone),
    ("providerApplications", Permission("providers:review")),
    ("booking", SignedIn),
    ("bookings", Permission("bookings:read")),
    ("bookingCancelQuote", SignedIn),
    ("order", SignedIn),
    ("orders", Permission("orders:read")),
    ("reviews", Everyone),
    ("boundaryPolicy", Everyone),
    ("reports", Permission("reports:read")),
    ("users", Permission("users:read")),
    ("user", Permission("users:read")),
    ("auditEvents", Permission("audit:read")),
    ("roles", Permission("roles:read")),
    ("role", Permission("roles:read")),
    ("permissions", Permission("permissions:read")),
    ("permission", Permission("permissions:read")),
];

/// Every field of `Mutation`.
pub const MUTATIONS: &[(&str, Audience)] = &[
    ("authTelegram", Everyone),
    ("authRefresh", Everyone),
    ("authLogout", Everyone),
    ("authRegister", Everyone),
    ("authLogin", Everyone),
    ("emailCodeSend", Everyone),
    ("emailVerify", Everyone),
    ("passwordReset", Everyone),
    ("passwordChange", SignedIn),
    ("accountLinkTelegram", SignedIn),
    ("accountLinkEmail", SignedIn),
    ("sessionRevoke", SignedIn),
    ("meUpdate", SignedIn),
    ("mediaUploadBegin", SignedIn),
    ("providerApply", SignedIn),
    ("providerUpdate", SignedIn),
    ("providerApplicationWithdraw", SignedIn),
    ("providerApplicationReview", Permission("providers:review")),
    ("providerSuspend", Permission("providers:suspend")),
    ("providerReinstate", Permission("providers:suspend")),
    ("providerMediaAttach", SignedIn),
    ("providerMediaUpdate", SignedIn),
    ("providerMediaReorder", SignedIn),
    ("providerMediaRemove", SignedIn),
    ("providerServicePricingSet", SignedIn),
    ("serviceCreate", Permission("services:write")),
    ("serviceUpdate", Permission("services:write")),
    ("serviceArchive", Permission("services:write")),
    ("availabilitiesCreate", SignedIn),
    ("availabilityDelete", SignedIn),
    ("bookingCreate", SignedIn),
    ("bookingAccept", SignedIn),
    ("bookingReject", SignedIn),
    ("bookingCancel", SignedIn),
    ("bookingComplete", SignedIn),
    ("bookingNoShow", SignedIn),
    ("bookingAttentionClear", Permission("bookings:manage")),
    ("bookingReschedule", SignedIn),
    ("bookingRescheduleAnswer", SignedIn),
    ("orderCreate", SignedIn),
    ("checkoutCreate", SignedIn),
    ("refundCreate", Permission("refunds:create")),
    ("orderAttentionClear", Permission("refunds:create")),
    ("reviewCreate", SignedIn),
    ("reviewReply", SignedIn),
    ("reviewModerate", Permission("reviews:moderate")),
    ("boundaryAcknowledge", SignedIn),
    ("boundaryPolicyPublish", Permission("boundary:publish")),
    ("reportCreate", SignedIn),
    ("reportResolve", Permission("reports:resolve")),
    ("userCreate", Permission("users:write")),
    ("userUpdate", Permission("users:write")),
    ("userStatusSet", Permission("users:suspend")),
    ("userDelete", Permission("users:delete")),
    ("usersDelete", Permission("users:delete")),
    ("permissionCreate", Permission("permissions:write")),
    ("permissionDelete", Permission("permissions:write")),
    ("roleCreate", Permission("roles:write")),
    ("roleUpdate", Permission("roles:write")),
    ("roleDelete", Permission("roles:write")),
    ("rolePermissionsSet", Permission("roles:write")),
    ("userRolesSet", Permission("roles:grant")),
    ("userBlock", SignedIn),
    ("userUnblock", SignedIn),
];

const BOOKINGS: &[&str] = &["bookings:read", "bookings:manage"];
const PROVIDERS: &[&str] = &["providers:read", "providers:review", "providers:suspend"];

/// Mutations of the two sides that staff reach for, too, as they see what is changed: those with one of these
/// permissions.
pub const STAFF_TOO: &[(&str, &[&str])] = &[
    ("providerUpdate", PROVIDERS),
    ("providerApplicationWithdraw", PROVIDERS),
    ("bookingAccept", BOOKINGS),
    ("bookingReject", BOOKINGS),
    ("bookingCancel", BOOKINGS),
    ("bookingComplete", BOOKINGS),
    ("bookingNoShow", BOOKINGS),
    ("bookingReschedule", BOOKINGS),
    ("bookingRescheduleAnswer", BOOKINGS),
    ("orderCreate", BOOKINGS),
    ("checkoutCreate", &["orders:read"]),
    ("reviewReply", &["reviews:moderate"]),
];

/// Whether who may use this mutation does so as staff, so that a refusal of it goes to the audit trail.
pub fn is_of_staff(mutation: &str, audience: Audience, viewer: &Viewer) -> bool {
    match audience {
        Permission(_) => true,
        Everyone => false,
        SignedIn => {
            let too = STAFF_TOO.iter().find(|(name, _)| *name == mutation);
            too.is_some_and(|(_, any)| any.iter().any(|permission| viewer.may(permission)))
        }
    }
}

/// The audience of a root field; nothing for one that is not in the table, which nobody may use.
pub fn audience(root: &str, field: &str) -> Option<Audience> {
    entry(root, field).map(|(_, audience)| audience)
}

/// The field's name and audience, as in the table.
pub fn entry(root: &str, field: &str) -> Option<(&'static str, Audience)> {
    let table = match root {
        "Query" => QUERIES,
        "Mutation" => MUTATIONS,
        _ => return None,
    };
    table.iter().find(|(name, _)| *name == field).copied()
}
