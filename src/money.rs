//! Money: whole numbers of a currency's minor unit, never a float.
//!
//! Amounts are in ISO 4217's minor unit everywhere in the house; [`Money::to_gateway`] and
//! [`Money::from_gateway`] are the only places that know what Stripe counts in. What the gateway
//! could not charge is refused when a price is set ([`Money::check_price`]), not when it is paid.
//! rules.md, "Orders and payments".

use std::fmt;

mod currency;
#[cfg(test)]
mod tests;

pub use currency::{CURRENCIES, Currency, CurrencyInfo};

/// The largest amount, in minor units: 2^53 − 1, what a JSON reader holds exactly.
pub const MAX_AMOUNT_MINOR: i64 = (1 << 53) - 1;

/// What can be wrong with an amount. The text is fit for a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not a code of the list.
    #[error("is not a currency that can be charged")]
    UnknownCurrency,
    /// Beyond ±(2^53 − 1).
    #[error("is too large")]
    OutOfRange,
    /// Two currencies in one sum.
    #[error("mixes two currencies")]
    CurrencyMismatch,
    /// Below zero where only a price makes sense.
    #[error("must not be negative")]
    Negative,
    /// Below the gateway's least charge.
    #[error("must be 0 or at least {0}")]
    BelowMinimum(Money),
    /// Above the gateway's greatest charge.
    #[error("must be at most {0}")]
    AboveMaximum(Money),
    /// Finer than what can be charged in this currency.
    #[error("must be a multiple of {0}")]
    NotAMultiple(Money),
    /// A gateway's amount that is no whole number of our minor units.
    #[error("is no whole number of the currency's minor unit")]
    NotRepresentable,
    /// More than the whole.
    #[error("must be a share between 0 and 100 percent")]
    NotAShare,
}

/// An amount in one currency, within ±(2^53 − 1) minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    amount_minor: i64,
    currency: Currency,
}

impl Money {
    /// An amount in minor units.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] beyond ±(2^53 − 1).
    pub fn new(amount_minor: i64, currency: Currency) -> Result<Self, MoneyError> {
        if amount_minor.unsigned_abs() > MAX_AMOUNT_MINOR.unsigned_abs() {
            return Err(MoneyError::OutOfRange);
        }
        Ok(Self {
            amount_minor,
            currency,
        })
    }

    /// Nothing, in `currency`.
    pub fn zero(currency: Currency) -> Self {
        Self {
            amount_minor: 0,
            currency,
        }
    }

    /// The amount in ISO 4217's minor unit.
    pub fn amount_minor(self) -> i64 {
        self.amount_minor
    }

    /// The currency.
    pub fn currency(self) -> Currency {
        self.currency
    }

    /// Whether this is nothing: a price of 0 is free.
    pub fn is_zero(self) -> bool {
        self.amount_minor == 0
    }

