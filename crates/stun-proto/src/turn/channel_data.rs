//! ChannelData framing (RFC 8656 §12.4): four bytes before the payload instead of a whole indication.

/// Bytes of the header: channel number and length.
pub const HEADER_BYTES: usize = 4;
/// The channels that a client may bind. RFC 8656 §12 ends them at 0x4fff, RFC 5766 §11 at 0x7fff; its clients are still
/// the common ones (coturn's tools pick at random), and nothing else on our listeners begins with these bytes.
pub const CHANNELS: std::ops::RangeInclusive<u16> = 0x4000..=0x7fff;

/// Whether a datagram from a client is ChannelData, by its first byte: 64-127, of which RFC 7983 keeps 64-79.
pub fn is_channel_data(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| (64..128).contains(first))
}

/// Channel and payload of one datagram; bytes behind the payload are padding. `None` when the payload is cut.
pub fn parse(datagram: &[u8]) -> Option<(u16, &[u8])> {
    let (head, rest) = datagram.split_at_checked(HEADER_BYTES)?;
    let number = u16::from_be_bytes([head[0], head[1]]);
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    CHANNELS.contains(&number).then(|| rest.get(..length).map(|data| (number, data))).flatten()
}

/// The header for `length` bytes of payload.
pub fn header(number: u16, length: u16) -> [u8; HEADER_BYTES] {
    let (n, l) = (number.to_be_bytes(), length.to_be_bytes());
    [n[0], n[1], l[0], l[1]]
}
