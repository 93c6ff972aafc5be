//! WAV files as bytes in memory: 16-bit PCM in and out, and G.711 in.

use std::io::Cursor;

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

use crate::Error;
use crate::g711::Law;

/// Longest recording that is read, samples per channel: an hour at 48 kHz.
const SAMPLES_MAX: u32 = 48_000 * 3_600;

/// One channel of sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Samples a second.
    pub rate_hz: u32,
    /// The samples.
    pub samples: Vec<i16>,
}

/// Reads a WAV file: 16-bit PCM, A-law or µ-law. Of several channels the first is taken.
pub fn read_wav(bytes: &[u8]) -> Result<Recording, Error> {
    if let Some(recording) = read_g711(bytes)? {
        return Ok(recording);
    }
    let mut reader = WavReader::new(Cursor::new(bytes)).map_err(malformed)?;
    let spec = reader.spec();
    if spec.bits_per_sample != 16 || spec.sample_format != SampleFormat::Int {
        let (bits, format) = (spec.bits_per_sample, spec.sample_format);
        return Err(Error::Unsupported(format!("{bits} bits of {format:?}, wanted 16 bits of Int")));
    }
    if reader.duration() > SAMPLES_MAX {
        return Err(Error::Unsupported(format!("{} samples, at most {SAMPLES_MAX} are read", reader.duration())));
    }
    let channels = usize::from(spec.channels.max(1));
    let samples: Result<Vec<i16>, _> = reader.samples::<i16>().step_by(channels).collect();
    Ok(Recording { rate_hz: spec.sample_rate, samples: samples.map_err(malformed)? })
}

/// Writes 16-bit PCM, one channel.
pub fn write_wav(recording: &Recording) -> Result<Vec<u8>, Error> {
    let spec =
        WavSpec { channels: 1, sample_rate: recording.rate_hz, bits_per_sample: 16, sample_format: SampleFormat::Int };
    let mut bytes = Cursor::new(Vec::with_capacity(44 + recording.samples.len() * 2));
    let mut writer = WavWriter::new(&mut bytes, spec).map_err(malformed)?;
    for sample in &recording.samples {
        writer.write_sample(*sample).map_err(malformed)?;
    }
    writer.finalize().map_err(malformed)?;
    Ok(bytes.into_inner())
}

fn malformed(error: hound::Error) -> Error {
    match error {
        hound::Error::Unsupported | hound::Error::TooWide => Error::Unsupported(error.to_string()),
        other => Error::Malformed(other.to_string()),
    }
}

/// Reads G.711 in WAV (format tags 6 and 7), which hound does not; `None` when the file is of another format.
fn read_g711(bytes: &[u8]) -> Result<Option<Recording>, Error> {
    let Some((format, data)) = chunks(bytes) else { return Ok(None) };
    let field = |at: usize| u16::from_le_bytes([format[at], format[at + 1]]);
    let law = match field(0) {
        6 => Law::A,
        7 => Law::Mu,
        _ => return Ok(None),
    };
    let (channels, rate_hz) = (usize::from(field(2)), u32::from(field(4)) | u32::from(field(6)) << 16);
    if channels == 0 || field(14) != 8 || data.len() > SAMPLES_MAX as usize {
        return Err(Error::Malformed("G.711 needs channels of 8 bits and a bounded length".into()));
    }
    let samples = data.iter().step_by(channels).map(|byte| law.decode(*byte)).collect();
    Ok(Some(Recording { rate_hz, samples }))
}

/// The contents of the `fmt ` (16 bytes of it) and `data` chunks of a RIFF file.
fn chunks(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = bytes.strip_prefix(b"RIFF")?.get(4..)?.strip_prefix(b"WAVE")?;
    let mut format = None;
    loop {
        let (head, body) = rest.split_at_checked(8)?;
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        match &head[..4] {
            b"fmt " => format = body.get(..16),
            // Files that were written to a pipe may promise more than there is.
            b"data" => return Some((format?, &body[..length.min(body.len())])),
            _ => {}
        }
        rest = body.get(length.checked_add(length % 2)?..)?;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{RATE_HZ, Tone};

    #[test]
    fn what_is_written_reads_back() {
        let samples = Tone::beep(440.0, -10.0, 100).samples(RATE_HZ);
        let recording = Recording { rate_hz: RATE_HZ, samples };
        assert_eq!(read_wav(&write_wav(&recording).unwrap()).unwrap(), recording);
    }

    #[test]
    fn g711_files_are_read() {
        for (tag, law) in [(6u8, Law::A), (7, Law::Mu)] {
            let mut file = b"RIFF\0\0\0\0WAVEfmt \x12\0\0\0".to_vec();
            file.extend([tag, 0, 1, 0, 0x40, 0x1f, 0, 0, 0x40, 0x1f, 0, 0, 1, 0, 8, 0, 0, 0]);
            file.extend(b"fact\x04\0\0\0\x03\0\0\0data\x03\0\0\0");
            file.extend([law.encode(1_000), law.encode(-1_000), law.silence()]);
            let recording = read_wav(&file).unwrap();
            let expected = [law.decode(law.encode(1_000)), law.decode(law.encode(-1_000)), law.decode(law.silence())];
            assert_eq!((recording.rate_hz, recording.samples), (RATE_HZ, expected.to_vec()));
        }
    }

    #[test]
    fn what_is_no_wav_is_refused() {
        let good = write_wav(&Recording { rate_hz: RATE_HZ, samples: vec![1; 10] }).unwrap();
        for bytes in [&b""[..], b"RIFF", b"RIFF\0\0\0\0WAVE", b"ID3 something", &good[..30], &good[..good.len() - 1]] {
            assert!(read_wav(bytes).is_err(), "{} bytes", bytes.len());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let _ = read_wav(&bytes);
            let _ = read_wav(&[b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0", &bytes[..]].concat());
        }
    }
}
