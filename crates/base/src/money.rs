//! Exact money: integer millionths of a currency unit, checked arithmetic only, never a float.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An ISO 4217 code, three upper-case letters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency([u8; 3]);

impl Currency {
    /// United States dollar, the currency of the demo tenant.
    pub const USD: Self = Self(*b"USD");

    /// The three letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }
}

/// Text that is not money or a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadMoney {
    /// Not three letters.
    #[error("not an ISO 4217 currency: three upper-case letters")]
    Currency,
    /// Not a decimal number with at most six places.
    #[error("not an amount: digits, optionally a point and at most six decimals")]
    Amount,
    /// Over the range of a 64-bit count of millionths.
    #[error("amount out of range")]
    Range,
    /// Two currencies in one sum.
    #[error("two currencies in one sum: {0} and {1}")]
    Mixed(Currency, Currency),
}

impl FromStr for Currency {
    type Err = BadMoney;

    fn from_str(text: &str) -> Result<Self, BadMoney> {
        match text.as_bytes() {
            [a, b, c] if text.bytes().all(|x| x.is_ascii_uppercase()) => Ok(Self([*a, *b, *c])),
            _ => Err(BadMoney::Currency),
        }
    }
}
impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// An amount in a currency. Ordered only within one currency, hence no `Ord`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Millionths of the currency's unit; negative for debts.
    pub micros: i64,
    /// The currency.
    pub currency: Currency,
}

impl Money {
    /// `micros` millionths of `currency`.
    pub const fn new(micros: i64, currency: Currency) -> Self {
        Self { micros, currency }
    }

    /// Nothing.
    pub const fn zero(currency: Currency) -> Self {
        Self { micros: 0, currency }
    }

    /// The sum; refused over the range or between currencies.
    pub fn checked_add(self, other: Self) -> Result<Self, BadMoney> {
        self.combine(other, i64::checked_add)
    }

    /// The difference; refused over the range or between currencies.
    pub fn checked_sub(self, other: Self) -> Result<Self, BadMoney> {
        self.combine(other, i64::checked_sub)
    }

    /// Parses a decimal such as `12.5` or `-0.000001`, exactly.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, BadMoney> {
        parse_micros(text).map(|micros| Self { micros, currency })
    }

    fn combine(self, other: Self, f: fn(i64, i64) -> Option<i64>) -> Result<Self, BadMoney> {
        if self.currency != other.currency {
            return Err(BadMoney::Mixed(self.currency, other.currency));
        }
        f(self.micros, other.micros).map(|micros| Self { micros, ..self }).ok_or(BadMoney::Range)
    }
}

/// A decimal number to millionths, exactly; at most six decimals.
pub fn parse_micros(text: &str) -> Result<i64, BadMoney> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) || fraction.len() > 6 || digits.ends_with('.') {
        return Err(BadMoney::Amount);
    }
    let whole: i64 = whole.parse().map_err(|_| BadMoney::Range)?;
    let scaled: i64 = format!("{fraction:0<6}").parse().map_err(|_| BadMoney::Amount)?;
    let micros = whole.checked_mul(1_000_000).and_then(|v| v.checked_add(scaled)).ok_or(BadMoney::Range)?;
    Ok(if negative { -micros } else { micros })
}

/// Millionths as a decimal number with two to six places: `12.50`, `0.000001`.
pub fn format_micros(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let absolute = micros.unsigned_abs();
    let mut text = format!("{sign}{}.{:06}", absolute / 1_000_000, absolute % 1_000_000);
    while text.ends_with('0') && text.len() - text.find('.').unwrap_or(0) > 3 {
        text.pop();
    }
    text
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", format_micros(self.micros), self.currency)
    }
}
impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_both_ways() {
        for (text, micros) in [("0", 0), ("12.5", 12_500_000), ("-0.000001", -1), ("1.000000", 1_000_000)] {
            assert_eq!(parse_micros(text), Ok(micros));
        }
        assert_eq!(format_micros(12_500_000), "12.50");
        assert_eq!(format_micros(-1), "-0.000001");
        for bad in ["", ".", "1.", ".5", "1.0000001", "1e3", "+1", "99999999999999"] {
            assert!(parse_micros(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sums_never_wrap_and_never_mix_currencies() {
        let max = Money::new(i64::MAX, Currency::USD);
        assert_eq!(max.checked_add(Money::new(1, Currency::USD)), Err(BadMoney::Range));
        let euro = Money::new(1, "EUR".parse().expect("a currency"));
        assert!(matches!(euro.checked_sub(max), Err(BadMoney::Mixed(..))));
    }
}
