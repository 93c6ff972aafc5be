//! The state of a direction as a value: keys, roll-over counters and replay windows. Hot restart and fail-over stand on it.
//! It holds a master key in the clear: whoever stores it must seal it.

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use super::replay::ReplayWindow;
use super::{MasterKey, Suite};
use crate::error::RtpError;

/// Version of the form.
const VERSION: u8 = 1;

/// A [`super::Sealer`] or [`super::Opener`] as a value.
#[derive(Clone, Serialize, Deserialize)]
pub struct Snapshot {
    version: u8,
    /// The algorithms.
    pub suite: Suite,
    key_and_salt: Vec<u8>,
    /// Bytes of key identifier in received packets.
    pub mki_bytes: usize,
    /// The sources.
    pub sources: Vec<SourceSnapshot>,
}

/// One source.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SourceSnapshot {
    /// Who.
    pub ssrc: u32,
    /// Its RTP packets.
    pub rtp: ReplayWindow,
    /// Its RTCP packets.
    pub rtcp: ReplayWindow,
}

impl Snapshot {
    pub(super) fn new(master: &MasterKey, mki_bytes: usize, sources: Vec<SourceSnapshot>) -> Self {
        Self { version: VERSION, suite: master.suite(), key_and_salt: master.expose().to_vec(), mki_bytes, sources }
    }

    pub(super) fn master_key(&self) -> Result<MasterKey, RtpError> {
        if self.version != VERSION {
            return Err(RtpError::Unsupported("snapshot version"));
        }
        MasterKey::new(self.suite, &self.key_and_salt)
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.key_and_salt.zeroize();
    }
}
impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Snapshot({:?}, <secret>, {:?})", self.suite, self.sources)
    }
}
