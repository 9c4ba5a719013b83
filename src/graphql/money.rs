//! Money in the schema.

use async_graphql::SimpleObject;

use super::scalars::{CurrencyCode, Int64};
use crate::{
    error::{Error, Result},
    money::{self, Currency},
};

/// An amount of one currency.
#[derive(Clone, Debug, SimpleObject)]
pub struct Money {
    /// In the currency's minor unit by ISO 4217 (cents of EUR, whole yen).
    pub amount_minor: Int64,
    /// The currency.
    pub currency: CurrencyCode,
    /// For people, e.g. `€1,250.00`; the same in every language.
    pub formatted: String,
}

impl Money {
    /// From what a row keeps. Fails for a currency that left the list, which is our fault.
    pub fn of(amount_minor: i64, currency: &str) -> Result<Self> {
        let currency = Currency::parse(currency).map_err(Error::internal)?;
        money::Money::new(amount_minor, currency)
            .map(Self::from)
            .map_err(Error::internal)
    }
}

impl From<money::Money> for Money {
    fn from(money: money::Money) -> Self {
        Self {
            amount_minor: Int64(money.amount_minor()),
            currency: CurrencyCode(money.currency().code().to_owned()),
            formatted: money.formatted(),
        }
    }
}
