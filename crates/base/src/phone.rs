//! E.164 numbers. National dialling rules belong to trunks and tenants, not here.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An international number: `+` and 3 to 15 digits, the first not 0 (ITU-T E.164).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct E164(Box<str>);

/// Text that is not an international number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an E.164 number: + and 3 to 15 digits, the first not 0")]
pub struct BadNumber;

impl E164 {
    /// With the leading `+`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without the leading `+`.
    pub fn digits(&self) -> &str {
        &self.0[1..]
    }

    /// Reads what a person or carrier may write: `+1 (555) 123-4567`, `00 44 ...`, `15551234567` (taken as
    /// international, as carriers send it). Visual separators of RFC 3966 and blanks are dropped.
    pub fn parse_lenient(text: &str) -> Result<Self, BadNumber> {
        let kept: String = text.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')' | ' ')).collect();
        let digits = kept.strip_prefix('+').or_else(|| kept.strip_prefix("00")).unwrap_or(&kept);
        format!("+{digits}").parse()
    }

    /// Its prefixes without `+`, longest first: for +1555 they are 1555, 155, 15, 1.
    pub fn prefixes(&self) -> impl Iterator<Item = &str> {
        let digits = self.digits();
        (1..=digits.len()).rev().map(move |n| &digits[..n])
    }
}

impl FromStr for E164 {
    type Err = BadNumber;

    fn from_str(text: &str) -> Result<Self, BadNumber> {
        let digits = text.strip_prefix('+').ok_or(BadNumber)?;
        let good =
            (3..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        if good { Ok(Self(text.into())) } else { Err(BadNumber) }
    }
}
impl fmt::Display for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for E164 {
    /// Masked: a number is personal data, and `{:?}` is what ends up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keep = self.0.len().min(4);
        write!(f, "{}…", &self.0[..keep])
    }
}
impl Serialize for E164 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
impl<'de> Deserialize<'de> for E164 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_international_numbers_pass() {
        assert!("+15551234567".parse::<E164>().is_ok());
        for bad in ["15551234567", "+0123456", "+12", "+1234567890123456", "+1555x", "", "+"] {
            assert_eq!(bad.parse::<E164>(), Err(BadNumber), "{bad}");
        }
        for lenient in ["+1 (555) 123-4567", "0015551234567", "15551234567"] {
            assert_eq!(E164::parse_lenient(lenient).map(|n| n.to_string()), Ok("+15551234567".into()));
        }
    }

    #[test]
    fn prefixes_run_from_the_longest() {
        let number: E164 = "+1555".parse().expect("a number");
        assert_eq!(number.prefixes().collect::<Vec<_>>(), ["1555", "155", "15", "1"]);
    }
}
