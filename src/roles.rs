//! The six roles.

use serde::{Deserialize, Serialize};

/// What a process may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// SIP.
    SipProxy,
    /// Announcements and other media applications.
    MediaServer,
    /// RTP.
    RtpRelay,
    /// SMS.
    SmppGateway,
    /// HTTP.
    ControlApi,
    /// STUN and TURN.
    TurnServer,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::SipProxy, Self::MediaServer, Self::RtpRelay, Self::SmppGateway, Self::ControlApi, Self::TurnServer];

    /// The name in settings and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SipProxy => "sip-proxy",
            Self::MediaServer => "media-server",
            Self::RtpRelay => "rtp-relay",
            Self::SmppGateway => "smpp-gateway",
            Self::ControlApi => "control-api",
            Self::TurnServer => "turn-server",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::as_str).join(", ");
        Self::ALL.into_iter().find(|r| r.as_str() == text).ok_or_else(|| format!("unknown role; known are {}", known()))
    }
}
