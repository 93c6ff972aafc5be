//! ISO 8859-1, where every octet is the character of the same number.

use crate::error::SmppError;

/// Appends `text`; characters over `last` have no place.
pub(super) fn encode(text: &str, last: char, out: &mut Vec<u8>) -> Result<(), SmppError> {
    for character in text.chars() {
        match u8::try_from(character) {
            Ok(octet) if character <= last => out.push(octet),
            _ => return Err(SmppError::UnsupportedCharacter(character)),
        }
    }
    Ok(())
}

/// The text of `octets`; every octet is one character.
pub fn decode(octets: &[u8]) -> String {
    octets.iter().map(|octet| char::from(*octet)).collect()
}
