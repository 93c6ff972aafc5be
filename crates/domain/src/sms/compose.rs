//! Text to segments: which alphabet, how many segments, where to cut (3GPP TS 23.038, 23.040). Octets are made by
//! `smpp-proto`, from the segments' texts.

use base::{gsm, limits};
use serde::{Deserialize, Serialize};

/// Alphabet of a text on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// GSM 7-bit default alphabet with its extension table.
    Gsm7,
    /// UCS-2, in practice UTF-16BE.
    Ucs2,
}

impl Encoding {
    /// The stored and printed name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gsm7 => "gsm7",
            Self::Ucs2 => "ucs2",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Gsm7, Self::Ucs2].into_iter().find(|e| e.as_str() == text)
    }

    /// Units (septets or UTF-16 code units) in a text of one segment, and in each of several (the 6-octet user data
    /// header takes 7 septets or 3 code units).
    const fn units_max(self) -> (usize, usize) {
        match self {
            Self::Gsm7 => (160, 153),
            Self::Ucs2 => (70, 67),
        }
    }

    /// Units that one character takes.
    fn units(self, character: char) -> usize {
        match self {
            Self::Gsm7 => match gsm::septets(character) {
                Some(gsm::Septets::Basic(_)) | None => 1,
                Some(gsm::Septets::Extended(_)) => 2,
            },
            Self::Ucs2 => character.len_utf16(),
        }
    }
}

/// A text cut into segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composed {
    /// Alphabet.
    pub encoding: Encoding,
    /// At least one, at most [`limits::SMS_SEGMENTS_MAX`].
    pub segments: Vec<String>,
}

/// Why a text cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    /// Nothing to send.
    #[error("the text is empty")]
    Empty,
    /// More segments than allowed.
    #[error("the text needs {needed} segments, at most {max} are allowed")]
    TooLong {
        /// Needed.
        needed: usize,
        /// Allowed.
        max: usize,
    },
}

/// Chooses the alphabet and cuts. An escape pair or a surrogate pair is never cut.
pub fn compose(body: &str) -> Result<Composed, ComposeError> {
    if body.is_empty() {
        return Err(ComposeError::Empty);
    }
    let encoding = if body.chars().all(|c| gsm::septets(c).is_some()) { Encoding::Gsm7 } else { Encoding::Ucs2 };
    let (single_max, part_max) = encoding.units_max();
    let total: usize = body.chars().map(|c| encoding.units(c)).sum();
    let segments = if total <= single_max { vec![body.to_owned()] } else { cut(body, encoding, part_max) };
    match segments.len() {
        needed if needed > limits::SMS_SEGMENTS_MAX => {
            Err(ComposeError::TooLong { needed, max: limits::SMS_SEGMENTS_MAX })
        }
        _ => Ok(Composed { encoding, segments }),
    }
}

fn cut(body: &str, encoding: Encoding, part_max: usize) -> Vec<String> {
    let mut segments = vec![String::new()];
    let mut used = 0;
    for character in body.chars() {
        let units = encoding.units(character);
        if used + units > part_max {
            segments.push(String::new());
            used = 0;
        }
        used += units;
        if let Some(last) = segments.last_mut() {
            last.push(character);
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(body: &str) -> (Encoding, usize) {
        let composed = compose(body).expect("a text that can be sent");
        (composed.encoding, composed.segments.len())
    }

    #[test]
    fn m4_segments_are_counted_as_carriers_count_them() {
        for (characters, segments) in [(1, 1), (160, 1), (161, 2), (306, 2), (307, 3)] {
            assert_eq!(count(&"a".repeat(characters)), (Encoding::Gsm7, segments), "{characters} GSM-7 characters");
        }
        for (characters, segments) in [(70, 1), (71, 2), (134, 2), (135, 3)] {
            assert_eq!(count(&"я".repeat(characters)), (Encoding::Ucs2, segments), "{characters} UCS-2 characters");
        }
    }

    #[test]
    fn an_extension_character_counts_twice_and_is_never_cut() {
        assert_eq!(count(&"€".repeat(80)), (Encoding::Gsm7, 1));
        assert_eq!(count(&"€".repeat(81)), (Encoding::Gsm7, 2));
        let composed = compose(&format!("{}€b", "a".repeat(152 + 20))).expect("sendable");
        assert_eq!(composed.segments[0].chars().count(), 153);
        let composed = compose(&format!("{}€{}", "a".repeat(152), "b".repeat(20))).expect("sendable");
        assert_eq!(composed.segments[0].chars().count(), 152);
        assert!(composed.segments[1].starts_with('€'));
    }

    #[test]
    fn a_surrogate_pair_is_never_cut() {
        let composed = compose(&"😀".repeat(40)).expect("sendable");
        assert_eq!(composed.segments.iter().map(|s| s.chars().count()).collect::<Vec<_>>(), [33, 7]);
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        assert_eq!(compose(""), Err(ComposeError::Empty));
        assert_eq!(compose(&"a".repeat(1531)), Err(ComposeError::TooLong { needed: 11, max: 10 }));
    }
}
