//! RTCP compound packets (RFC 3550 §6): a walk over what came, typed reads of what we use, and writers for sender report,
//! receiver report, SDES CNAME and BYE. Feedback messages (RFC 4585) are walked over and passed on, not understood.

use crate::error::{RtpError, malformed};

/// Packet types (RFC 3550 §12.1, RFC 4585 §6.1, RFC 3611 §2).
pub mod packet_type {
    /// Sender report.
    pub const SR: u8 = 200;
    /// Receiver report.
    pub const RR: u8 = 201;
    /// Source description.
    pub const SDES: u8 = 202;
    /// Goodbye.
    pub const BYE: u8 = 203;
    /// Application-defined.
    pub const APP: u8 = 204;
    /// Transport-layer feedback.
    pub const RTPFB: u8 = 205;
    /// Payload-specific feedback.
    pub const PSFB: u8 = 206;
    /// Extended report.
    pub const XR: u8 = 207;
}

/// One packet within a compound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtcpPacket<'p> {
    /// Its type, see [`packet_type`].
    pub packet_type: u8,
    /// Report, chunk or source count, or feedback message type: 0-31.
    pub count: u8,
    /// What follows the four-byte head, padding removed.
    pub body: &'p [u8],
}

/// Walks over the packets of a compound; ends after the first malformed one, which it reports.
pub fn walk(compound: &[u8]) -> impl Iterator<Item = Result<RtcpPacket<'_>, RtpError>> {
    let mut offset = 0;
    let mut failed = false;
    std::iter::from_fn(move || {
        if failed || offset == compound.len() {
            return None;
        }
        let step = read_packet(&compound[offset..]);
        match step {
            Ok((packet, length)) => {
                offset += length;
                Some(Ok(packet))
            }
            Err(rule) => {
                failed = true;
                Some(Err(malformed(rule, offset)))
            }
        }
    })
}

fn read_packet(bytes: &[u8]) -> Result<(RtcpPacket<'_>, usize), &'static str> {
    let Some((&[first, packet_type, high, low], _)) = bytes.split_first_chunk::<4>() else { return Err("RTCP header") };
    if first >> 6 != 2 {
        return Err("RTCP version 2");
    }
    let length = 4 + usize::from(u16::from_be_bytes([high, low])) * 4;
    let mut body = bytes.get(4..length).ok_or("RTCP length")?;
    if first & 0x20 != 0 {
        let padding = usize::from(body.last().copied().unwrap_or(0));
        let kept = body.len().checked_sub(padding).filter(|_| padding != 0).ok_or("RTCP padding")?;
        body = &body[..kept];
    }
    Ok((RtcpPacket { packet_type, count: first & 0x1f, body }, length))
}

/// Whether a compound is one that may start a valid RTCP datagram (RFC 3550 A.2, relaxed by RFC 5506): every packet whole.
pub fn check(compound: &[u8]) -> Result<(), RtpError> {
    if compound.is_empty() {
        return Err(malformed("RTCP header", 0));
    }
    walk(compound).try_for_each(|packet| packet.map(|_| ()))
}

/// What a sender tells of its stream (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SenderInfo {
    /// Who sends.
    pub ssrc: u32,
    /// Wall time as 32.32 seconds since 1900.
    pub ntp_time: u64,
    /// The same time on the RTP clock.
    pub rtp_time: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload bytes sent.
    pub bytes: u32,
}

/// What a receiver tells of a stream (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportBlock {
    /// Of which source.
    pub ssrc: u32,
    /// Lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Lost in all, 24 bits signed: doubled packets count against it.
    pub packets_lost: i32,
    /// Highest sequence number received, extended.
    pub highest_sequence: u32,
    /// Interarrival jitter, timestamp units.
    pub jitter: u32,
    /// Middle 32 bits of the NTP time of the last sender report; 0 when none came.
    pub last_sr: u32,
    /// Since then, in 1/65536 s.
    pub delay_since_last_sr: u32,
}

const BLOCK_BYTES: usize = 24;

impl<'p> RtcpPacket<'p> {
    /// The source that speaks: the first word of every packet but SDES and an empty BYE.
    pub fn sender_ssrc(&self) -> Option<u32> {
        self.body.first_chunk::<4>().map(|b| u32::from_be_bytes(*b))
    }

    /// The sender's part of a sender report.
    pub fn sender_info(&self) -> Option<SenderInfo> {
        let bytes = self.body.first_chunk::<24>().filter(|_| self.packet_type == packet_type::SR)?;
        Some(SenderInfo {
            ssrc: word(bytes, 0),
            ntp_time: u64::from(word(bytes, 4)) << 32 | u64::from(word(bytes, 8)),
            rtp_time: word(bytes, 12),
            packets: word(bytes, 16),
            bytes: word(bytes, 20),
        })
    }

