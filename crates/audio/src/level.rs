//! How loud samples are, and where they are silent.

/// Full scale of a sine in dBm0: its peak just reaches the largest sample (ITU-T G.711 §4 for µ-law; A-law has 0.03 less).
const SINE_PEAK_DBM0: f64 = 3.17;

/// Root of the mean square, 0 to 32,768; 0 for no samples.
pub fn rms(samples: &[i16]) -> f64 {
    let sum: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
    (sum / samples.len().max(1) as f64).sqrt()
}

/// Level in dBm0, at most +6.2; silence is -96.
pub fn level_dbm0(samples: &[i16]) -> f64 {
    let sine_rms = 32_767.0 / std::f64::consts::SQRT_2;
    (20.0 * (rms(samples) / sine_rms).log10() + SINE_PEAK_DBM0).max(-96.0)
}

/// Peak amplitude of a sine of this level, for generators.
pub(crate) fn sine_peak(dbm0: f64) -> f64 {
    32_767.0 * 10f64.powf((dbm0 - SINE_PEAK_DBM0) / 20.0)
}

/// The stretches in which no sample is louder than `threshold`, as (first sample, length), of at least `length_min` samples.
pub fn silence_runs(samples: &[i16], threshold: u16, length_min: usize) -> Vec<(usize, usize)> {
    let mut runs = Vec::new();
    let mut begin = 0;
    let loud = samples.iter().enumerate().filter(|(_, sample)| sample.unsigned_abs() > threshold).map(|(n, _)| n);
    for end in loud.chain([samples.len()]) {
        if end - begin >= length_min.max(1) {
            runs.push((begin, end - begin));
        }
        begin = end + 1;
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_between_sounds_is_found_with_its_place() {
        let samples = [0, 0, 900, 0, 0, 0, -900, 0];
        assert_eq!(silence_runs(&samples, 100, 2), [(0, 2), (3, 3)]);
        assert_eq!(silence_runs(&samples, 100, 1), [(0, 2), (3, 3), (7, 1)]);
        assert_eq!(silence_runs(&samples, 1000, 2), [(0, 8)]);
        assert_eq!(silence_runs(&[], 0, 0), []);
    }

    #[test]
    fn silence_has_the_lowest_level() {
        assert!(level_dbm0(&[0; 80]) <= -96.0);
        assert!(level_dbm0(&[]) <= -96.0);
    }
}
