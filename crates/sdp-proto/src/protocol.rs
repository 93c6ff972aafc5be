//! The transport of a media section (`m=` third field), and the changes a relay makes to it.

use std::fmt;

/// How media is carried.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// RTP, plain or protected.
    Rtp {
        /// Its protection.
        security: Security,
        /// Whether early feedback is spoken (RFC 4585).
        feedback: bool,
    },
    /// T.38 fax over UDP (RFC 3362).
    Udptl,
    /// Any other, as written.
    Other(String),
}

/// How RTP is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Security {
    /// Not at all (RFC 3551).
    None,
    /// SRTP with keys in the description (RFC 3711, 4568).
    Sdes,
    /// SRTP with keys from DTLS (RFC 5764).
    Dtls,
}

impl Protocol {
    /// RTP/AVP.
    pub const AVP: Self = Self::Rtp { security: Security::None, feedback: false };
    /// RTP/SAVP.
    pub const SAVP: Self = Self::Rtp { security: Security::Sdes, feedback: false };

    /// Reads the field; letters may be small.
    pub fn parse(text: &str) -> Self {
        const NAMES: [(&str, Security, bool); 6] = [
            ("RTP/AVP", Security::None, false),
            ("RTP/AVPF", Security::None, true),
            ("RTP/SAVP", Security::Sdes, false),
            ("RTP/SAVPF", Security::Sdes, true),
            ("UDP/TLS/RTP/SAVP", Security::Dtls, false),
            ("UDP/TLS/RTP/SAVPF", Security::Dtls, true),
        ];
        match NAMES.iter().find(|(name, ..)| name.eq_ignore_ascii_case(text)) {
            Some((_, security, feedback)) => Self::Rtp { security: *security, feedback: *feedback },
            None if text.eq_ignore_ascii_case("udptl") => Self::Udptl,
            None => Self::Other(text.to_owned()),
        }
    }

    /// Its protection, if it is RTP.
    pub const fn security(&self) -> Option<Security> {
        match self {
            Self::Rtp { security, .. } => Some(*security),
            Self::Udptl | Self::Other(_) => None,
        }
    }

    /// The same with another protection; what is not RTP stays as it is.
    #[must_use]
    pub fn with_security(&self, security: Security) -> Self {
        match self {
            Self::Rtp { feedback, .. } => Self::Rtp { security, feedback: *feedback },
            Self::Udptl | Self::Other(_) => self.clone(),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rtp { security, feedback } => {
                f.write_str(match security {
                    Security::None => "RTP/AVP",
                    Security::Sdes => "RTP/SAVP",
                    Security::Dtls => "UDP/TLS/RTP/SAVP",
                })?;
                f.write_str(if *feedback { "F" } else { "" })
            }
            Self::Udptl => f.write_str("udptl"),
            Self::Other(text) => f.write_str(text),
        }
    }
}
