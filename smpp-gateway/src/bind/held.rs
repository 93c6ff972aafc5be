//! The parts that a bind has, by the key that the session knows them under.
//!
//! Keys grow, and the session's queue is first in, first out: what waits in it are always the greatest keys.

use std::collections::{BTreeMap, VecDeque};

use domain::sms::QueuedPart;
use tokio::time::Instant;

use crate::lines::Leased;

/// Parts remembered after they went unanswered, so that a late answer still counts; the session keeps as many.
const LATE_MAX: usize = 4_096;

/// The parts of one session.
#[derive(Debug, Default)]
pub(super) struct Held {
    last_key: u64,
    by_key: BTreeMap<u64, Leased>,
    late: VecDeque<(u64, QueuedPart)>,
}

impl Held {
    /// Takes a part in; returns its key.
    pub(super) fn put(&mut self, leased: Leased) -> u64 {
        self.last_key += 1;
        self.by_key.insert(self.last_key, leased);
        self.last_key
    }

    /// The part under a key.
    pub(super) fn get(&self, key: u64) -> Option<&QueuedPart> {
        self.by_key.get(&key).map(|leased| &leased.part)
    }

    /// Takes a part out.
    pub(super) fn take(&mut self, key: u64) -> Option<Leased> {
        self.by_key.remove(&key)
    }

    /// Takes out a part that went unanswered; a late answer may still ask for it.
    pub(super) fn take_unanswered(&mut self, key: u64) -> Option<Leased> {
        let leased = self.by_key.remove(&key)?;
        if self.late.len() >= LATE_MAX {
            self.late.pop_front();
        }
        self.late.push_back((key, leased.part.clone()));
        Some(leased)
    }

    /// The part of a late answer.
    pub(super) fn take_late(&mut self, key: u64) -> Option<QueuedPart> {
        let at = self.late.iter().position(|(late, _)| *late == key)?;
        self.late.remove(at).map(|(_, part)| part)
    }

    /// Since when the oldest of the last `queued` parts is here.
    pub(super) fn queued_since(&self, queued: usize) -> Option<Instant> {
        let oldest = queued.checked_sub(1)?;
        self.by_key.values().nth_back(oldest).map(|leased| leased.since)
    }
}
