//! The GSM 7-bit default alphabet and its extension table (3GPP TS 23.038 §6.2.1), as vocabulary: pricing counts with
//! it, the SMPP codec writes with it. National shift tables are not here.

/// How a character is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Septets {
    /// One septet.
    Basic(u8),
    /// The escape septet 0x1B and this one.
    Extended(u8),
}

/// The escape to the extension table.
pub const ESCAPE: u8 = 0x1b;

/// The default alphabet by septet; 0x1B is the escape, shown as a blank (TS 23.038 note 1).
const BASIC: [char; 128] = [
    '@', '£', '$', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', '\n', 'Ø', 'ø', '\r', 'Å', 'å', 'Δ', '_', 'Φ', 'Γ', 'Λ', 'Ω',
    'Π', 'Ψ', 'Σ', 'Θ', 'Ξ', '\u{a0}', 'Æ', 'æ', 'ß', 'É', ' ', '!', '"', '#', '¤', '%', '&', '\'', '(', ')', '*', '+',
    ',', '-', '.', '/', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<', '=', '>', '?', '¡', 'A', 'B',
    'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y',
    'Z', 'Ä', 'Ö', 'Ñ', 'Ü', '§', '¿', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o', 'p',
    'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 'ä', 'ö', 'ñ', 'ü', 'à',
];

/// The extension table.
const EXTENSION: [(u8, char); 10] = [
    (0x0a, '\u{c}'),
    (0x14, '^'),
    (0x28, '{'),
    (0x29, '}'),
    (0x2f, '\\'),
    (0x3c, '['),
    (0x3d, '~'),
    (0x3e, ']'),
    (0x40, '|'),
    (0x65, '€'),
];

/// How `character` is written, or `None` when the alphabet lacks it.
pub fn septets(character: char) -> Option<Septets> {
    if character.is_ascii_alphanumeric() || character == ' ' {
        return Some(Septets::Basic(character as u8));
    }
    let basic = BASIC.iter().position(|c| *c == character && character != '\u{a0}');
    if let Some(index) = basic {
        return u8::try_from(index).ok().map(Septets::Basic);
    }
    EXTENSION.iter().find(|(_, c)| *c == character).map(|(code, _)| Septets::Extended(*code))
}

/// The character of a septet of the default alphabet; only the lower seven bits count.
pub fn basic_character(septet: u8) -> char {
    BASIC[usize::from(septet & 0x7f)]
}

/// The character that follows an escape. One that the table lacks reads as in the default alphabet (TS 23.038 §6.2.1.1).
pub fn extended_character(septet: u8) -> char {
    EXTENSION.iter().find(|(code, _)| *code == septet).map_or_else(|| basic_character(septet), |(_, c)| *c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_septet_reads_back() {
        for code in (0..128u8).filter(|c| *c != ESCAPE) {
            assert_eq!(septets(basic_character(code)), Some(Septets::Basic(code)), "{code:#x}");
        }
        for (code, character) in EXTENSION {
            assert_eq!(septets(character), Some(Septets::Extended(code)));
            assert_eq!(extended_character(code), character);
        }
        assert_eq!(septets('я'), None);
    }
}
