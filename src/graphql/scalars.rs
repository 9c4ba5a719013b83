//! Scalars. What a person types checks only its JSON kind here; the service checks the value, so that all bad
//! fields come back together (api.md, Scalars).

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use jiff::Timestamp;

/// A point in time: RFC 3339, years 2000 to 2100, any offset in, UTC out (`2026-11-21T13:00:00Z`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, async_graphql::Description)]
pub struct DateTime(pub Timestamp);

const EARLIEST: &str = "2000-01-01T00:00:00Z";
const LATEST: &str = "2101-01-01T00:00:00Z";

#[Scalar(
    use_type_description = true,
    specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339"
)]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else {
            return Err(InputValueError::expected_type(value));
        };
        let parsed = strict_rfc3339(text).ok_or_else(|| {
            InputValueError::custom(
                "a time like 2026-11-21T13:00:00Z, in the years 2000 to 2100, is needed",
            )
        })?;
        Ok(Self(parsed))
    }

    fn is_valid(value: &Value) -> bool {
        matches!(value, Value::String(text) if strict_rfc3339(text).is_some())
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// jiff reads more than RFC 3339 (zone annotations, other separators), which others would then rely on.
fn strict_rfc3339(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let digits = |from: usize, to: usize| {
        bytes
            .get(from..to)
            .is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    let is = |at: usize, wanted: &[u8]| bytes.get(at).is_some_and(|byte| wanted.contains(byte));
    let shape = digits(0, 4)
        && is(4, b"-")
        && digits(5, 7)
        && is(7, b"-")
        && digits(8, 10)
        && is(10, b"Tt")
        && digits(11, 13)
        && is(13, b":")
        && digits(14, 16)
        && is(16, b":")
        && digits(17, 19);
    let zone = text
        .get(19..)?
        .trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let zone_shape = match zone.as_bytes() {
        b"Z" | b"z" => true,
        [b'+' | b'-', hours @ .., b':', ten, one] => {
            let below_a_day = matches!(hours, [b'0' | b'1', b'0'..=b'9'] | [b'2', b'0'..=b'3']);
            below_a_day && matches!((ten, one), (b'0'..=b'5', b'0'..=b'9'))
        }
        _ => false,
    };
    if !shape || !zone_shape || text.len() > 40 {
        return None;
    }
    let timestamp: Timestamp = text.to_ascii_uppercase().parse().ok()?;
    let (earliest, latest): (Timestamp, Timestamp) = (EARLIEST.parse().ok()?, LATEST.parse().ok()?);
    // PostgreSQL keeps microseconds; what it cannot keep would not read back.
    let micros = Timestamp::from_microsecond(timestamp.as_microsecond()).ok()?;
    (earliest <= micros && micros < latest).then_some(micros)
}

/// An integer within ±(2^53 − 1), which JSON numbers carry exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, async_graphql::Description)]
pub struct Int64(pub i64);

const MAX_SAFE_INTEGER: i64 = 9_007_199_254_740_991;

#[Scalar(use_type_description = true)]
impl ScalarType for Int64 {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::Number(number) => match number.as_i64() {
                Some(integer) if integer.abs_diff(0) <= MAX_SAFE_INTEGER.unsigned_abs() => {
                    Ok(Self(integer))
                }
                _ => Err(InputValueError::custom(
                    "an integer within ±(2^53 − 1) is needed",
                )),
            },
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn is_valid(value: &Value) -> bool {
        matches!(value, Value::Number(number) if number.as_i64().is_some_and(|integer| integer.unsigned_abs() <= MAX_SAFE_INTEGER.unsigned_abs()))
    }

    fn to_value(&self) -> Value {
        self.0.into()
    }
}

macro_rules! typed_text {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, async_graphql::Description)]
        pub struct $name(pub String);

        #[Scalar(use_type_description = true, name = $text)]
        impl ScalarType for $name {
            fn parse(value: Value) -> InputValueResult<Self> {
                match value {
                    Value::String(text) => Ok(Self(text)),
                    other => Err(InputValueError::expected_type(other)),
                }
            }

            fn is_valid(value: &Value) -> bool {
                matches!(value, Value::String(_))
            }

            fn to_value(&self) -> Value {
                Value::String(self.0.clone())
            }
        }
    )*};
}

typed_text! {
    /// An ISO 4217 currency code in capitals, e.g. `EUR`.
    CurrencyCode = "CurrencyCode";
    /// An e-mail address.
    EmailAddress = "EmailAddress";
    /// An absolute `http` or `https` URL.
    URL = "URL";
    /// An IANA time zone, e.g. `Europe/Berlin`.
    TimeZone = "TimeZone";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rfc_3339_within_the_years_is_a_time() {
        for good in [
            "2026-11-21T13:00:00Z",
            "2026-11-21t13:00:00.123456z",
            "2026-11-21T13:00:00+02:00",
            "2000-01-01T00:00:00Z",
            "2100-12-31T23:59:59Z",
        ] {
            assert!(strict_rfc3339(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "2026-11-21",
            "2026-11-21 13:00:00Z",
            "2026-11-21T13:00:00",
            "2026-11-21T13:00:00Z[Europe/Berlin]",
            "2026-11-21T13:00:00+24:00",
            "2026-11-21T13:00:00+01:60",
            "2026-11-21T13:00:00+1:000",
            "1999-12-31T23:59:59Z",
            "2101-01-01T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-11-21T25:00:00Z",
            "2026-11-21T13:00:00+02",
            "+02026-11-21T13:00:00Z",
        ] {
            assert!(strict_rfc3339(bad).is_none(), "{bad}");
        }
    }
}
