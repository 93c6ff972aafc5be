//! The built-in prompts, as samples. Prompt packs of other languages will be read here too.

use std::sync::Arc;

use audio::{RATE_HZ, read_wav};

use crate::StartError;

const NOT_IN_SERVICE: &[u8] = include_bytes!("../prompts/not-in-service.wav");

/// "The number you have dialled is not in service."
pub(crate) fn not_in_service() -> Result<Arc<[i16]>, StartError> {
    read("not-in-service", NOT_IN_SERVICE)
}

fn read(name: &'static str, bytes: &[u8]) -> Result<Arc<[i16]>, StartError> {
    let recording = read_wav(bytes).map_err(|source| StartError::Prompt { name, source })?;
    if recording.rate_hz != RATE_HZ {
        let source = audio::Error::Unsupported(format!("{} samples a second, wanted {RATE_HZ}", recording.rate_hz));
        return Err(StartError::Prompt { name, source });
    }
    Ok(recording.samples.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use audio::{level_dbm0, silence_runs};

    #[test]
    fn the_prompt_is_speech_of_a_usual_level_without_silence_around() {
        let samples = not_in_service().unwrap();
        assert!((4 * 8_000..10 * 8_000).contains(&samples.len()), "{} samples", samples.len());
        let level = level_dbm0(&samples);
        assert!((-26.0..-12.0).contains(&level), "{level} dBm0");
        let runs = silence_runs(&samples, 100, 4_000);
        assert!(runs.iter().all(|(begin, length)| *begin > 0 && begin + length < samples.len()), "{runs:?}");
    }
}