    /// The sum.
    ///
    /// # Errors
    /// Another currency, or a sum out of range.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let sum = self.amount_minor.checked_add(other.amount_minor);
        Self::new(sum.ok_or(MoneyError::OutOfRange)?, self.currency)
    }

    /// The difference.
    ///
    /// # Errors
    /// Another currency, or a difference out of range.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let difference = self.amount_minor.checked_sub(other.amount_minor);
        Self::new(difference.ok_or(MoneyError::OutOfRange)?, self.currency)
    }

    /// This many times the amount.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`].
    pub fn checked_mul(self, times: i64) -> Result<Self, MoneyError> {
        let product = self.amount_minor.checked_mul(times);
        Self::new(product.ok_or(MoneyError::OutOfRange)?, self.currency)
    }

    /// The sum of `parts`, which may be none.
    ///
    /// # Errors
    /// A part in another currency than `currency`, or a sum out of range.
    pub fn sum(
        currency: Currency,
        parts: impl IntoIterator<Item = Self>,
    ) -> Result<Self, MoneyError> {
        parts
            .into_iter()
            .try_fold(Self::zero(currency), Self::checked_add)
    }

    /// `basis_points` hundredths of a percent of the amount, rounded half to even to what can be
    /// charged in the currency (a cent, a yen, ten fils).
    ///
    /// # Errors
    /// [`MoneyError::NotAShare`] above 10 000 basis points.
    pub fn percentage(self, basis_points: u32) -> Result<Self, MoneyError> {
        if basis_points > 10_000 {
            return Err(MoneyError::NotAShare);
        }
        if basis_points == 10_000 {
            return Ok(self);
        }
        let step = i128::from(self.currency.info().granularity);
        // In 128 bits neither the product nor the divisor can overflow.
        let product = i128::from(self.amount_minor) * i128::from(basis_points);
        let steps = divide_half_to_even(product, 10_000 * step);
        let amount = i64::try_from(steps * step).map_err(|_| MoneyError::OutOfRange)?;
        // Rounding up to a step must not make more than the whole of an amount below one step.
        let whole = self.amount_minor;
        Self::new(amount.clamp(whole.min(0), whole.max(0)), self.currency)
    }

    /// Divides a paid amount when a share of it is kept: the kept part is a percentage, rounded
    /// half to even, and the remainder goes back to the payer. The two parts sum to the whole.
    ///
    /// `refunded_percent` is what the policy gives back, 0 to 100.
    ///
    /// # Errors
    /// [`MoneyError::NotAShare`] above 100.
    pub fn refund_share(self, refunded_percent: u32) -> Result<RefundShare, MoneyError> {
        let kept_percent = 100_u32
            .checked_sub(refunded_percent)
            .ok_or(MoneyError::NotAShare)?;
        let kept = self.percentage(kept_percent * 100)?;
        Ok(RefundShare {
            refunded: self.checked_sub(kept)?,
            kept,
        })
    }

    /// Checks that the gateway could charge this amount: positive, within its minimum and maximum,
    /// and no finer than it takes.
    ///
    /// # Errors
    /// What stands against it.
    pub fn check_chargeable(self) -> Result<(), MoneyError> {
        let info = self.currency.info();
        if self.amount_minor < 0 {
            return Err(MoneyError::Negative);
        }
        let minimum = self.currency.minimum_charge();
        if self.amount_minor < minimum.amount_minor {
            return Err(MoneyError::BelowMinimum(minimum));
        }
        let maximum = self.currency.maximum_charge();
        if self.amount_minor > maximum.amount_minor {
            return Err(MoneyError::AboveMaximum(maximum));
        }
        if self.amount_minor % info.granularity != 0 {
            let step = Self {
                amount_minor: info.granularity,
                currency: self.currency,
            };
            return Err(MoneyError::NotAMultiple(step));
        }
        Ok(())
    }

    /// Checks that this may be a price: 0, which is free, or an amount that can be charged.
    ///
    /// # Errors
    /// As [`Money::check_chargeable`].
    pub fn check_price(self) -> Result<(), MoneyError> {
        if self.is_zero() {
            Ok(())
        } else {
            self.check_chargeable()
        }
    }

    /// The amount in what Stripe counts in.
    ///
    /// # Errors
    /// [`MoneyError::NotAMultiple`] for an amount that is finer than the gateway's unit or step,
    /// [`MoneyError::OutOfRange`] for one too large to convert.
    pub fn to_gateway(self) -> Result<i64, MoneyError> {
        let info = self.currency.info();
        if self.amount_minor % info.granularity != 0 {
            let step = Self {
                amount_minor: info.granularity,
                currency: self.currency,
            };
            return Err(MoneyError::NotAMultiple(step));
        }
        let (times, per) = info.gateway_ratio();
        let amount = self
            .amount_minor
            .checked_mul(times)
            .ok_or(MoneyError::OutOfRange)?;
        Ok(amount / per)
    }

    /// The amount that Stripe names in its own unit.
    ///
    /// # Errors
    /// [`MoneyError::NotRepresentable`] for a fraction of our minor unit (550 of ISK),
    /// [`MoneyError::OutOfRange`].
    pub fn from_gateway(amount: i64, currency: Currency) -> Result<Self, MoneyError> {
        let (times, per) = currency.info().gateway_ratio();
        let amount = amount.checked_mul(per).ok_or(MoneyError::OutOfRange)?;
        if amount % times != 0 {
            return Err(MoneyError::NotRepresentable);
        }
        Self::new(amount / times, currency)
    }

    /// The amount for people, the same in every language: `€12.50`, `¥1200`, `KWD 1.250`,
    /// `-$3.00`. Symbols that name one currency alone stand in front, otherwise its code; the
    /// decimals are ISO 4217's; nothing separates thousands.
    pub fn formatted(self) -> String {
        self.to_string()
    }

    fn same_currency(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            Ok(())
        } else {
            Err(MoneyError::CurrencyMismatch)
        }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let info = self.currency.info();
        if self.amount_minor < 0 {
            f.write_str("-")?;
        }
        match info.symbol {
            "" => write!(f, "{} ", info.code)?,
            symbol => f.write_str(symbol)?,
        }
        let amount = self.amount_minor.unsigned_abs();
        let unit = 10_u64.pow(info.exponent);
        let whole = (amount / unit).to_string();
        for (place, digit) in whole.chars().enumerate() {
            if place > 0 && (whole.len() - place).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        match info.exponent {
            0 => Ok(()),
            digits => write!(f, ".{:0width$}", amount % unit, width = digits as usize),
        }
    }
}

/// How a paid amount is divided by a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefundShare {
    /// What goes back to the payer.
    pub refunded: Money,
    /// What is kept.
    pub kept: Money,
}

/// Divides and rounds to the nearest whole number, halves to the even one. `divisor` > 0.
fn divide_half_to_even(dividend: i128, divisor: i128) -> i128 {
    let floor = dividend.div_euclid(divisor);
    let twice_rest = dividend.rem_euclid(divisor) * 2;
    match twice_rest.cmp(&divisor) {
        std::cmp::Ordering::Less => floor,
        std::cmp::Ordering::Greater => floor + 1,
        std::cmp::Ordering::Equal => floor + floor.rem_euclid(2),
    }
}
