//! ChannelData framing (RFC 8656 §12.4): four bytes before the payload instead of a whole indication.

/// Bytes of the header: channel number and length.
pub const HEADER_BYTES: usize = 4;
/// The channels that a client may bind (§12); 0x5000 and up are reserved.
pub const CHANNELS: std::ops::RangeInclusive<u16> = 0x4000..=0x4fff;

/// Whether a datagram from a client is ChannelData, by its first byte (RFC 7983: 64-79).
pub fn is_channel_data(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| (64..80).contains(first))
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
