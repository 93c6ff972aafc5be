//! `data_coding` and the alphabets behind it: text to octets and back (SMPP 3.4 §5.2.19, 3GPP TS 23.038).
//!
//! Does not choose an alphabet or cut texts; that is the sender's business. Decoding never fails and never guesses:
//! what cannot be a character becomes U+FFFD.

pub mod gsm7;
pub mod latin1;
pub mod ucs2;

use serde::{Deserialize, Serialize};

use crate::error::SmppError;

/// How characters become octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alphabet {
    /// GSM 7-bit default alphabet with its extension table, one septet per octet.
    Gsm7,
    /// ISO 646 / ASCII.
    Ascii,
    /// ISO 8859-1.
    Latin1,
    /// UTF-16, big endian.
    Ucs2,
    /// Not text.
    Octets,
}

/// A `data_coding` octet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DataCoding(pub u8);

impl DataCoding {
    /// What the SMSC takes as its own alphabet.
    pub const DEFAULT: Self = Self(0x00);
    /// ISO 8859-1.
    pub const LATIN1: Self = Self(0x03);
    /// 8-bit data.
    pub const OCTETS: Self = Self(0x04);
    /// UTF-16, big endian.
    pub const UCS2: Self = Self(0x08);

    /// The alphabet; `default` is what this SMSC means by 0, which the specification leaves to it.
    ///
    /// JIS, Cyrillic, Hebrew, pictograms and KS C 5601 are not decoded and count as [`Alphabet::Octets`].
    pub const fn alphabet(self, default: Alphabet) -> Alphabet {
        match self.0 {
            0x00 => default,
            0x01 => Alphabet::Ascii,
            0x03 => Alphabet::Latin1,
            0x08 => Alphabet::Ucs2,
            0x02 | 0x04..=0x07 | 0x09..=0x0f => Alphabet::Octets,
            // From here on the octet is a GSM data coding scheme (TS 23.038 §4).
            0x10..=0x3f => match self.0 >> 2 & 3 {
                0 => Alphabet::Gsm7,
                2 => Alphabet::Ucs2,
                _ => Alphabet::Octets,
            },
            0xc0..=0xdf => Alphabet::Gsm7,
            0xe0..=0xef => Alphabet::Ucs2,
            0xf0..=0xff if self.0 & 0x04 == 0 => Alphabet::Gsm7,
            _ => Alphabet::Octets,
        }
    }
}

impl Alphabet {
    /// The octets of `text`, appended to `out`. Text for [`Self::Octets`] is taken as UTF-8.
    ///
    /// # Errors
    /// [`SmppError::UnsupportedCharacter`] names the first character without a place here; `out` is then as before.
    pub fn encode(self, text: &str, out: &mut Vec<u8>) -> Result<(), SmppError> {
        let start = out.len();
        let result = match self {
            Self::Gsm7 => gsm7::encode(text, out),
            Self::Ascii => latin1::encode(text, '\u{7f}', out),
            Self::Latin1 => latin1::encode(text, '\u{ff}', out),
            Self::Ucs2 => {
                ucs2::encode(text, out);
                Ok(())
            }
            Self::Octets => {
                out.extend_from_slice(text.as_bytes());
                Ok(())
            }
        };
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    /// The text of `octets`; none for [`Self::Octets`].
    pub fn decode(self, octets: &[u8]) -> Option<String> {
        match self {
            Self::Gsm7 => Some(gsm7::decode(octets)),
            // Carriers that say ASCII send Latin-1 as well.
            Self::Ascii | Self::Latin1 => Some(latin1::decode(octets)),
            Self::Ucs2 => Some(ucs2::decode(octets)),
            Self::Octets => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ts23038_4_a_flash_or_waiting_indication_keeps_its_alphabet() {
        for (octet, alphabet) in [
            (0x00, Alphabet::Latin1),
            (0x01, Alphabet::Ascii),
            (0x03, Alphabet::Latin1),
            (0x04, Alphabet::Octets),
            (0x08, Alphabet::Ucs2),
            (0x10, Alphabet::Gsm7),
            (0x18, Alphabet::Ucs2),
            (0xc8, Alphabet::Gsm7),
            (0xe8, Alphabet::Ucs2),
            (0xf0, Alphabet::Gsm7),
            (0xf5, Alphabet::Octets),
        ] {
            assert_eq!(DataCoding(octet).alphabet(Alphabet::Latin1), alphabet, "{octet:#x}");
        }
    }

    #[test]
    fn a_refused_text_leaves_nothing_behind() {
        let mut out = b"head".to_vec();
        assert_eq!(Alphabet::Gsm7.encode("ok \u{4e2d}", &mut out), Err(SmppError::UnsupportedCharacter('\u{4e2d}')));
        assert_eq!(Alphabet::Ascii.encode("é", &mut out), Err(SmppError::UnsupportedCharacter('é')));
        assert_eq!(out, b"head");
    }
}
