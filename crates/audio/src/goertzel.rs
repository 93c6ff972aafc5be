//! The Goertzel algorithm: how much of one frequency is in a block of samples, cheaper than a whole spectrum.

use std::f64::consts::TAU;

/// Gathers samples for one frequency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Goertzel {
    coefficient: f64,
    last: [f64; 2],
    energy: f64,
    count: u64,
}

impl Goertzel {
    /// A detector for `frequency_hz`, below half of `rate_hz`.
    pub fn new(frequency_hz: f64, rate_hz: u32) -> Self {
        let coefficient = 2.0 * (TAU * frequency_hz / f64::from(rate_hz)).cos();
        Self { coefficient, last: [0.0; 2], energy: 0.0, count: 0 }
    }

    /// Takes more samples of the block.
    pub fn feed(&mut self, samples: &[i16]) {
        for sample in samples {
            let value = f64::from(*sample);
            let next = value + self.coefficient * self.last[0] - self.last[1];
            self.last = [next, self.last[0]];
            self.energy += value * value;
        }
        self.count += samples.len() as u64;
    }

    /// The share of the block's energy that lies at the frequency, 0 to about 1; 0 for silence. The resolution is the
    /// rate divided by the number of samples.
    pub fn share(&self) -> f64 {
        if self.energy == 0.0 {
            return 0.0;
        }
        let [a, b] = self.last;
        let power = a * a + b * b - self.coefficient * a * b;
        2.0 * power / (self.energy * self.count as f64)
    }
}

/// [`Goertzel::share`] of one block.
pub fn tone_share(samples: &[i16], frequency_hz: f64, rate_hz: u32) -> f64 {
    let mut detector = Goertzel::new(frequency_hz, rate_hz);
    detector.feed(samples);
    detector.share()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RATE_HZ, Tone};

    #[test]
    fn two_tones_share_the_energy_and_silence_has_none() {
        let tone = Tone::repeating(&[770.0, 1_336.0], -12.0, 100, 0);
        let samples = tone.samples(RATE_HZ);
        for hz in [770.0, 1_336.0] {
            assert!((tone_share(&samples, hz, RATE_HZ) - 0.5).abs() < 0.05, "{hz} Hz");
        }
        assert!(tone_share(&samples, 1_000.0, RATE_HZ) < 0.02);
        assert!(tone_share(&[0; 160], 1_000.0, RATE_HZ) == 0.0);
    }
}
