//! `a=crypto` (RFC 4568 with the suites of RFC 6188 and RFC 7714): one inline key per line. Lines with what we do not do (other
//! suites, several keys, key derivation rates, unprotected streams) are no errors: an answerer passes over them (§5.1.2).

use std::fmt;

use zeroize::Zeroize;

use crate::base64;

/// Crypto suites, as in the IANA registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, non_camel_case_types)]
pub enum CryptoSuite {
    AES_CM_128_HMAC_SHA1_80,
    AES_CM_128_HMAC_SHA1_32,
    AES_192_CM_HMAC_SHA1_80,
    AES_192_CM_HMAC_SHA1_32,
    AES_256_CM_HMAC_SHA1_80,
    AES_256_CM_HMAC_SHA1_32,
    AEAD_AES_128_GCM,
    AEAD_AES_256_GCM,
}

impl CryptoSuite {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::AES_CM_128_HMAC_SHA1_80,
        Self::AES_CM_128_HMAC_SHA1_32,
        Self::AES_192_CM_HMAC_SHA1_80,
        Self::AES_192_CM_HMAC_SHA1_32,
        Self::AES_256_CM_HMAC_SHA1_80,
        Self::AES_256_CM_HMAC_SHA1_32,
        Self::AEAD_AES_128_GCM,
        Self::AEAD_AES_256_GCM,
    ];

    /// Its registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AES_CM_128_HMAC_SHA1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AES_CM_128_HMAC_SHA1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AES_192_CM_HMAC_SHA1_80 => "AES_192_CM_HMAC_SHA1_80",
            Self::AES_192_CM_HMAC_SHA1_32 => "AES_192_CM_HMAC_SHA1_32",
            Self::AES_256_CM_HMAC_SHA1_80 => "AES_256_CM_HMAC_SHA1_80",
            Self::AES_256_CM_HMAC_SHA1_32 => "AES_256_CM_HMAC_SHA1_32",
            Self::AEAD_AES_128_GCM => "AEAD_AES_128_GCM",
            Self::AEAD_AES_256_GCM => "AEAD_AES_256_GCM",
        }
    }

    /// Bytes of master key and salt together.
    pub const fn key_and_salt_bytes(self) -> usize {
        match self {
            Self::AES_CM_128_HMAC_SHA1_80 | Self::AES_CM_128_HMAC_SHA1_32 => 30,
            Self::AES_192_CM_HMAC_SHA1_80 | Self::AES_192_CM_HMAC_SHA1_32 => 38,
            Self::AES_256_CM_HMAC_SHA1_80 | Self::AES_256_CM_HMAC_SHA1_32 => 46,
            Self::AEAD_AES_128_GCM => 28,
            Self::AEAD_AES_256_GCM => 44,
        }
    }

    /// The suite of that name. The names that drafts used for AES-256 are taken too.
    pub fn parse(name: &str) -> Option<Self> {
        let known = Self::ALL.into_iter().find(|suite| suite.name().eq_ignore_ascii_case(name));
        known.or(match name {
            "AES_CM_192_HMAC_SHA1_80" => Some(Self::AES_192_CM_HMAC_SHA1_80),
            "AES_CM_192_HMAC_SHA1_32" => Some(Self::AES_192_CM_HMAC_SHA1_32),
            "AES_CM_256_HMAC_SHA1_80" => Some(Self::AES_256_CM_HMAC_SHA1_80),
            "AES_CM_256_HMAC_SHA1_32" => Some(Self::AES_256_CM_HMAC_SHA1_32),
            _ => None,
        })
    }
}

/// One line. The key is wiped when dropped and not printed by `{:?}`; `{}` writes the value of the line.
#[derive(Clone, PartialEq, Eq)]
pub struct CryptoAttribute {
    /// Ties an answer to the line of the offer; 1-999,999,999.
    pub tag: u32,
    /// The algorithms.
    pub suite: CryptoSuite,
    /// Master key and salt, as many bytes as the suite takes.
    pub key_and_salt: Vec<u8>,
    /// Most packets under this key, if given.
    pub lifetime_packets: Option<u64>,
    /// The key identifier in each packet, if any.
    pub mki: Option<Mki>,
}

/// A master key identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mki {
    /// Its value.
    pub value: u128,
    /// Its length in packets, 1-16 bytes (RFC 4568 allows 128; longer ones are not taken).
    pub bytes: u8,
}

