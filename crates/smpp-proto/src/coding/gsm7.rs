//! GSM 7-bit default alphabet and its extension table (3GPP TS 23.038 §6.2.1), and septet packing (§6.1.2.1).
//!
//! The tables are `base::gsm`. Over SMPP one septet goes in one octet; a few carriers want them packed. National
//! shift tables are not here.

use base::gsm::{self, ESCAPE, Septets};

use crate::error::SmppError;

/// Appends `text`, one septet per octet.
pub(super) fn encode(text: &str, out: &mut Vec<u8>) -> Result<(), SmppError> {
    for character in text.chars() {
        match gsm::septets(character).ok_or(SmppError::UnsupportedCharacter(character))? {
            Septets::Basic(septet) => out.push(septet),
            Septets::Extended(septet) => out.extend_from_slice(&[ESCAPE, septet]),
        }
    }
    Ok(())
}

/// The text of unpacked septets.
///
/// An escape before a septet that the extension table lacks is dropped (§6.2.1 note 1), a last escape shows as a
/// space. An octet over 127 is no septet; it is read as Latin-1, which is what such senders mean.
pub fn decode(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len());
    let mut rest = octets.iter().copied();
    while let Some(octet) = rest.next() {
        text.push(match octet {
            ESCAPE => match rest.next() {
                None | Some(ESCAPE) => ' ',
                Some(next) if next < 0x80 => gsm::extended_character(next),
                Some(next) => char::from(next),
            },
            0x80.. => char::from(octet),
            septet => gsm::basic_character(septet),
        });
    }
    text
}

/// Packs septets into octets, after `fill_bits` (0..=6) that end a header on a septet boundary.
pub fn pack(septets: &[u8], fill_bits: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity((septets.len() * 7).div_ceil(8) + 1);
    let (mut held, mut bits) = (0u32, u32::from(fill_bits.min(6)));
    for septet in septets {
        held |= u32::from(septet & 0x7f) << bits;
        bits += 7;
        while bits >= 8 {
            out.push(held as u8);
            held >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        out.push(held as u8);
    }
    out
}

/// Unpacks at most `count` septets that begin after `fill_bits` (0..=6).
pub fn unpack(octets: &[u8], fill_bits: u8, count: usize) -> Vec<u8> {
    let skipped = usize::from(fill_bits.min(6));
    let available = (octets.len() * 8).saturating_sub(skipped) / 7;
    (0..count.min(available))
        .map(|n| {
            let bit = skipped + n * 7;
            let low = u16::from(octets[bit / 8]);
            let high = octets.get(bit / 8 + 1).copied().map_or(0, u16::from);
            ((high << 8 | low) >> (bit % 8)) as u8 & 0x7f
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ts23038_6_2_1_every_character_of_both_tables_passes_both_ways() {
        let all: String = (0..128u8).filter(|septet| *septet != ESCAPE).map(gsm::basic_character).collect();
        let all = all + "\u{c}^{}\\[~]|€";
        let mut octets = vec![];
        encode(&all, &mut octets).unwrap();
        assert_eq!(octets.len(), 127 + 20);
        assert_eq!(decode(&octets), all);
        assert_eq!(encode("ç", &mut octets), Err(SmppError::UnsupportedCharacter('ç')));
    }

    #[test]
    fn ts23038_6_2_1_an_unknown_extension_shows_the_default_character() {
        assert_eq!(decode(&[ESCAPE, b'A', ESCAPE, ESCAPE, b'B', ESCAPE]), "A B ");
    }

    #[test]
    fn ts23038_6_1_2_1_packing_gives_the_known_octets() {
        let hellohello = [0xe8, 0x32, 0x9b, 0xfd, 0x46, 0x97, 0xd9, 0xec, 0x37];
        assert_eq!(pack(b"hellohello", 0), hellohello);
        assert_eq!(unpack(&hellohello, 0, 10), b"hellohello");
        for fill in 0..7 {
            let septets: Vec<u8> = (0..40).map(|n| n * 3 % 128).collect();
            assert_eq!(unpack(&pack(&septets, fill), fill, 40), septets);
        }
    }
}
