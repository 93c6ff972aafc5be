//! Requests of ours that wait for their response.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::pdu::CommandId;

/// Sequence numbers remembered after their time was over, so that a late response still finds its message.
const LATE_MAX: usize = 4_096;

/// Whose request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Bind,
    EnquireLink,
    Unbind,
    /// Of the user of the session, under this key.
    User(u64),
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outstanding {
    pub(super) purpose: Purpose,
    pub(super) command: CommandId,
    pub(super) sent_at: Instant,
}

/// All of them, by sequence number.
#[derive(Debug, Clone, Default)]
pub(super) struct Window {
    open: BTreeMap<u32, Outstanding>,
    /// In the order of sending; answered ones stay until they come up.
    by_age: VecDeque<(Instant, u32)>,
    users: usize,
    late: VecDeque<(u32, CommandId, u64)>,
    last: u32,
}

impl Window {
    /// Books the next free sequence number, 1..=0x7fffffff (§3.2).
    pub(super) fn open(&mut self, now: Instant, purpose: Purpose, command: CommandId) -> u32 {
        loop {
            self.last = if self.last >= 0x7fff_ffff { 1 } else { self.last + 1 };
            if !self.open.contains_key(&self.last) {
                break;
            }
        }
        self.open.insert(self.last, Outstanding { purpose, command, sent_at: now });
        self.by_age.push_back((now, self.last));
        self.users += usize::from(matches!(purpose, Purpose::User(_)));
        self.late.retain(|(sequence, _, _)| *sequence != self.last);
        self.last
    }

    /// Takes out the request that a response answers; generic_nack answers any.
    pub(super) fn close(&mut self, sequence: u32, response: CommandId) -> Option<Outstanding> {
        let found = self.open.get(&sequence)?;
        if response != CommandId::GENERIC_NACK && found.command.response() != response {
            return None;
        }
        let found = self.open.remove(&sequence)?;
        self.users -= usize::from(matches!(found.purpose, Purpose::User(_)));
        Some(found)
    }

    /// The key of a request whose time was over when its response came.
    pub(super) fn close_late(&mut self, sequence: u32, response: CommandId) -> Option<u64> {
        let fits = |command: CommandId| response == CommandId::GENERIC_NACK || command.response() == response;
        let at = self.late.iter().position(|(late, command, _)| *late == sequence && fits(*command))?;
        self.late.remove(at).map(|(_, _, key)| key)
    }

    /// Takes out one request sent at least `timeout` ago, and remembers it as late.
    pub(super) fn expire(&mut self, now: Instant, timeout: Duration) -> Option<Outstanding> {
        self.drop_answered();
        let (sent_at, sequence) = *self.by_age.front()?;
        if sent_at + timeout > now {
            return None;
        }
        self.by_age.pop_front();
        let found = self.open.remove(&sequence)?;
        if let Purpose::User(key) = found.purpose {
            self.users -= 1;
            if self.late.len() >= LATE_MAX {
                self.late.pop_front();
            }
            self.late.push_back((sequence, found.command, key));
        }
        Some(found)
    }

    /// When the oldest request is over.
    pub(super) fn next(&mut self, timeout: Duration) -> Option<Instant> {
        self.drop_answered();
        self.by_age.front().map(|(sent_at, _)| *sent_at + timeout)
    }

    /// Requests of the user that wait.
    pub(super) const fn users(&self) -> usize {
        self.users
    }

    /// Takes out everything, in the order of sequence numbers.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Outstanding> + use<> {
        self.by_age.clear();
        self.users = 0;
        std::mem::take(&mut self.open).into_values()
    }

    /// The last sequence number used, and every open request, for a snapshot.
    pub(super) fn parts(&self) -> (u32, impl Iterator<Item = (u32, Outstanding)> + '_) {
        let sent = self.by_age.iter().filter_map(|(sent_at, sequence)| {
            let found = self.open.get(sequence).filter(|found| found.sent_at == *sent_at)?;
            Some((*sequence, *found))
        });
        (self.last, sent)
    }

    /// From the parts of a snapshot, in the order of sending.
    pub(super) fn from_parts(last: u32, open: impl IntoIterator<Item = (u32, Outstanding)>) -> Self {
        let mut window = Self { last, ..Self::default() };
        for (sequence, found) in open {
            window.users += usize::from(matches!(found.purpose, Purpose::User(_)));
            window.by_age.push_back((found.sent_at, sequence));
            window.open.insert(sequence, found);
        }
        window
    }

    fn drop_answered(&mut self) {
        while let Some((sent_at, sequence)) = self.by_age.front() {
            if self.open.get(sequence).is_some_and(|found| found.sent_at == *sent_at) {
                return;
            }
            self.by_age.pop_front();
        }
    }
}