impl CryptoAttribute {
    /// Reads what follows `a=crypto:`. `None`: malformed, or something that we do not do.
    pub fn parse(value: &str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let tag = words.next().filter(|tag| tag.len() <= 9)?.parse().ok()?;
        let suite = CryptoSuite::parse(words.next()?)?;
        let key = words.next()?.strip_prefix("inline:")?;
        // The window size hint is a hint; every other parameter changes the stream (RFC 4568 §6.3).
        if words.any(|parameter| !parameter.starts_with("WSH=") && parameter != "KDR=0") {
            return None;
        }
        let mut parts = key.split('|');
        let key_and_salt = base64::decode(parts.next()?).filter(|k| k.len() == suite.key_and_salt_bytes())?;
        let mut attribute = Self { tag, suite, key_and_salt, lifetime_packets: None, mki: None };
        for part in parts {
            match part.split_once(':') {
                Some((value, bytes)) if attribute.mki.is_none() => attribute.mki = Some(parse_mki(value, bytes)?),
                None if attribute.lifetime_packets.is_none() && attribute.mki.is_none() => {
                    attribute.lifetime_packets = Some(parse_lifetime(part)?);
                }
                Some(_) | None => return None,
            }
        }
        Some(attribute)
    }
}

fn parse_lifetime(text: &str) -> Option<u64> {
    match text.strip_prefix("2^") {
        Some(exponent) => exponent.parse().ok().filter(|e| *e <= 48).map(|e: u32| 1 << e),
        None => text.parse().ok(),
    }
}

fn parse_mki(value: &str, bytes: &str) -> Option<Mki> {
    let mki = Mki { value: value.parse().ok()?, bytes: bytes.parse().ok()? };
    (1..=16).contains(&mki.bytes).then_some(mki)
}

impl fmt::Display for CryptoAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} inline:{}", self.tag, self.suite.name(), base64::encode(&self.key_and_salt))?;
        match self.lifetime_packets {
            Some(packets) if packets.is_power_of_two() => write!(f, "|2^{}", packets.ilog2())?,
            Some(packets) => write!(f, "|{packets}")?,
            None => {}
        }
        match self.mki {
            Some(mki) => write!(f, "|{}:{}", mki.value, mki.bytes),
            None => Ok(()),
        }
    }
}
impl fmt::Debug for CryptoAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CryptoAttribute({} {} <secret>)", self.tag, self.suite.name())
    }
}
impl Drop for CryptoAttribute {
    fn drop(&mut self) {
        self.key_and_salt.zeroize();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rfc4568_4_the_example_line_reads_and_writes_back() {
        let text = "1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32";
        assert_eq!(CryptoAttribute::parse(text), None, "an MKI of 32 bytes");
        let text = text.replace("1:32", "1:4");
        let line = CryptoAttribute::parse(&text).unwrap();
        assert_eq!(
            (line.tag, line.suite, line.lifetime_packets),
            (1, CryptoSuite::AES_CM_128_HMAC_SHA1_80, Some(1 << 20))
        );
        assert_eq!(line.mki, Some(Mki { value: 1, bytes: 4 }));
        assert_eq!(line.to_string(), text);
        assert_eq!(format!("{line:?}"), "CryptoAttribute(1 AES_CM_128_HMAC_SHA1_80 <secret>)");
    }

    #[test]
    fn every_suite_reads_back_and_knows_its_key_length() {
        for suite in CryptoSuite::ALL {
            let key_and_salt = vec![9; suite.key_and_salt_bytes()];
            let line = CryptoAttribute { tag: 3, suite, key_and_salt, lifetime_packets: None, mki: None };
            assert_eq!(CryptoAttribute::parse(&line.to_string()).as_ref(), Some(&line));
            let short = CryptoAttribute { key_and_salt: vec![9; suite.key_and_salt_bytes() - 1], ..line.clone() };
            assert_eq!(CryptoAttribute::parse(&short.to_string()), None);
        }
    }

    #[test]
    fn rfc4568_6_3_lines_that_change_the_stream_are_passed_over() {
        let key = "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
        let suite = "AES_CM_128_HMAC_SHA1_80";
        assert!(CryptoAttribute::parse(&format!("1 {suite} {key} WSH=128")).is_some());
        for parameter in
            ["KDR=1", "UNENCRYPTED_SRTP", "UNENCRYPTED_SRTCP", "UNAUTHENTICATED_SRTP", "FEC_ORDER=FEC_SRTP"]
        {
            assert_eq!(CryptoAttribute::parse(&format!("1 {suite} {key} {parameter}")), None, "{parameter}");
        }
        for bad in [
            "",
            "x",
            "1",
            "1 F8_128_HMAC_SHA1_80 x",
            "1 AES_CM_128_HMAC_SHA1_80 uri:x",
            "1234567890 AES_CM_128_HMAC_SHA1_80",
        ] {
            assert_eq!(CryptoAttribute::parse(bad), None, "{bad}");
        }
        assert_eq!(CryptoAttribute::parse(&format!("1 {suite} {key}|2^20;{key}|2^20")), None, "two keys");
    }
}
