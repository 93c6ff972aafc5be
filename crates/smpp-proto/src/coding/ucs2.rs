//! UTF-16, big endian. SMPP says UCS-2, handsets take surrogate pairs since emoji exist.

/// Appends `text`; characters beyond the basic plane take two units that belong together.
pub fn encode(text: &str, out: &mut Vec<u8>) {
    for unit in text.encode_utf16() {
        out.extend_from_slice(&unit.to_be_bytes());
    }
}

/// The text of `octets`. A byte order mark is obeyed and dropped; a lone surrogate or a last odd octet is U+FFFD.
pub fn decode(octets: &[u8]) -> String {
    let (octets, little) = match octets {
        [0xfe, 0xff, rest @ ..] => (rest, false),
        [0xff, 0xfe, rest @ ..] => (rest, true),
        _ => (octets, false),
    };
    let pairs = octets.chunks_exact(2);
    let odd = !pairs.remainder().is_empty();
    let units = pairs.map(|pair| {
        let pair = [pair[0], pair[1]];
        if little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) }
    });
    let mut text: String = char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    if odd {
        text.push(char::REPLACEMENT_CHARACTER);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surrogate_pairs_pass_both_ways_and_broken_ones_show() {
        let mut octets = vec![];
        encode("a😀", &mut octets);
        assert_eq!(octets, [0, 0x61, 0xd8, 0x3d, 0xde, 0x00]);
        assert_eq!(decode(&octets), "a😀");
        assert_eq!(decode(&octets[..4]), "a\u{fffd}");
        assert_eq!(decode(&octets[..5]), "a\u{fffd}\u{fffd}");
        assert_eq!(decode(&[0xff, 0xfe, 0x61, 0]), "a");
        assert_eq!(decode(&[0xfe, 0xff, 0, 0x61]), "a");
    }
}
