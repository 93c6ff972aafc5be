//! What names may look like: everything that becomes part of a SIP URI, a realm or a route is checked before it is kept.

use base::{Random, Timestamp};
use domain::rule::is_time_zone;

use crate::error::{Error, Result};

/// Longest name of an object, octets.
const NAME_BYTES_MAX: usize = 64;
/// Longest domain name, octets (RFC 1035 §2.3.4, without the root's dot).
const DOMAIN_BYTES_MAX: usize = 253;
/// Longest text for people, octets.
const TEXT_BYTES_MAX: usize = 200;

/// Name of a tenant, trunk or carrier: 1 to 64 octets of letters, digits, `-`, `_`, `.` and blanks inside.
pub(crate) fn object_name(what: &'static str, name: &str) -> Result<()> {
    let plain = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' '));
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !plain || name.trim() != name {
        return Err(Error::malformed(what, format!("1 to {NAME_BYTES_MAX} letters, digits, - _ . and blanks inside")));
    }
    Ok(())
}

/// User part of an address-of-record, also a digest username: characters that need no escape (RFC 3261 §25.1
/// `unreserved`). A leading `+` belongs to numbers.
pub(crate) fn user_part(what: &'static str, name: &str) -> Result<()> {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.!~*'".contains(&b));
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !plain {
        return Err(Error::malformed(what, format!("1 to {NAME_BYTES_MAX} of A-Z a-z 0-9 - _ . ! ~ * '")));
    }
    Ok(())
}

/// A SIP domain in lower case: a host name or an IPv4 address.
pub(crate) fn domain(name: &str) -> Result<String> {
    let lower = name.to_ascii_lowercase();
    let plain = lower.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b));
    let labels = lower.split('.').all(|l| !l.is_empty() && l.len() <= 63 && !l.starts_with('-') && !l.ends_with('-'));
    if !plain || !labels || lower.len() > DOMAIN_BYTES_MAX {
        return Err(Error::malformed("domain", format!("`{name}` is not a host name")));
    }
    Ok(lower)
}

/// A host name or address that we connect to.
pub(crate) fn host(name: &str) -> Result<()> {
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>().is_ok();
    if address { Ok(()) } else { domain(name).map(drop).map_err(|_| Error::malformed("host", "not a host or address")) }
}

/// An e-mail address in lower case, as far as it can be judged without sending to it.
pub(crate) fn email(address: &str) -> Result<String> {
    let lower = address.trim().to_lowercase();
    let good = lower.split_once('@').is_some_and(|(user, host)| {
        !user.is_empty() && domain(host).is_ok() && !lower.chars().any(|c| c.is_whitespace() || c.is_control())
    });
    if good && lower.len() <= 254 { Ok(lower) } else { Err(Error::malformed("email", "not an e-mail address")) }
}

/// A text for people, without control characters.
pub(crate) fn text(what: &'static str, text: &str) -> Result<()> {
    if text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(Error::malformed(what, format!("at most {TEXT_BYTES_MAX} octets without control characters")));
    }
    Ok(())
}

/// A prefix of numbers without `+`; empty for all of them. A leading `+` is dropped.
pub(crate) fn prefix(prefix: &str) -> Result<String> {
    let digits = prefix.strip_prefix('+').unwrap_or(prefix);
    if digits.len() > 15 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Error::malformed("prefix", "at most 15 digits"));
    }
    Ok(digits.to_owned())
}

/// An IANA time zone.
pub(crate) fn time_zone(name: &str) -> Result<()> {
    if is_time_zone(name) { Ok(()) } else { Err(Error::malformed("time_zone", format!("`{name}` is not known"))) }
}

/// A password that a machine types: 24 characters with 120 random bits.
pub(crate) fn minted_password() -> String {
    Random::from_entropy().token(24)
}

/// Refuses a change to what a manifest owns.
pub(crate) fn unmanaged(managed_by: Option<&str>) -> Result<()> {
    managed_by.map_or(Ok(()), |file| Err(Error::Managed(file.to_owned())))
}

/// Which page of a list, newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Rows with ids below this one; `None`: from the newest.
    pub before: Option<i64>,
    /// At most so many rows, 1 to 1,000.
    pub limit: u32,
}

impl Default for Page {
    fn default() -> Self {
        Self { before: None, limit: 50 }
    }
}

/// Where a page in order of time begins: after the row with this time and id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The row's time.
    pub at: Timestamp,
    /// The row's id.
    pub id: i64,
}

impl Place {
    pub(crate) const fn key(self) -> (i64, i64) {
        (self.at.as_millis(), self.id)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_that_would_break_a_uri_or_a_realm_are_refused() {
        assert!(user_part("name", "alice.o'hara").is_ok() && user_part("name", "1001").is_ok());
        for bad in ["", "a b", "a@b", "+1555", "a\"b", "ä", "a%40b"] {
            assert!(user_part("name", bad).is_err(), "{bad}");
        }
        assert_eq!(domain("Example.COM").unwrap(), "example.com");
        assert!(domain("192.0.2.1").is_ok() && domain("localhost").is_ok());
        for bad in ["", "a..b", "-a.b", "a b", "a\"b", "a:5060", ".", "x."] {
            assert!(domain(bad).is_err(), "{bad}");
        }
        assert_eq!(prefix("+44").unwrap(), "44");
        assert!(prefix("").is_ok() && prefix("4x").is_err() && prefix("1234567890123456").is_err());
        assert_eq!(email(" Bob@Example.com ").unwrap(), "bob@example.com");
        assert!(email("bob").is_err() && email("b ob@example.com").is_err());
        assert!(host("2001:db8::1").is_ok() && host("[2001:db8::1]").is_ok() && host("a_b c").is_err());
    }
}
