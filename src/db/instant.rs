//! A point in time as `timestamptz`.

use std::ops::Deref;

use diesel::{
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    pg::{Pg, PgValue},
    serialize::{self, Output, ToSql},
    sql_types::Timestamptz,
};
use jiff::Timestamp;

/// A `jiff::Timestamp` that diesel can bind and read, nullable columns included.
///
/// `jiff-diesel` knows the wire format; its own wrappers would show up in every row type and need a second one
/// for NULL, so rows use this and hand out a `Timestamp` by deref.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    AsExpression,
    FromSqlRow,
    serde::Serialize,
)]
#[diesel(sql_type = Timestamptz)]
#[serde(transparent)]
pub struct Instant(pub Timestamp);

/// From a client's cursor too, hence never before the year 1: PostgreSQL's calendar begins later than jiff's, and
/// what it cannot hold would fail in the database as a fault of ours.
impl<'de> serde::Deserialize<'de> for Instant {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const YEAR_ONE: i64 = -62_135_596_800;
        let timestamp = Timestamp::deserialize(deserializer)?;
        if timestamp.as_second() < YEAR_ONE {
            return Err(serde::de::Error::custom("an instant before the year 1"));
        }
        Ok(Self(timestamp))
    }
}

impl From<Timestamp> for Instant {
    fn from(timestamp: Timestamp) -> Self {
        Self(timestamp)
    }
}

impl From<Instant> for Timestamp {
    fn from(instant: Instant) -> Self {
        instant.0
    }
}

impl Deref for Instant {
    type Target = Timestamp;
    fn deref(&self) -> &Timestamp {
        &self.0
    }
}

impl ToSql<Timestamptz, Pg> for Instant {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        ToSql::<Timestamptz, Pg>::to_sql(&jiff_diesel::Timestamp::from(self.0), &mut out.reborrow())
    }
}

impl FromSql<Timestamptz, Pg> for Instant {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        <jiff_diesel::Timestamp as FromSql<Timestamptz, Pg>>::from_sql(value)
            .map(|timestamp| Self(timestamp.to_jiff()))
    }
}
