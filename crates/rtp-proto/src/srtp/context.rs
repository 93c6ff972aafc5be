//! The two directions under one master key: which source, which index, seen before or not, then the cipher (RFC 3711 §3.3).

use super::cipher::{Cipher, RTCP_CLEAR};
use super::replay::ReplayWindow;
use super::snapshot::{Snapshot, SourceSnapshot};
use super::{MKI_BYTES_MAX, MasterKey, SOURCES_MAX, Suite};
use crate::error::{RtpError, malformed};
use crate::header::RtpHeader;

/// The last SRTCP index under one key (RFC 3711 §3.3.1: 2^31 packets).
const RTCP_INDEX_MAX: u64 = (1 << 31) - 1;

/// What is kept per source.
#[derive(Debug, Clone, Copy)]
struct Source {
    ssrc: u32,
    rtp: ReplayWindow,
    rtcp: ReplayWindow,
    /// When it was last used, in packets of this context.
    used_at: u64,
}

/// The sources under one key; the last used is looked at first.
#[derive(Debug, Default)]
struct Sources {
    all: Vec<Source>,
    last: usize,
    packets: u64,
}

impl Sources {
    #[inline]
    fn find(&mut self, ssrc: u32) -> Option<usize> {
        self.packets += 1;
        if self.all.get(self.last).is_none_or(|source| source.ssrc != ssrc) {
            self.last = self.all.iter().position(|source| source.ssrc == ssrc)?;
        }
        self.all[self.last].used_at = self.packets;
        Some(self.last)
    }

    /// Adds a source; when there is no room, in the place of the one unused for longest if `replace`.
    fn add(&mut self, ssrc: u32, replace: bool) -> Result<usize, RtpError> {
        let fresh = Source { ssrc, rtp: ReplayWindow::new(), rtcp: ReplayWindow::new(), used_at: self.packets };
        if self.all.len() < SOURCES_MAX {
            self.all.push(fresh);
            self.last = self.all.len() - 1;
            return Ok(self.last);
        }
        let oldest = (0..self.all.len()).min_by_key(|n| self.all[*n].used_at).filter(|_| replace);
        let place = oldest.ok_or(RtpError::TooManySources)?;
        self.all[place] = fresh;
        self.last = place;
        Ok(place)
    }

    fn snapshot(&self) -> Vec<SourceSnapshot> {
        self.all.iter().map(|s| SourceSnapshot { ssrc: s.ssrc, rtp: s.rtp, rtcp: s.rtcp }).collect()
    }

    fn restore(sources: &[SourceSnapshot]) -> Self {
        let all = sources.iter().take(SOURCES_MAX);
        let all = all.map(|s| Source { ssrc: s.ssrc, rtp: s.rtp, rtcp: s.rtcp, used_at: 0 }).collect();
        Self { all, last: 0, packets: 0 }
    }
}

/// Protects what we send.
pub struct Sealer {
    master: MasterKey,
    rtp: Cipher,
    rtcp: Cipher,
    sources: Sources,
}

impl Sealer {
    /// Starts with a master key.
    pub fn new(master: MasterKey) -> Result<Self, RtpError> {
        let (rtp, rtcp) = (Cipher::for_rtp(&master)?, Cipher::for_rtcp(&master)?);
        Ok(Self { master, rtp, rtcp, sources: Sources::default() })
    }

    /// The algorithms in use.
    pub const fn suite(&self) -> Suite {
        self.master.suite()
    }

    /// The key in use.
    pub const fn master_key(&self) -> &MasterKey {
        &self.master
    }

    /// Protects the RTP packet in the first `length` bytes of `buffer`; returns its new length, at most
    /// [`super::OVERHEAD_BYTES_MAX`] more. A packet whose index was used before is refused (the key stream would repeat):
    /// doubled ones, and such as are older than the window.
    #[inline]
    pub fn protect_rtp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, RtpError> {
        let packet = buffer.get(..length).ok_or(RtpError::NoRoom { needed: length, room: buffer.len() })?;
        let header = RtpHeader::parse(packet)?;
        let place = match self.sources.find(header.ssrc) {
            Some(place) => place,
            None => self.sources.add(header.ssrc, false)?,
        };
        let window = &mut self.sources.all[place].rtp;
        let index = window.estimate(header.sequence)?;
        window.check(index)?;
        let sealed = self.rtp.seal_rtp(buffer, header.len(), length, header.ssrc, index)?;
        window.accept(index);
        Ok(sealed)
    }

