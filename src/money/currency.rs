//! The one list of currencies.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Money, MoneyError};

/// What is known of a currency: ISO 4217's side and the gateway's.
#[derive(Debug, PartialEq, Eq)]
pub struct CurrencyInfo {
    /// ISO 4217's three letters.
    pub code: &'static str,
    /// Decimals of the minor unit by ISO 4217; our amounts count in it.
    pub exponent: u32,
    /// Decimals of the unit that Stripe counts in.
    pub gateway_exponent: u32,
    /// Stripe's least charge in its unit; 1 where it publishes none (it then converts to the
    /// account's own currency, by a rate that only it knows).
    pub gateway_minimum: i64,
    /// Stripe's greatest charge in its unit.
    pub gateway_maximum: i64,
    /// The step of amounts that can be charged, in minor units.
    pub granularity: i64,
    /// A sign that names this currency alone, or `""`: then the code stands for it.
    pub symbol: &'static str,
}

impl CurrencyInfo {
    /// By what to multiply and to divide a minor amount for the gateway's; one of the two is 1.
    pub(super) const fn gateway_ratio(&self) -> (i64, i64) {
        if self.gateway_exponent >= self.exponent {
            (10_i64.pow(self.gateway_exponent - self.exponent), 1)
        } else {
            (1, 10_i64.pow(self.exponent - self.gateway_exponent))
        }
    }

    const fn new(code: &'static str, exponent: u32, gateway_exponent: u32, step: i64) -> Self {
        Self {
            code,
            exponent,
            gateway_exponent,
            gateway_minimum: 1,
            // Eight digits, "the general limit"; some methods and currencies take more.
            gateway_maximum: 99_999_999,
            granularity: step,
            symbol: "",
        }
    }

    const fn at_least(mut self, gateway_minimum: i64) -> Self {
        self.gateway_minimum = gateway_minimum;
        self
    }

    const fn at_most(mut self, gateway_maximum: i64) -> Self {
        self.gateway_maximum = gateway_maximum;
        self
    }

    const fn shown_as(mut self, symbol: &'static str) -> Self {
        self.symbol = symbol;
        self
    }
}

/// Two decimals here and there.
const fn two(code: &'static str) -> CurrencyInfo {
    CurrencyInfo::new(code, 2, 2, 1)
}

/// No decimals here and there.
const fn zero(code: &'static str) -> CurrencyInfo {
    CurrencyInfo::new(code, 0, 0, 1)
}

/// Three decimals here and there, but the gateway's partners want the last one to be 0.
const fn three(code: &'static str) -> CurrencyInfo {
    CurrencyInfo::new(code, 3, 3, 10)
}

/// No decimals by ISO; the gateway still counts two, which must be 00.
const fn whole(code: &'static str) -> CurrencyInfo {
    CurrencyInfo::new(code, 0, 2, 1)
}

/// Two decimals by ISO (a fifth of an ariary is the coin); the gateway takes whole units alone.
const fn ariary(code: &'static str) -> CurrencyInfo {
    CurrencyInfo::new(code, 2, 0, 100)
}

