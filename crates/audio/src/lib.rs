//! Pure functions over slices of samples: G.711, tones and their detection, level, WAV files in memory.
//!
//! Samples are 16-bit linear PCM, one channel, 8,000 a second unless a parameter says otherwise. No I/O, no clock, no state
//! outside the values. Not here: Opus, resampling, mixing, DTMF as RTP events (RFC 4733 is in `rtp-proto`).

mod error;
pub mod g711;
mod goertzel;
mod level;
mod tone;
mod wav;

pub use error::Error;
pub use goertzel::{Goertzel, tone_share};
pub use level::{level_dbm0, rms, silence_runs};
pub use tone::{Cadence, Tone, ToneGenerator};
pub use wav::{Recording, read_wav, write_wav};

/// Samples a second of narrow-band telephony.
pub const RATE_HZ: u32 = 8_000;
