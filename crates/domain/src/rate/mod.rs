//! Prices: what a minute or a segment costs, and how seconds become money.

mod increment;

use base::id::kind::Rate as RateKind;
use base::{Currency, Id, Money};
use serde::{Deserialize, Serialize};

/// What a price is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// Calls that leave by a trunk, per minute.
    VoiceOut,
    /// Calls that come in to a number, per minute.
    VoiceIn,
    /// Calls between users of the switch, per minute.
    VoiceOnNet,
    /// Texts out, per segment.
    SmsOut,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::VoiceOut, Self::VoiceIn, Self::VoiceOnNet, Self::SmsOut];

    /// The stored and printed name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VoiceOut => "voice_out",
            Self::VoiceIn => "voice_in",
            Self::VoiceOnNet => "voice_on_net",
            Self::SmsOut => "sms_out",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

/// One price of a deck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Its row.
    pub id: Id<RateKind>,
    /// Currency of all amounts.
    pub currency: Currency,
    /// Millionths per minute of talk, or per segment of text; never negative.
    pub price_micros: i64,
    /// Millionths once per answered call; never negative.
    pub connect_micros: i64,
    /// Least seconds charged, and the first step; at least 1.
    pub first_increment_s: u32,
    /// Steps after the first, seconds; at least 1.
    pub next_increment_s: u32,
}

impl Rate {
    /// The price of `segments` segments of text; `None` over the range.
    pub fn price_of_segments(&self, segments: usize) -> Option<Money> {
        let micros = i64::try_from(segments).ok()?.checked_mul(self.price_micros)?;
        Some(Money::new(micros, self.currency))
    }

    /// Whether a call at this rate costs nothing whatever its length.
    pub const fn is_free(&self) -> bool {
        self.price_micros == 0 && self.connect_micros == 0
    }
}
