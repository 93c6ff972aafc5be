//! A bounded memory of answers that is forgotten as a whole when what it was read from changes.
//!
//! Two maps stand in for an exact least-recently-used order: when the young one is full it becomes the old one, and
//! what is asked for again moves back. So at most twice the capacity is kept, and a flood of unknown names cannot push
//! out what is in use.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Answers by question.
pub(crate) struct Memory<K, V> {
    capacity: usize,
    maps: Mutex<Maps<K, V>>,
}

struct Maps<K, V> {
    stamp: u64,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

/// When a question was asked; an answer that was read before the memory was forgotten is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp(u64);

impl<K: Eq + Hash, V: Clone> Memory<K, V> {
    /// A memory of `capacity` to twice `capacity` answers.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, maps: Mutex::new(Maps { stamp: 0, young: HashMap::new(), old: HashMap::new() }) }
    }

    /// The answer, or the stamp with which to keep it once it is read.
    pub(crate) fn recall(&self, question: &K) -> Result<V, Stamp>
    where
        K: Clone,
    {
        let mut maps = self.lock();
        if let Some(answer) = maps.young.get(question) {
            return Ok(answer.clone());
        }
        match maps.old.remove(question) {
            Some(answer) => {
                self.insert(&mut maps, question.clone(), answer.clone());
                Ok(answer)
            }
            None => Err(Stamp(maps.stamp)),
        }
    }

    /// Keeps an answer, unless the memory was forgotten since the question was asked.
    pub(crate) fn keep(&self, stamp: Stamp, question: K, answer: V) {
        let mut maps = self.lock();
        if maps.stamp == stamp.0 {
            self.insert(&mut maps, question, answer);
        }
    }

    /// Forgets everything.
    pub(crate) fn forget(&self) {
        let mut maps = self.lock();
        maps.stamp += 1;
        maps.young.clear();
        maps.old.clear();
    }

    fn insert(&self, maps: &mut Maps<K, V>, question: K, answer: V) {
        if maps.young.len() >= self.capacity {
            maps.old = std::mem::take(&mut maps.young);
        }
        maps.young.insert(question, answer);
    }

    fn lock(&self) -> MutexGuard<'_, Maps<K, V>> {
        self.maps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(memory: &Memory<u32, u32>, question: u32) -> bool {
        memory.recall(&question).is_ok()
    }

    #[test]
    fn what_is_in_use_survives_a_flood_and_the_memory_stays_bounded() {
        let memory = Memory::new(100);
        for n in 0..10_000 {
            if let Err(stamp) = memory.recall(&n) {
                memory.keep(stamp, n, n);
            }
            if n > 0 {
                assert!(kept(&memory, 0), "asked for all the time, gone after {n}");
            }
        }
        let maps = memory.lock();
        assert!(maps.young.len() + maps.old.len() <= 200);
    }

    #[test]
    fn an_answer_from_before_the_change_is_not_kept() {
        let memory = Memory::new(10);
        let Err(stamp) = memory.recall(&1) else { unreachable!("nothing was kept") };
        memory.forget();
        memory.keep(stamp, 1, 1);
        assert!(!kept(&memory, 1));
    }
}
