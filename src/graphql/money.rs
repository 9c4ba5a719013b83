//! Money in the schema.

use async_graphql::Object;

use super::{
    plan::{Read, Readable, Selected},
    scalars::{CurrencyCode, Int64},
};
use crate::{
    error::{Error, Result},
    money::{self, Currency},
};

/// An amount of one currency.
#[derive(Clone, Copy, Debug)]
pub struct Money(money::Money);

impl Money {
    /// From what a row keeps. Fails for a currency that left the list, which is our fault.
    pub fn of(amount_minor: i64, currency: &str) -> Result<Self> {
        let currency = Currency::parse(currency).map_err(Error::internal)?;
        money::Money::new(amount_minor, currency)
            .map(Self)
            .map_err(Error::internal)
    }
}

impl From<money::Money> for Money {
    fn from(money: money::Money) -> Self {
        Self(money)
    }
}

/// An amount of one currency.
#[Object]
impl Money {
    /// In the currency's minor unit by ISO 4217 (cents of EUR, whole yen).
    async fn amount_minor(&self) -> Int64 {
        Int64(self.0.amount_minor())
    }

    /// The currency.
    async fn currency(&self) -> CurrencyCode {
        CurrencyCode(self.0.currency().code().to_owned())
    }

    /// For people, e.g. `€1,250.00`; the same in every language.
    async fn formatted(&self) -> String {
        self.0.formatted()
    }
}

impl Readable for Money {
    type Object = Self;

    fn read(field: &Selected<'_>) -> Option<Read<Self>> {
        Some(Read::Leaf(match field.name() {
            "amountMinor" => |money, _, json| json.int(money.0.amount_minor()),
            "currency" => |money, _, json| json.text(money.0.currency().code()),
            "formatted" => |money, _, json| json.text(&money.0.formatted()),
            _ => return None,
        }))
    }
}