    /// Protects the RTCP compound in the first `length` bytes of `buffer`; returns its new length.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], length: usize) -> Result<usize, RtpError> {
        let packet = buffer.get(..length).ok_or(RtpError::NoRoom { needed: length, room: buffer.len() })?;
        let ssrc = rtcp_ssrc(packet)?;
        let place = match self.sources.find(ssrc) {
            Some(place) => place,
            None => self.sources.add(ssrc, false)?,
        };
        let window = &mut self.sources.all[place].rtcp;
        let index = window.highest() + 1;
        if index > RTCP_INDEX_MAX {
            return Err(RtpError::KeyUsedUp);
        }
        let sealed = self.rtcp.seal_rtcp(buffer, length, ssrc, index as u32)?;
        window.accept(index);
        Ok(sealed)
    }

    /// Its state, to go on elsewhere.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(&self.master, 0, self.sources.snapshot())
    }

    /// Goes on from a state.
    pub fn restore(snapshot: &Snapshot) -> Result<Self, RtpError> {
        let mut sealer = Self::new(snapshot.master_key()?)?;
        sealer.sources = Sources::restore(&snapshot.sources);
        Ok(sealer)
    }
}

/// Opens what a peer sends.
pub struct Opener {
    master: MasterKey,
    rtp: Cipher,
    rtcp: Cipher,
    sources: Sources,
    mki_bytes: usize,
}

impl Opener {
    /// Starts with a master key. `mki_bytes` is the length of the key identifier in every packet, 0 for none; its
    /// value is not compared, since there is one key.
    pub fn new(master: MasterKey, mki_bytes: usize) -> Result<Self, RtpError> {
        if mki_bytes > MKI_BYTES_MAX {
            return Err(RtpError::Unsupported("MKI of over 16 bytes"));
        }
        let (rtp, rtcp) = (Cipher::for_rtp(&master)?, Cipher::for_rtcp(&master)?);
        Ok(Self { master, rtp, rtcp, sources: Sources::default(), mki_bytes })
    }

    /// The algorithms in use.
    pub const fn suite(&self) -> Suite {
        self.master.suite()
    }

    /// The key in use.
    pub const fn master_key(&self) -> &MasterKey {
        &self.master
    }

    /// Opens an SRTP packet in place; returns the length of the RTP packet. On failure nothing is learnt from the
    /// packet, and its content may be spoilt.
    #[inline]
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, RtpError> {
        let header = RtpHeader::parse(packet)?;
        let place = self.sources.find(header.ssrc);
        let window = place.map_or(ReplayWindow::new(), |place| self.sources.all[place].rtp);
        let index = window.estimate(header.sequence)?;
        window.check(index)?;
        let whole = without_mki(packet, self.mki_bytes, self.rtp.tag_bytes(), self.suite().is_aead())?;
        let length = self.rtp.open_rtp(whole, header.len(), header.ssrc, index)?;
        let place = match place {
            Some(place) => place,
            None => self.sources.add(header.ssrc, true)?,
        };
        self.sources.all[place].rtp.accept(index);
        Ok(length)
    }

    /// Opens an SRTCP packet in place; returns the length of the RTCP compound.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, RtpError> {
        let ssrc = rtcp_ssrc(packet)?;
        let place = self.sources.find(ssrc);
        let window = place.map_or(ReplayWindow::new(), |place| self.sources.all[place].rtcp);
        let whole = without_mki(packet, self.mki_bytes, self.rtcp.tag_bytes(), self.suite().is_aead())?;
        let (encrypted, index) = self.rtcp.rtcp_index(whole)?;
        window.check(u64::from(index))?;
        let length = self.rtcp.open_rtcp(whole, ssrc, encrypted, index)?;
        let place = match place {
            Some(place) => place,
            None => self.sources.add(ssrc, true)?,
        };
        self.sources.all[place].rtcp.accept(u64::from(index));
        Ok(length)
    }

    /// Its state, to go on elsewhere.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(&self.master, self.mki_bytes, self.sources.snapshot())
    }

    /// Goes on from a state.
    pub fn restore(snapshot: &Snapshot) -> Result<Self, RtpError> {
        let mut opener = Self::new(snapshot.master_key()?, snapshot.mki_bytes)?;
        opener.sources = Sources::restore(&snapshot.sources);
        Ok(opener)
    }
}

fn rtcp_ssrc(packet: &[u8]) -> Result<u32, RtpError> {
    match packet.first_chunk::<RTCP_CLEAR>() {
        Some(head) if head[0] >> 6 == 2 => Ok(u32::from_be_bytes([head[4], head[5], head[6], head[7]])),
        Some(_) => Err(malformed("RTCP version 2", 0)),
        None => Err(malformed("RTCP header and SSRC: 8 bytes", packet.len())),
    }
}

/// Takes the key identifier out: it stands before the tag (RFC 3711 §3.1), or last under AEAD (RFC 7714 §8.2).
fn without_mki(packet: &mut [u8], mki_bytes: usize, tag_bytes: usize, aead: bool) -> Result<&mut [u8], RtpError> {
    if mki_bytes == 0 {
        return Ok(packet);
    }
    let behind = if aead { 0 } else { tag_bytes };
    let end = packet.len();
    let start = end.checked_sub(mki_bytes + behind).ok_or(RtpError::NotAuthentic)?;
    packet.copy_within(end - behind..end, start);
    Ok(&mut packet[..end - mki_bytes])
}
