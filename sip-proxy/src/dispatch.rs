//! Which shard owns a message: the mark in a Call-ID that we minted, else a hash of the Call-ID. Both legs of a call
//! and all their messages stay with one owner, and nothing is looked up.

/// Call-IDs that we mint begin so, then the shard in hexadecimal, then a hyphen.
const MARK: &str = "td";

/// A Call-ID for a leg that `shard` starts; `token` makes it unique.
pub(crate) fn call_id(shard: usize, token: &str) -> String {
    format!("{MARK}{shard:x}-{token}")
}

/// The owner among `shards` of the message in `bytes`. One without a Call-ID goes to the first shard, which refuses it.
pub(crate) fn shard_of_message(bytes: &[u8], shards: usize) -> usize {
    find_call_id(bytes).map_or(0, |id| shard_of_call_id(id, shards))
}

fn shard_of_call_id(id: &[u8], shards: usize) -> usize {
    let marked = id.strip_prefix(MARK.as_bytes()).and_then(|rest| {
        let end = rest.iter().position(|b| *b == b'-')?;
        usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?, 16).ok()
    });
    match marked {
        Some(shard) if shard < shards => shard,
        // FNV-1a: a few bytes, no secret needed. A stranger who aims at one shard meets its bounded queue.
        _ => {
            let hash =
                id.iter().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3));
            usize::try_from(hash % shards as u64).unwrap_or(0)
        }
    }
}

/// The value of the Call-ID header, `i` in compact form.
fn find_call_id(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes;
    loop {
        let end = rest.iter().position(|b| *b == b'\n')?;
        rest = &rest[end + 1..];
        if rest.first().is_none_or(|b| matches!(b, b'\r' | b'\n')) {
            return None;
        }
        let name_end = match rest {
            [b'i' | b'I', b':' | b' ' | b'\t', ..] => 1,
            _ if rest.len() > 7 && rest[..7].eq_ignore_ascii_case(b"call-id") => 7,
            _ => continue,
        };
        let value = rest[name_end..].trim_ascii_start();
        if let Some(value) = value.strip_prefix(b":") {
            let line_end = value.iter().position(|b| *b == b'\n').unwrap_or(value.len());
            return Some(value[..line_end].trim_ascii());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_of_a_call_id_lead_to_one_shard() {
        let forms = [
            "INVITE sip:a SIP/2.0\r\nVia: x\r\nCall-ID: abc@host\r\n\r\n",
            "SIP/2.0 200 OK\r\ni: abc@host\r\nFrom: y\r\n\r\n",
            "BYE sip:a SIP/2.0\r\ncall-id  :  abc@host  \r\n\r\ni: other",
        ];
        let shards: Vec<_> = forms.iter().map(|f| shard_of_message(f.as_bytes(), 16)).collect();
        assert!(shards.windows(2).all(|w| w[0] == w[1]), "{shards:?}");
    }

    #[test]
    fn a_leg_of_ours_comes_back_to_its_shard_and_a_forged_mark_does_no_harm() {
        for shard in 0..16 {
            let text = format!("BYE sip:a SIP/2.0\r\nCall-ID: {}\r\n\r\n", call_id(shard, "xyz"));
            assert_eq!(shard_of_message(text.as_bytes(), 16), shard);
        }
        assert!(shard_of_message(b"BYE x\r\nCall-ID: tdffff-x\r\n\r\n", 4) < 4);
        assert_eq!(shard_of_message(b"no call id at all", 4), 0);
        assert_eq!(shard_of_message(b"BYE x\r\nVia: y\r\n\r\nCall-ID: tail", 4), 0);
    }
}