    /// The report blocks of a sender or receiver report; none of other packets.
    pub fn report_blocks(&self) -> impl Iterator<Item = ReportBlock> + use<'p> {
        let start = match self.packet_type {
            packet_type::SR => 24,
            packet_type::RR => 4,
            _ => usize::MAX,
        };
        let blocks = self.body.get(start..).unwrap_or_default();
        blocks.as_chunks::<BLOCK_BYTES>().0.iter().take(usize::from(self.count)).map(|b| ReportBlock {
            ssrc: word(b, 0),
            fraction_lost: b[4],
            packets_lost: (word(b, 4) << 8) as i32 >> 8,
            highest_sequence: word(b, 8),
            jitter: word(b, 12),
            last_sr: word(b, 16),
            delay_since_last_sr: word(b, 20),
        })
    }

    /// The first CNAME of a source description (RFC 3550 §6.5.1), with its source.
    pub fn cname(&self) -> Option<(u32, &'p [u8])> {
        if self.packet_type != packet_type::SDES {
            return None;
        }
        let (ssrc, mut items) = self.body.split_first_chunk::<4>()?;
        while let [kind, length, rest @ ..] = items {
            let (text, after) = rest.split_at_checked(usize::from(*length))?;
            match kind {
                0 => return None,
                1 => return Some((u32::from_be_bytes(*ssrc), text)),
                _ => items = after,
            }
        }
        None
    }

    /// The sources that leave with a BYE.
    pub fn leaving(&self) -> impl Iterator<Item = u32> + use<'p> {
        let count = if self.packet_type == packet_type::BYE { usize::from(self.count) } else { 0 };
        self.body.as_chunks::<4>().0.iter().take(count).map(|b| u32::from_be_bytes(*b))
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_be_bytes(*b))
}

/// Appends a sender report; at most 31 blocks are written.
pub fn write_sender_report(out: &mut Vec<u8>, info: &SenderInfo, blocks: &[ReportBlock]) {
    write_head(out, packet_type::SR, blocks.len().min(31), 6 + blocks.len().min(31) * 6);
    for value in
        [info.ssrc, (info.ntp_time >> 32) as u32, info.ntp_time as u32, info.rtp_time, info.packets, info.bytes]
    {
        out.extend_from_slice(&value.to_be_bytes());
    }
    write_blocks(out, blocks);
}

/// Appends a receiver report; at most 31 blocks are written.
pub fn write_receiver_report(out: &mut Vec<u8>, ssrc: u32, blocks: &[ReportBlock]) {
    write_head(out, packet_type::RR, blocks.len().min(31), 1 + blocks.len().min(31) * 6);
    out.extend_from_slice(&ssrc.to_be_bytes());
    write_blocks(out, blocks);
}

/// Appends a source description with a CNAME, of which the first 255 bytes are written.
pub fn write_cname(out: &mut Vec<u8>, ssrc: u32, cname: &[u8]) {
    let cname = &cname[..cname.len().min(255)];
    // One to four null bytes end the chunk and fill the word (RFC 3550 §6.5).
    let words = 1 + (2 + cname.len()) / 4 + 1;
    write_head(out, packet_type::SDES, 1, words);
    let end = out.len() + words * 4;
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(&[1, cname.len() as u8]);
    out.extend_from_slice(cname);
    out.resize(end, 0);
}

/// Appends a BYE for one source.
pub fn write_bye(out: &mut Vec<u8>, ssrc: u32) {
    write_head(out, packet_type::BYE, 1, 1);
    out.extend_from_slice(&ssrc.to_be_bytes());
}

fn write_head(out: &mut Vec<u8>, packet_type: u8, count: usize, words: usize) {
    let [high, low] = (words as u16).to_be_bytes();
    out.extend_from_slice(&[0x80 | (count as u8 & 0x1f), packet_type, high, low]);
}

fn write_blocks(out: &mut Vec<u8>, blocks: &[ReportBlock]) {
    for block in blocks.iter().take(31) {
        let loss =
            u32::from(block.fraction_lost) << 24 | (block.packets_lost.clamp(-0x80_0000, 0x7f_ffff) as u32 & 0xff_ffff);
        for value in [block.ssrc, loss, block.highest_sequence, block.jitter, block.last_sr, block.delay_since_last_sr]
        {
            out.extend_from_slice(&value.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rfc3550_6_a_written_compound_reads_back() {
        let info = SenderInfo { ssrc: 7, ntp_time: 0x0102_0304_0506_0708, rtp_time: 9, packets: 10, bytes: 11 };
        let block = ReportBlock {
            ssrc: 8,
            fraction_lost: 3,
            packets_lost: -2,
            highest_sequence: 70_000,
            jitter: 5,
            last_sr: 6,
            delay_since_last_sr: 7,
        };
        let mut compound = vec![];
        write_sender_report(&mut compound, &info, &[block]);
        write_receiver_report(&mut compound, 7, &[block, block]);
        write_cname(&mut compound, 7, b"ab");
        write_cname(&mut compound, 7, b"abcd");
        write_bye(&mut compound, 7);
        let packets: Vec<_> = walk(&compound).collect::<Result<_, _>>().unwrap();
        assert_eq!(packets.iter().map(|p| p.packet_type).collect::<Vec<_>>(), [200, 201, 202, 202, 203]);
        assert_eq!(packets[0].sender_info(), Some(info));
        assert_eq!(packets[0].report_blocks().collect::<Vec<_>>(), [block]);
        assert_eq!(packets[1].report_blocks().collect::<Vec<_>>(), [block, block]);
        assert_eq!(packets[2].cname(), Some((7, &b"ab"[..])));
        assert_eq!(packets[3].cname(), Some((7, &b"abcd"[..])));
        assert_eq!(packets[4].leaving().collect::<Vec<_>>(), [7]);
        assert_eq!(check(&compound), Ok(()));
    }

    #[test]
    fn a_compound_that_lies_about_its_length_is_malformed_where_it_lies() {
        let mut compound = vec![];
        write_bye(&mut compound, 7);
        write_bye(&mut compound, 7);
        compound[11] = 9;
        assert_eq!(walk(&compound).last(), Some(Err(malformed("RTCP length", 8))));
        assert!(check(&[]).is_err());
    }
}
