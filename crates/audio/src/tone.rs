//! Tones of the telephone network (ITU-T E.180): frequencies, level, and the cadence in which they sound.

use crate::level::sine_peak;

/// A step of a cadence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cadence {
    /// Index of the sound in the tone's list, or `None` for silence.
    pub sound: Option<usize>,
    /// How long, milliseconds.
    pub duration_ms: u32,
}

/// What to generate. Plain data; several sounds make sequences such as the special information tone.
#[derive(Debug, Clone, PartialEq)]
pub struct Tone {
    /// Each sound is a list of frequencies that sound together, hertz.
    pub sounds: Vec<Vec<f64>>,
    /// Level of each frequency, dBm0.
    pub level_dbm0: f64,
    /// The order of the sounds.
    pub cadence: Vec<Cadence>,
    /// Whether the cadence begins anew when it is over.
    pub repeats: bool,
}

impl Tone {
    /// One frequency for a time.
    pub fn beep(frequency_hz: f64, level_dbm0: f64, duration_ms: u32) -> Self {
        Self {
            sounds: vec![vec![frequency_hz]],
            level_dbm0,
            cadence: vec![Cadence { sound: Some(0), duration_ms }],
            repeats: false,
        }
    }

    /// The special information tone (ITU-T E.180 §5, Q.35): 950, 1,400 and 1,800 Hz for 330 ms each, then a second of
    /// silence; once, since an announcement follows. Gaps between the parts may last up to 30 ms; here there are none.
    pub fn special_information(level_dbm0: f64) -> Self {
        let step = |sound, duration_ms| Cadence { sound, duration_ms };
        Self {
            sounds: vec![vec![950.0], vec![1_400.0], vec![1_800.0]],
            level_dbm0,
            cadence: vec![step(Some(0), 330), step(Some(1), 330), step(Some(2), 330), step(None, 1_000)],
            repeats: false,
        }
    }

    /// A tone with one sound, on and off for ever, as ringing (425 Hz, 1 s, 4 s) or busy (425 Hz, 0.5 s, 0.5 s).
    pub fn repeating(frequencies_hz: &[f64], level_dbm0: f64, on_ms: u32, off_ms: u32) -> Self {
        let cadence =
            vec![Cadence { sound: Some(0), duration_ms: on_ms }, Cadence { sound: None, duration_ms: off_ms }];
        Self { sounds: vec![frequencies_hz.to_vec()], level_dbm0, cadence, repeats: true }
    }

    /// All its samples, when it does not repeat; one round of the cadence when it does.
    pub fn samples(&self, rate_hz: u32) -> Vec<i16> {
        let length: usize = self.cadence.iter().map(|step| step_samples(step, rate_hz)).sum();
        let mut samples = vec![0; length];
        ToneGenerator::new(self.clone(), rate_hz).fill(&mut samples);
        samples
    }
}

fn step_samples(step: &Cadence, rate_hz: u32) -> usize {
    (u64::from(step.duration_ms) * u64::from(rate_hz) / 1_000) as usize
}

/// Makes the samples of a tone, piece by piece and without a jump between the pieces.
#[derive(Debug, Clone, PartialEq)]
pub struct ToneGenerator {
    tone: Tone,
    rate_hz: u32,
    step: usize,
    /// Samples since the step began.
    position: usize,
}

impl ToneGenerator {
    /// At the beginning of the cadence.
    pub fn new(tone: Tone, rate_hz: u32) -> Self {
        Self { tone, rate_hz, step: 0, position: 0 }
    }

    /// Writes the next samples; returns how many before the tone was over. What remains of `out` is silence.
    pub fn fill(&mut self, out: &mut [i16]) -> usize {
        for n in 0..out.len() {
            match self.next_sample() {
                Some(sample) => out[n] = sample,
                None => {
                    out[n..].fill(0);
                    return n;
                }
            }
        }
        out.len()
    }

    fn next_sample(&mut self) -> Option<i16> {
        let mut rounds = 0;
        loop {
            let Some(step) = self.tone.cadence.get(self.step) else {
                // A cadence without any length would never end.
                rounds += 1;
                if !self.tone.repeats || rounds > 1 {
                    return None;
                }
                self.step = 0;
                continue;
            };
            if self.position < step_samples(step, self.rate_hz) {
                let sample = self.sample(*step);
                self.position += 1;
                return Some(sample);
            }
            self.step += 1;
            self.position = 0;
        }
    }

    fn sample(&self, step: Cadence) -> i16 {
        let Some(sound) = step.sound.and_then(|sound| self.tone.sounds.get(sound)) else { return 0 };
        let time = self.position as f64 / f64::from(self.rate_hz);
        let sum: f64 = sound.iter().map(|hz| (std::f64::consts::TAU * hz * time).sin()).sum();
        (sum * sine_peak(self.tone.level_dbm0)).clamp(-32_768.0, 32_767.0) as i16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RATE_HZ, level_dbm0, tone_share};

    #[test]
    fn a_beep_has_its_frequency_level_and_length() {
        let samples = Tone::beep(1_000.0, -10.0, 250).samples(RATE_HZ);
        assert_eq!(samples.len(), 2_000);
        assert!((level_dbm0(&samples) + 10.0).abs() < 0.1);
        assert!(tone_share(&samples, 1_000.0, RATE_HZ) > 0.99);
        assert!(tone_share(&samples, 1_100.0, RATE_HZ) < 0.01);
    }

    #[test]
    fn e180_special_information_tone_has_three_rising_parts_and_a_pause() {
        let samples = Tone::special_information(-10.0).samples(RATE_HZ);
        assert_eq!(samples.len(), 3 * 2_640 + 8_000);
        for (n, hz) in [950.0, 1_400.0, 1_800.0].into_iter().enumerate() {
            assert!(tone_share(&samples[n * 2_640..][..2_640], hz, RATE_HZ) > 0.99, "{hz} Hz");
        }
        assert!(samples[3 * 2_640..].iter().all(|sample| *sample == 0));
    }

    #[test]
    fn a_tone_in_pieces_is_the_tone_in_one() {
        let tone = Tone::repeating(&[425.0], -10.0, 30, 20);
        let (mut whole, mut pieces) = (vec![0; 4_000], vec![0; 4_000]);
        assert_eq!(ToneGenerator::new(tone.clone(), RATE_HZ).fill(&mut whole), 4_000);
        let mut generator = ToneGenerator::new(tone, RATE_HZ);
        for piece in pieces.chunks_mut(77) {
            assert_eq!(generator.fill(piece), piece.len());
        }
        assert_eq!(whole, pieces);
        assert!(whole[240..400].iter().all(|sample| *sample == 0) && whole[400..].iter().any(|sample| *sample != 0));
    }

    #[test]
    fn a_tone_that_is_over_leaves_silence() {
        let mut generator = ToneGenerator::new(Tone::beep(1_000.0, 0.0, 10), RATE_HZ);
        let mut samples = [7; 100];
        assert_eq!(generator.fill(&mut samples), 80);
        assert!(samples[80..].iter().all(|sample| *sample == 0));
        assert_eq!(generator.fill(&mut samples), 0);
    }

    #[test]
    fn a_cadence_without_length_ends() {
        let mut generator = ToneGenerator::new(Tone::repeating(&[425.0], 0.0, 0, 0), RATE_HZ);
        assert_eq!(generator.fill(&mut [0; 10]), 0);
    }
}
