//! What a session is told before it starts.

use std::time::Duration;

use base::Secret;

use crate::pdu::BindMode;

/// Largest window that makes sense; carriers allow 10 to 100, none is known over 1,000.
pub const WINDOW_MAX: u16 = 10_000;

/// Which side of the session we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// We bind and submit.
    Esme(BindRequest),
    /// We accept a bind and deliver; answers carry this system_id.
    Smsc {
        /// At most 15 characters by the specification.
        system_id: String,
    },
}

/// What an ESME says when it binds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindRequest {
    /// Which way messages shall go.
    pub mode: BindMode,
    /// At most 15 characters by the specification, 64 here.
    pub system_id: String,
    /// At most 8 characters by the specification, 64 here.
    pub password: Secret,
    /// Often empty.
    pub system_type: String,
    /// 0x34 for 3.4.
    pub interface_version: u8,
    /// TON of the range.
    pub addr_ton: u8,
    /// NPI of the range.
    pub addr_npi: u8,
    /// Addresses that we serve, often empty.
    pub address_range: String,
}

impl BindRequest {
    /// A bind in SMPP 3.4 without address range.
    pub fn new(mode: BindMode, system_id: impl Into<String>, password: Secret) -> Self {
        Self {
            mode,
            system_id: system_id.into(),
            password,
            system_type: String::new(),
            interface_version: 0x34,
            addr_ton: 0,
            addr_npi: 0,
            address_range: String::new(),
        }
    }
}

/// Window, pace and times of a session (SMPP 3.4 §2.9, §7.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionConfig {
    /// Requests that may wait for their response, 1..=[`WINDOW_MAX`]; more wait in the queue.
    pub window_requests: u16,
    /// Requests that may wait for window or pace before [`super::Session::submit`] refuses more.
    pub queue_requests: u16,
    /// Most requests per second; none is no limit.
    pub messages_per_second: Option<u32>,
    /// How long the peer may take to answer the bind, or to bind.
    pub bind_timeout: Duration,
    /// How long the peer may take to answer anything else.
    pub response_timeout: Duration,
    /// How long the peer may be silent before enquire_link asks whether it lives.
    pub enquire_link_interval: Duration,
    /// How long unbind may take: first for open responses, then for its own.
    pub unbind_timeout: Duration,
}

impl Default for SessionConfig {
    /// A window of 10, a queue of 100, no pace; 10 s for bind and unbind, 30 s for responses and silence.
    fn default() -> Self {
        Self {
            window_requests: 10,
            queue_requests: 100,
            messages_per_second: None,
            bind_timeout: Duration::from_secs(10),
            response_timeout: Duration::from_secs(30),
            enquire_link_interval: Duration::from_secs(30),
            unbind_timeout: Duration::from_secs(10),
        }
    }
}