/// The currencies that Stripe charges, by code: docs.stripe.com/currencies, with ISO 4217's
/// decimals. Those that ISO has withdrawn (ANG, BGN, STD) are left out. Stripe's special treatment
/// of HUF and TWD is for payouts only.
#[rustfmt::skip]
pub static CURRENCIES: &[CurrencyInfo] = &[
    two("AED").at_least(200),
    two("AFN"),
    two("ALL"),
    two("AMD"),
    two("AOA"),
    two("ARS"),
    two("AUD").at_least(50).shown_as("A$"),
    two("AWG"),
    two("AZN").shown_as("₼"),
    two("BAM"),
    two("BBD"),
    two("BDT"),
    three("BHD"),
    zero("BIF"),
    two("BMD"),
    two("BND"),
    two("BOB"),
    two("BRL").at_least(50).shown_as("R$"),
    two("BSD"),
    two("BWP"),
    two("BYN"),
    two("BZD"),
    two("CAD").at_least(50).shown_as("CA$"),
    two("CDF"),
    two("CHF").at_least(50),
    zero("CLP"),
    two("CNY").shown_as("CN¥"),
    two("COP"),
    two("CRC").shown_as("₡"),
    two("CVE"),
    two("CZK").at_least(1500),
    zero("DJF"),
    two("DKK").at_least(250),
    two("DOP"),
    two("DZD"),
    two("EGP"),
    two("ETB"),
    two("EUR").at_least(50).shown_as("€"),
    two("FJD"),
    two("FKP"),
    two("GBP").at_least(30).shown_as("£"),
    two("GEL").shown_as("₾"),
    two("GIP"),
    two("GMD"),
    zero("GNF"),
    two("GTQ"),
    two("GYD"),
    two("HKD").at_least(400).shown_as("HK$"),
    two("HNL"),
    two("HTG"),
    two("HUF").at_least(17_500),
    two("IDR").at_most(999_999_999_999),
    two("ILS").shown_as("₪"),
    two("INR").at_least(50).at_most(999_999_999).shown_as("₹"),
    whole("ISK"),
    two("JMD"),
    three("JOD"),
    zero("JPY").at_least(50).shown_as("¥"),
    two("KES"),
    two("KGS"),
    two("KHR"),
    zero("KMF"),
    zero("KRW").shown_as("₩"),
    three("KWD"),
    two("KYD"),
    two("KZT").shown_as("₸"),
    two("LAK").shown_as("₭"),
    two("LBP"),
    two("LKR"),
    two("LRD"),
    two("LSL"),
    two("MAD"),
    two("MDL"),
    ariary("MGA"),
    two("MKD"),
    two("MMK"),
    two("MNT").shown_as("₮"),
    two("MOP"),
    two("MUR"),
    two("MVR"),
    two("MWK"),
    two("MXN").at_least(1000).shown_as("MX$"),
    two("MYR").at_least(200),
    two("MZN"),
    two("NAD"),
    two("NGN").shown_as("₦"),
    two("NIO"),
    two("NOK").at_least(300),
    two("NPR"),
    two("NZD").at_least(50).shown_as("NZ$"),
    three("OMR"),
    two("PAB"),
    two("PEN"),
    two("PGK"),
    two("PHP").shown_as("₱"),
    two("PKR"),
    two("PLN").at_least(200),
    zero("PYG").shown_as("₲"),
    two("QAR"),
    two("RON").at_least(200),
    two("RSD"),
    two("RUB").shown_as("₽"),
    zero("RWF"),
    two("SAR"),
    two("SBD"),
    two("SCR"),
    two("SEK").at_least(300),
    two("SGD").at_least(50),
    two("SHP"),
    two("SLE"),
    two("SOS"),
    two("SRD"),
    two("SZL"),
    two("THB").at_least(1000).shown_as("฿"),
    two("TJS"),
    three("TND"),
    two("TOP"),
    two("TRY").shown_as("₺"),
    two("TTD"),
    two("TWD").shown_as("NT$"),
    two("TZS"),
    two("UAH").shown_as("₴"),
    whole("UGX"),
    two("USD").at_least(50).shown_as("$"),
    two("UYU"),
    two("UZS"),
    zero("VND").shown_as("₫"),
    zero("VUV"),
    two("WST"),
    zero("XAF"),
    two("XCD"),
    zero("XOF"),
    zero("XPF"),
    two("YER"),
    two("ZAR"),
    two("ZMW"),
];

/// A currency of the list.
#[derive(Clone, Copy)]
pub struct Currency(&'static CurrencyInfo);

impl Currency {
    /// The currency with this code, in upper case.
    ///
    /// # Errors
    /// [`MoneyError::UnknownCurrency`].
    pub fn parse(code: &str) -> Result<Self, MoneyError> {
        // As three bytes, which compare as one number: every price of a list is parsed.
        let wanted: &[u8; 3] = code
            .as_bytes()
            .try_into()
            .map_err(|_| MoneyError::UnknownCurrency)?;
        CURRENCIES
            .binary_search_by(|info| info.code.as_bytes().first_chunk().cmp(&Some(wanted)))
            .ok()
            .and_then(|index| CURRENCIES.get(index))
            .map(Self)
            .ok_or(MoneyError::UnknownCurrency)
    }

    /// Every currency, by code.
    pub fn all() -> impl Iterator<Item = Self> {
        CURRENCIES.iter().map(Self)
    }

    /// ISO 4217's three letters.
    pub fn code(self) -> &'static str {
        self.0.code
    }

    /// What is known of it.
    pub fn info(self) -> &'static CurrencyInfo {
        self.0
    }

    /// The least amount that can be charged.
    pub fn minimum_charge(self) -> Money {
        let (times, per) = self.0.gateway_ratio();
        // Up to a whole minor unit, then up to a whole step.
        let minor = (self.0.gateway_minimum * per + times - 1) / times;
        let step = self.0.granularity;
        Money {
            amount_minor: (minor + step - 1) / step * step,
            currency: self,
        }
    }

    /// The greatest amount that can be charged.
    pub fn maximum_charge(self) -> Money {
        let (times, per) = self.0.gateway_ratio();
        let minor = self.0.gateway_maximum * per / times;
        let step = self.0.granularity;
        Money {
            amount_minor: minor / step * step,
            currency: self,
        }
    }
}

impl PartialEq for Currency {
    fn eq(&self, other: &Self) -> bool {
        self.0.code == other.0.code
    }
}

impl Eq for Currency {}

impl std::hash::Hash for Currency {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.code.hash(state);
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code)
    }
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(code: &str) -> Result<Self, MoneyError> {
        Self::parse(code)
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.code)
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::parse(&code).map_err(serde::de::Error::custom)
    }
}
