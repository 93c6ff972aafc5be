//! How values look in JSON: money as a decimal string with its currency, times in RFC 3339, and how times are read.

use base::{Currency, Money, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::{Code, FieldError, Problem};

/// An amount of money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(title = "Money")]
pub(crate) struct Amount {
    /// Decimal with two to six places.
    #[schema(example = "12.50")]
    pub(crate) amount: String,
    /// ISO 4217.
    #[schema(value_type = String, example = "USD")]
    pub(crate) currency: Currency,
}

impl From<Money> for Amount {
    fn from(money: Money) -> Self {
        Self { amount: base::money::format_micros(money.micros), currency: money.currency }
    }
}

impl Amount {
    /// `micros` millionths of `currency`.
    pub(crate) fn micros(micros: i64, currency: Currency) -> Self {
        Money::new(micros, currency).into()
    }
}

/// A time, RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Timestamp);

impl Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        read_time(&text).map(Self).ok_or_else(|| serde::de::Error::custom("not a time (RFC 3339)"))
    }
}

impl From<Timestamp> for Time {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

/// A time (RFC 3339) or a date, which is its first moment in UTC.
fn read_time(text: &str) -> Option<Timestamp> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(Timestamp::from_millis(at.as_millisecond()));
    }
    let date = text.parse::<jiff::civil::Date>().ok()?;
    let at = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(Timestamp::from_millis(at.timestamp().as_millisecond()))
}

/// Reads a query parameter that is a time or a date.
pub(crate) fn time_parameter(field: &str, text: Option<&str>) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = text else { return Ok(None) };
    read_time(text).map(Some).ok_or_else(|| {
        let detail = "not a time (RFC 3339) or date (YYYY-MM-DD)".to_owned();
        let errors = vec![FieldError { field: field.to_owned(), detail: detail.clone() }];
        Problem::new(Code::InvalidParameter, format!("{field}: {detail}")).with_errors(errors)
    })
}

/// Reads an amount in a body.
pub(crate) fn micros(field: &str, text: &str) -> Result<i64, Problem> {
    base::money::parse_micros(text).map_err(|e| Problem::field(Code::InvalidBody, field, e.to_string()))
}

/// `null` in a body clears a value, leaving it out keeps it: `None`, `Some(None)`, `Some(Some(value))`.
pub(crate) fn nullable<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_offsets_and_dates_as_their_first_moment() {
        assert_eq!(read_time("2026-11-21T13:00:00+01:00"), read_time("2026-11-21T12:00:00Z"));
        assert_eq!(read_time("1970-01-02"), Some(Timestamp::from_millis(86_400_000)));
        for bad in ["", "yesterday", "2026-13-01", "12:00"] {
            assert_eq!(read_time(bad), None, "{bad}");
        }
    }
}
