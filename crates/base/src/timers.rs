//! The two shapes of timers that machines need: a few named deadlines, and many keyed ones.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Instant;

/// A few deadlines, one per kind; `K` converts to an index below `N`.
#[derive(Debug, Clone)]
pub struct TimerTable<K, const N: usize> {
    deadlines: [Option<(Instant, K)>; N],
}

/// A kind of timer, numbered from zero.
pub trait TimerKind: Copy {
    /// Its place in the table.
    fn index(self) -> usize;
}

impl<K: TimerKind, const N: usize> Default for TimerTable<K, N> {
    fn default() -> Self {
        Self { deadlines: [None; N] }
    }
}

impl<K: TimerKind, const N: usize> TimerTable<K, N> {
    /// Starts or restarts `kind`.
    pub fn set(&mut self, kind: K, at: Instant) {
        self.deadlines[kind.index()] = Some((at, kind));
    }

    /// Stops `kind`; nothing happens when it does not run.
    pub fn stop(&mut self, kind: K) {
        self.deadlines[kind.index()] = None;
    }

    /// When `kind` is due.
    pub fn deadline(&self, kind: K) -> Option<Instant> {
        self.deadlines[kind.index()].map(|(at, _)| at)
    }

    /// The earliest deadline.
    pub fn earliest(&self) -> Option<Instant> {
        self.deadlines.iter().flatten().map(|(at, _)| *at).min()
    }

    /// Takes out one timer that is due at `now`, the earliest first.
    pub fn expire(&mut self, now: Instant) -> Option<K> {
        let (_, kind) = *self.deadlines.iter().flatten().filter(|(at, _)| *at <= now).min_by_key(|(at, _)| *at)?;
        self.deadlines[kind.index()] = None;
        Some(kind)
    }
}

/// Many deadlines, one per key; setting a key again replaces its deadline.
///
/// Replaced entries stay in the heap until they come up; it is rebuilt when they outnumber the live ones.
#[derive(Debug, Clone)]
pub struct DeadlineHeap<K> {
    heap: BinaryHeap<Reverse<(Instant, K)>>,
    live: BTreeMap<K, Instant>,
}

impl<K> Default for DeadlineHeap<K> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), live: BTreeMap::new() }
    }
}

impl<K: Ord + Clone> DeadlineHeap<K> {
    /// Starts or moves the deadline of `key`.
    pub fn set(&mut self, key: K, at: Instant) {
        if self.live.insert(key.clone(), at) != Some(at) {
            self.heap.push(Reverse((at, key)));
        }
        if self.heap.len() > 64 && self.heap.len() > self.live.len() * 2 {
            self.heap = self.live.iter().map(|(k, at)| Reverse((*at, k.clone()))).collect();
        }
    }

    /// Stops the deadline of `key`.
    pub fn stop(&mut self, key: &K) {
        self.live.remove(key);
    }

    /// The earliest deadline.
    pub fn earliest(&mut self) -> Option<Instant> {
        self.drop_stale();
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes out one key that is due at `now`, the earliest first.
    pub fn expire(&mut self, now: Instant) -> Option<K> {
        self.drop_stale();
        if self.heap.peek().is_none_or(|Reverse((at, _))| *at > now) {
            return None;
        }
        let Reverse((_, key)) = self.heap.pop()?;
        self.live.remove(&key);
        Some(key)
    }

    /// How many deadlines run.
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// Whether none runs.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    fn drop_stale(&mut self) {
        while let Some(Reverse((at, key))) = self.heap.peek() {
            if self.live.get(key) == Some(at) {
                return;
            }
            self.heap.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_moved_deadline_fires_once_at_its_new_time() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut heap = DeadlineHeap::default();
        heap.set("a", at(1));
        heap.set("b", at(2));
        heap.set("a", at(3));
        assert_eq!(heap.earliest(), Some(at(2)));
        assert_eq!(heap.expire(at(5)), Some("b"));
        assert_eq!(heap.expire(at(5)), Some("a"));
        assert_eq!(heap.expire(at(5)), None);
    }

    #[test]
    fn stale_entries_do_not_pile_up() {
        let start = Instant::now();
        let mut heap = DeadlineHeap::default();
        for n in 0..100_000u64 {
            heap.set(n % 10, start + Duration::from_millis(n));
        }
        assert!(heap.heap.len() <= 65 && heap.len() == 10);
    }
}
