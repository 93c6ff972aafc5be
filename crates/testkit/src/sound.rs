//! Making the sound that a phone sends and measuring what another recorded.

use std::path::Path;

use audio::{Recording, Tone, level_dbm0, read_wav, tone_share, write_wav};

/// Length of the windows in which a tone is looked for, milliseconds.
const WINDOW_MS: usize = 20;
/// Distance of the windows, milliseconds.
const STEP_MS: usize = 5;
/// Below this level, dBm0, a window is silent.
const SILENCE_DBM0: f64 = -45.0;

/// Writes a WAV file with a tone, 8 kHz.
pub fn write_tone(path: &Path, frequency_hz: f64, duration_s: u32) {
    let samples = Tone::beep(frequency_hz, -10.0, duration_s * 1_000).samples(audio::RATE_HZ);
    let bytes = write_wav(&Recording { rate_hz: audio::RATE_HZ, samples }).expect("a tone can be written");
    std::fs::write(path, bytes).expect("the tone's file can be written");
}

/// Reads a WAV file.
pub fn read(path: &Path) -> Recording {
    let bytes = std::fs::read(path).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()));
    read_wav(&bytes).unwrap_or_else(|problem| panic!("{}: {problem}", path.display()))
}

/// What a recording has of one tone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heard {
    /// Of the whole recording, milliseconds.
    pub length_ms: usize,
    /// When the tone is first there, milliseconds from the start.
    pub first_ms: usize,
    /// From the first to the last moment of the tone, milliseconds; 0: it is nowhere.
    pub span_ms: usize,
    /// Longest time between these two in which the tone is missing, milliseconds.
    pub gap_ms: usize,
}

/// Looks for a tone in windows of 20 ms. A window has the tone when most of its energy is at the frequency.
pub fn hear(recording: &Recording, frequency_hz: f64) -> Heard {
    let per_ms = recording.rate_hz as usize / 1_000;
    let (window, step) = (WINDOW_MS * per_ms, STEP_MS * per_ms);
    let length_ms = recording.samples.len() / per_ms.max(1);
    let has_tone = |samples: &[i16]| {
        level_dbm0(samples) > SILENCE_DBM0 && tone_share(samples, frequency_hz, recording.rate_hz) > 0.5
    };
    let (mut first, mut last, mut gap) = (None, 0, 0);
    for (n, start) in (0..(recording.samples.len() + 1).saturating_sub(window)).step_by(step).enumerate() {
        if has_tone(&recording.samples[start..start + window]) {
            if first.is_some() {
                gap = gap.max((n - last - 1) * STEP_MS);
            }
            first.get_or_insert(n);
            last = n;
        }
    }
    let span_ms = first.map_or(0, |first| (last - first) * STEP_MS + WINDOW_MS);
    Heard { length_ms, first_ms: first.unwrap_or(0) * STEP_MS, span_ms, gap_ms: gap }
}

/// The strongest of whole multiples of 10 Hz between 200 and 3,400 Hz, by share of energy.
pub fn dominant_hz(samples: &[i16], rate_hz: u32) -> f64 {
    let share = |hz: f64| tone_share(samples, hz, rate_hz);
    (20..=340)
        .map(|n| f64::from(n) * 10.0)
        .max_by(|a, b| share(*a).total_cmp(&share(*b)))
        .expect("the range is not empty")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_gap(gap_ms: usize) -> Recording {
        let mut samples = Tone::beep(440.0, -10.0, 2_000).samples(audio::RATE_HZ);
        samples[8_000..8_000 + gap_ms * 8].fill(0);
        let mut all = vec![0; 800];
        all.extend(samples);
        Recording { rate_hz: audio::RATE_HZ, samples: all }
    }

    #[test]
    fn a_tone_is_measured_with_its_longest_gap() {
        for gap_ms in [0, 40, 60, 200] {
            let heard = hear(&with_gap(gap_ms), 440.0);
            assert!(heard.gap_ms.abs_diff(gap_ms) <= 5, "{gap_ms}: {heard:?}");
            assert!(heard.span_ms.abs_diff(2_000) <= 25 && heard.first_ms.abs_diff(100) <= 15, "{heard:?}");
        }
    }

    #[test]
    fn another_tone_is_not_heard() {
        assert_eq!(hear(&with_gap(0), 700.0).span_ms, 0);
        assert!((dominant_hz(&with_gap(0).samples, audio::RATE_HZ) - 440.0).abs() < 1.0);
    }
}
