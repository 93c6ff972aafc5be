//! The applications: what a leg hears, and what happens when it has heard it. Voicemail, menus and conferences will stand
//! beside these two; each one is a script, so that sessions and agent need not know them.

use std::sync::Arc;

use audio::{RATE_HZ, Tone};

use crate::{StartError, prompt};

/// Level of tones, dBm0: as loud as speech.
const TONE_DBM0: f64 = -15.0;

/// How a leg is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// With 200 at once.
    Answered,
    /// With 183: media flows before an answer, which never comes (RFC 3960).
    Early,
}

/// What follows the opening sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// The caller hears what they say.
    Echo,
    /// The leg ends: by this refusal before an answer, by BYE after one.
    End(Ending),
}

/// A refusal and its Reason (RFC 3326).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) status: u16,
    /// A whole Reason value.
    pub(crate) reason: &'static str,
}

/// What a leg hears.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    /// Samples at 8,000 a second, played first.
    pub(crate) opening: Arc<[i16]>,
    pub(crate) then: Then,
}

/// One application.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) name: &'static str,
    pub(crate) answer: Answer,
    pub(crate) script: Script,
}

/// All applications.
#[derive(Debug, Clone)]
pub(crate) struct Apps(Vec<App>);

impl Apps {
    /// Renders tones and reads prompts.
    pub(crate) fn load() -> Result<Self, StartError> {
        Ok(Self(vec![echo(), not_in_service()?]))
    }

    /// The application that the user part of a Request-URI names.
    pub(crate) fn find(&self, user: &str) -> Option<&App> {
        self.0.iter().find(|app| app.name.eq_ignore_ascii_case(user))
    }
}

/// A short beep, then the caller's own voice.
fn echo() -> App {
    let beep = Tone::beep(1_000.0, TONE_DBM0, 200).samples(RATE_HZ);
    App { name: "echo", answer: Answer::Answered, script: Script { opening: beep.into(), then: Then::Echo } }
}

/// The special information tone and the announcement as early media, then 404: nobody is charged for it.
fn not_in_service() -> Result<App, StartError> {
    let mut opening = Tone::special_information(TONE_DBM0).samples(RATE_HZ);
    opening.extend_from_slice(&prompt::not_in_service()?);
    let then = Then::End(Ending { status: 404, reason: r#"Q.850;cause=1;text="Unallocated number""# });
    Ok(App { name: "not-in-service", answer: Answer::Early, script: Script { opening: opening.into(), then } })
}
