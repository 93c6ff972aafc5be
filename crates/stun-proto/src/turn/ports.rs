//! The relay ports of one address: which are free, which rest after use (RFC 8656 §5).

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::Instant;

use base::Random;

use super::PORT_QUARANTINE;

/// Random picks before an even port is searched one by one.
const EVEN_TRIES: usize = 32;
const TAKEN: u32 = u32::MAX;

/// A pool of ports. Taking and giving back are O(1); only a search for an even pair in a nearly full pool is not.
#[derive(Debug, Clone)]
pub(super) struct Ports {
    first: u16,
    free: Vec<u16>,
    /// For every port of the range its place in `free`, or [`TAKEN`].
    place: Vec<u32>,
    resting: VecDeque<(Instant, u16)>,
}

impl Ports {
    pub(super) fn new(range: &RangeInclusive<u16>) -> Self {
        let free: Vec<u16> = range.clone().filter(|port| *port != 0).collect();
        let first = free.first().copied().unwrap_or(0);
        let place = (0..free.len() as u32).collect();
        Self { first, free, place, resting: VecDeque::new() }
    }

    /// A random free port. When none is left, the one that has rested longest.
    pub(super) fn take(&mut self, now: Instant, random: &mut Random) -> Option<u16> {
        self.wake(now);
        if self.free.is_empty() {
            return self.resting.pop_front().map(|(_, port)| port);
        }
        let port = self.free[random.below(self.free.len() as u64) as usize];
        self.remove(port);
        Some(port)
    }

    /// A random free even port; with `pair` the next one is free, too, and both are taken.
    pub(super) fn take_even(&mut self, now: Instant, random: &mut Random, pair: bool) -> Option<u16> {
        self.wake(now);
        let fits = |ports: &Self, port: u16| port.is_multiple_of(2) && (!pair || ports.is_free(port.saturating_add(1)));
        let count = self.free.len();
        let picks = (0..EVEN_TRIES.min(count)).map(|_| self.free[random.below(count as u64) as usize]);
        let port = picks.collect::<Vec<_>>().into_iter().chain(self.free.iter().copied()).find(|p| fits(self, *p))?;
        self.remove(port);
        if pair {
            self.remove(port + 1);
        }
        Some(port)
    }

    /// Gives a port back after use; it rests first.
    pub(super) fn give_back(&mut self, now: Instant, port: u16) {
        self.resting.push_back((now + PORT_QUARANTINE, port));
    }

    fn wake(&mut self, now: Instant) {
        while let Some((_, port)) = self.resting.pop_front_if(|(until, _)| *until <= now) {
            self.place[usize::from(port - self.first)] = self.free.len() as u32;
            self.free.push(port);
        }
    }

    fn is_free(&self, port: u16) -> bool {
        let index = usize::from(port.wrapping_sub(self.first));
        port >= self.first && self.place.get(index).is_some_and(|place| *place != TAKEN)
    }

    fn remove(&mut self, port: u16) {
        let place = std::mem::replace(&mut self.place[usize::from(port - self.first)], TAKEN) as usize;
        self.free.swap_remove(place);
        if let Some(moved) = self.free.get(place) {
            self.place[usize::from(moved - self.first)] = place as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_port_is_given_once_and_rests_two_minutes() {
        let (start, mut random) = (Instant::now(), Random::from_seed(1));
        let mut ports = Ports::new(&(1000..=1099));
        let taken: BTreeSet<u16> = std::iter::from_fn(|| ports.take(start, &mut random)).collect();
        assert_eq!(taken, (1000..=1099).collect());
        ports.give_back(start, 1050);
        ports.give_back(start, 1007);
        assert_eq!(ports.take_even(start, &mut random, false), None, "still resting");
        assert_eq!(ports.take_even(start + PORT_QUARANTINE, &mut random, false), Some(1050));
        assert_eq!(ports.take(start, &mut random), Some(1007));
    }

    #[test]
    fn an_exhausted_pool_wakes_the_port_that_rested_longest() {
        let (start, mut random) = (Instant::now(), Random::from_seed(1));
        let mut ports = Ports::new(&(7..=7));
        assert_eq!(ports.take(start, &mut random), Some(7));
        ports.give_back(start, 7);
        assert_eq!(ports.take(start, &mut random), Some(7));
    }

    #[test]
    fn pairs_are_even_and_adjacent_to_the_end_of_the_range() {
        let (start, mut random) = (Instant::now(), Random::from_seed(3));
        let mut ports = Ports::new(&(65_501..=65_535));
        let mut pairs = 0;
        while let Some(port) = ports.take_even(start, &mut random, true) {
            assert!(port.is_multiple_of(2) && !ports.is_free(port) && !ports.is_free(port + 1));
            pairs += 1;
        }
        assert_eq!(pairs, 17);
        assert_eq!(ports.take(start, &mut random), Some(65_501));
        assert_eq!(ports.take(start, &mut random), None);
    }
}
