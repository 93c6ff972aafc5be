//! How many legs use each trunk at the same time, all shards together; a trunk's limit refuses the next one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base::Id;
use base::id::kind::Trunk;

use crate::pipeline::TrunkUse;

/// Occupied places by trunk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seats(Arc<Mutex<HashMap<Id<Trunk>, u32>>>);

/// One place on a trunk; free again when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Seats,
    trunk: Id<Trunk>,
}

impl Seats {
    /// A place, or `None` when the trunk has no more.
    pub(crate) fn take(&self, wanted: TrunkUse) -> Option<Seat> {
        let mut taken = self.lock();
        let count = taken.entry(wanted.id).or_insert(0);
        if wanted.calls_max.is_some_and(|max| *count >= max) {
            return None;
        }
        *count += 1;
        Some(Seat { seats: self.clone(), trunk: wanted.id })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Id<Trunk>, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        if let Some(count) = taken.get_mut(&self.trunk) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.trunk);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trunk_takes_as_many_calls_as_it_may_and_places_come_back() {
        let seats = Seats::default();
        let trunk = TrunkUse { id: Id::from_i64(1), calls_max: Some(2) };
        let first = seats.take(trunk);
        let second = seats.take(trunk);
        assert!(first.is_some() && second.is_some() && seats.take(trunk).is_none());
        drop(first);
        assert!(seats.take(trunk).is_some());
        drop(second);
        assert!(seats.take(TrunkUse { calls_max: None, ..trunk }).is_some());
    }
}
