//! A session as a value, so that its connection can be handed to another process without losing count.
//!
//! Times become ages: a snapshot means the same under another clock. Timers begin anew. Only a bound session has
//! one; any other is cheaper to start again.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Outstanding, Purpose, Queued, RequestId, Role, Session, SessionConfig, State, Timer, Window};
use crate::pdu::{BindMode, CommandId};

/// Raised when a field changes its meaning.
const VERSION: u16 = 1;

/// A bound session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSnapshot {
    version: u16,
    mode: BindMode,
    last_sequence: u32,
    open: Vec<OpenRequest>,
    queue: Vec<(u64, u32, Vec<u8>)>,
    inbound: Vec<(RequestId, u16)>,
    /// The beginning of a PDU whose end has not come.
    received: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct OpenRequest {
    sequence: u32,
    command: CommandId,
    /// None: enquire_link.
    key: Option<u64>,
    age_ms: u64,
}

impl Session {
    /// The session as a value; none unless it is bound and has no outputs waiting.
    pub fn snapshot(&self, now: Instant) -> Option<SessionSnapshot> {
        let State::Bound(mode) = self.state else { return None };
        if !self.outputs.is_empty() {
            return None;
        }
        let (last_sequence, open) = self.window.parts();
        let open = open.map(|(sequence, found)| OpenRequest {
            sequence,
            command: found.command,
            key: match found.purpose {
                Purpose::User(key) => Some(key),
                Purpose::Bind | Purpose::EnquireLink | Purpose::Unbind => None,
            },
            age_ms: u64::try_from(now.saturating_duration_since(found.sent_at).as_millis()).unwrap_or(u64::MAX),
        });
        Some(SessionSnapshot {
            version: VERSION,
            mode,
            last_sequence,
            open: open.collect(),
            queue: self.queue.iter().map(|queued| (queued.key, queued.command.0, queued.frame.clone())).collect(),
            inbound: self.inbound.iter().map(|(id, count)| (*id, *count)).collect(),
            received: self.reader.rest().to_vec(),
        })
    }

    /// A session that goes on where `snapshot` was taken; none when its version is not ours.
    pub fn restore(now: Instant, role: Role, config: SessionConfig, snapshot: SessionSnapshot) -> Option<Self> {
        if snapshot.version != VERSION {
            return None;
        }
        let mut session = Self::idle(now, role, config);
        session.window = Window::from_parts(
            snapshot.last_sequence,
            snapshot.open.into_iter().map(|open| {
                let purpose = open.key.map_or(Purpose::EnquireLink, Purpose::User);
                let sent_at = now.checked_sub(Duration::from_millis(open.age_ms)).unwrap_or(now);
                (open.sequence, Outstanding { purpose, command: open.command, sent_at })
            }),
        );
        let queued = |(key, command, frame)| Queued { key, command: CommandId(command), frame };
        // A frame shorter than a header could not be numbered; it cannot come from a session.
        session.queue = snapshot.queue.into_iter().filter(|(_, _, frame)| frame.len() >= 16).map(queued).collect();
        session.inbound_total = snapshot.inbound.iter().map(|(_, count)| usize::from(*count)).sum();
        session.inbound = snapshot.inbound.into_iter().collect();
        session.reader.feed(&snapshot.received);
        session.enter_bound(now, snapshot.mode);
        if session.window.parts().1.any(|(_, found)| found.purpose == Purpose::EnquireLink) {
            session.timers.set(Timer::EnquireLink, now + session.config.response_timeout);
        }
        Some(session)
    }
}
