//! Typed ids: a `uuid` (version 7) in the database, a TypeID (`bkg_01h2x…`) everywhere else.

use std::{fmt, io::Write, str::FromStr};

use diesel::{
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    pg::{Pg, PgValue},
    serialize::{self, IsNull, Output, ToSql},
    sql_types,
};
use serde::{Deserialize, Serialize};
use type_safe_id::{DynamicType, StaticType, TypeSafeId};
use uuid::Uuid;

/// The text is no id, or one of another type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id of this type")]
pub struct BadId;

/// Reads a TypeID of exactly this prefix in its one canonical spelling.
fn decode(prefix: &str, text: &str) -> Result<Uuid, BadId> {
    // The crate panics over a prefix of more than 63 bytes whose 63rd ends inside a character.
    if !text.is_ascii() {
        return Err(BadId);
    }
    let id: TypeSafeId<DynamicType> = text.parse().map_err(|_| BadId)?;
    // The comparison refuses upper case and look-alike letters, which decoders tolerate.
    if id.type_prefix() != prefix || id.to_string() != text {
        return Err(BadId);
    }
    Ok(id.uuid())
}

/// The typed id of a prefix and a UUID that were stored apart; nothing for what is no prefix.
pub fn typed(prefix: &str, uuid: Uuid) -> Option<String> {
    let prefix = DynamicType::new(prefix).ok()?;
    Some(TypeSafeId::from_type_and_uuid(prefix, uuid).to_string())
}

/// The prefix and the UUID of a typed id of any type.
pub fn any(text: &str) -> Option<(&str, Uuid)> {
    let (prefix, _) = text.split_once('_')?;
    Some((prefix, decode(prefix, text).ok()?))
}

/// The prefix and the UUID of a typed id of one of the types here; what somebody made up as a prefix is none.
pub fn known(text: &str) -> Option<(&'static str, Uuid)> {
    let (prefix, uuid) = any(text)?;
    let prefix = PREFIXES.iter().find(|known| **known == prefix)?;
    Some((prefix, uuid))
}

/// What every typed id can do, for code that is generic over them.
pub trait TypedId: Copy + fmt::Display + FromStr<Err = BadId> + Send + Sync + 'static {
    /// The part before the underscore.
    const PREFIX: &'static str;
    /// The id in the database.
    fn uuid(self) -> Uuid;
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {
        /// The prefixes of all types.
        const PREFIXES: &[&str] = &[$($prefix),*];
        $(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, AsExpression, FromSqlRow)]
        #[diesel(sql_type = sql_types::Uuid)]
        pub struct $name(pub Uuid);

        impl TypedId for $name {
            const PREFIX: &'static str = $prefix;
            fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                #[derive(Default)]
                struct Prefix;
                impl StaticType for Prefix {
                    const TYPE: &'static str = $prefix;
                }
                fmt::Display::fmt(&TypeSafeId::<Prefix>::from_uuid(self.0), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                decode($prefix, text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl ToSql<sql_types::Uuid, Pg> for $name {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
                out.write_all(self.0.as_bytes())?;
                Ok(IsNull::No)
            }
        }

        impl FromSql<sql_types::Uuid, Pg> for $name {
            fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
                Ok(Self(Uuid::from_slice(value.as_bytes())?))
            }
        }
        )*
    };
}

ids! {
    /// A person with an account.
    UserId = "usr";
    /// A sign-in and all refresh tokens that descend from it.
    SessionId = "ses";
    /// A code that proves an e-mail address.
    EmailCodeId = "ecd";
    /// A role.
    RoleId = "rol";
    /// A permission.
    PermissionId = "prm";
    /// An entry of the audit trail.
    AuditEventId = "aud";
    /// A city.
    CityId = "cty";
    /// A category of services.
    CategoryId = "cat";
    /// A service of the catalog.
    ServiceId = "srv";
    /// A provider's profile.
    ProviderId = "prv";
    /// A provider's price for one service.
    ProviderServiceId = "psv";
    /// An image.
    MediaId = "med";
    /// An image in a provider's portfolio.
    ProviderMediaId = "pmd";
    /// An announced upload.
    UploadId = "upl";
    /// A bookable window.
    AvailabilityId = "avl";
    /// A booking.
    BookingId = "bkg";
    /// A proposal to move a booking.
    BookingProposalId = "bpr";
    /// A held time.
    HeldTimeId = "hld";
    /// An entry of a booking's history.
    BookingEventId = "bev";
    /// An order.
    OrderId = "ord";
    /// A line of an order.
    OrderLineId = "orl";
    /// A checkout session.
    CheckoutId = "chk";
    /// A refund.
    RefundId = "ref";
    /// A review.
    ReviewId = "rev";
    /// A report to staff.
    ReportId = "rep";
    /// A background job.
    JobId = "job";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_no_other_type_or_spelling_does() {
        let id = UserId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));
        let text = id.to_string();
        assert!(text.starts_with("usr_"));
        assert_eq!(text.parse::<UserId>(), Ok(id));
        assert_eq!(text.parse::<RoleId>(), Err(BadId));
        assert_eq!(text.to_uppercase().parse::<UserId>(), Err(BadId));
        for bad in [
            "",
            "usr_",
            "usr",
            "_",
            "usr_1",
            "usr_zzzzzzzzzzzzzzzzzzzzzzzzzz",
            "usr_\0",
            &format!("{}_01k4000000e008000000000001", "é".repeat(40)),
            &format!("{}_01k4000000e008000000000001", "u".repeat(100)),
            "usr_01k4000000e0080000000000é",
            "usr_81k4000000e008000000000001",
        ] {
            assert_eq!(bad.parse::<UserId>(), Err(BadId), "{bad:?}");
        }
    }
}
