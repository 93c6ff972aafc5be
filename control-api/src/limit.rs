//! Rate limits (D20): a bounded table of buckets, each kept as the one time at which it would be empty again (the generic
//! cell rate algorithm). What does not fit into the table shares one bucket, so a flood of addresses cannot fill the memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base::Id;
use base::id::kind::{Tenant, User};

use crate::problem::{Code, Problem};

/// Most buckets of one kind, about 64 octets each.
const BUCKETS_MAX: usize = 100_000;

/// Who is counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Address(IpAddr),
    User(Id<User>),
    Tenant(Id<Tenant>),
    /// Attempts to log in under one name.
    Login(String),
    /// Attempts to log in from one address.
    LoginFrom(IpAddr),
    /// Tries of the own password.
    Password(Id<User>),
}

/// Requests per minute and per ...; 0 switches a limit off.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rates {
    /// ... address, for requests without a token.
    pub(crate) address: u32,
    /// ... user.
    pub(crate) user: u32,
    /// ... tenant.
    pub(crate) tenant: u32,
    /// ... login name, and ten times as many per address.
    pub(crate) login: u32,
}

/// All limits of the API.
#[derive(Debug)]
pub(crate) struct Limits {
    rates: Rates,
    buckets: Mutex<Buckets<Key>>,
}

impl Limits {
    pub(crate) fn new(rates: Rates) -> Self {
        Self { rates, buckets: Mutex::new(Buckets::new(BUCKETS_MAX)) }
    }

    /// One request without a good token.
    pub(crate) fn address(&self, address: IpAddr) -> Result<(), Problem> {
        self.take(Key::Address(network(address)), self.rates.address)
    }

    /// One request of a user.
    pub(crate) fn caller(&self, user: Id<User>, tenant: Id<Tenant>) -> Result<(), Problem> {
        self.take(Key::User(user), self.rates.user)?;
        self.take(Key::Tenant(tenant), self.rates.tenant)
    }

    /// One attempt to log in.
    pub(crate) fn login(&self, name: &str, address: IpAddr) -> Result<(), Problem> {
        self.take(Key::LoginFrom(network(address)), self.rates.login.saturating_mul(10))?;
        self.take(Key::Login(name.to_lowercase()), self.rates.login)
    }

    /// One try of the own password.
    pub(crate) fn password(&self, user: Id<User>) -> Result<(), Problem> {
        self.take(Key::Password(user), self.rates.login)
    }

    fn take(&self, key: Key, per_minute: u32) -> Result<(), Problem> {
        if per_minute == 0 {
            return Ok(());
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.take(key, per_minute, Instant::now()).map_err(|wait| {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            Problem::new(Code::RateLimited, format!("at most {per_minute} requests per minute")).retry_after(seconds)
        })
    }
}

/// An IPv6 host owns a /64, so that is what counts.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => IpAddr::from((u128::from(v6) >> 64 << 64).to_be_bytes()),
    }
}

#[derive(Debug)]
struct Buckets<K> {
    /// When each bucket is empty again; one that is empty may be forgotten.
    empty_at: HashMap<K, Instant>,
    overflow: Option<Instant>,
    max: usize,
    next_sweep: Option<Instant>,
}

impl<K: Eq + Hash> Buckets<K> {
    fn new(max: usize) -> Self {
        Self { empty_at: HashMap::new(), overflow: None, max, next_sweep: None }
    }

    /// Takes one of `per_minute` places; when there is none, how long until there is one.
    fn take(&mut self, key: K, per_minute: u32, now: Instant) -> Result<(), Duration> {
        let minute = Duration::from_secs(60);
        let step = minute / per_minute.max(1);
        self.sweep(now);
        let room = self.empty_at.len() < self.max || self.empty_at.contains_key(&key);
        let slot = if room { Some(self.empty_at.entry(key).or_insert(now)) } else { None };
        let overflow = &mut self.overflow;
        let slot = slot.unwrap_or_else(|| overflow.get_or_insert(now));
        let filled = (*slot).max(now) + step;
        match (filled - now).checked_sub(minute) {
            None | Some(Duration::ZERO) => {
                *slot = filled;
                Ok(())
            }
            Some(wait) => Err(wait),
        }
    }

    /// Forgets empty buckets, at most once a second when the table is full, else once a minute.
    fn sweep(&mut self, now: Instant) {
        if self.next_sweep.is_some_and(|at| at > now) {
            return;
        }
        self.empty_at.retain(|_, at| *at > now);
        let full = self.empty_at.len() >= self.max;
        self.next_sweep = Some(now + Duration::from_secs(if full { 1 } else { 60 }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d20_so_many_per_minute_and_then_one_per_step() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut buckets = Buckets::new(10);
        assert!((0..100).all(|_| buckets.take("a", 100, at(0)).is_ok()));
        assert_eq!(buckets.take("a", 100, at(0)), Err(Duration::from_millis(600)));
        assert_eq!(buckets.take("a", 100, at(500)), Err(Duration::from_millis(100)));
        assert!(buckets.take("b", 100, at(500)).is_ok());
        assert!(buckets.take("a", 100, at(600)).is_ok());
        assert!(buckets.take("a", 100, at(600)).is_err());
    }

    #[test]
    fn the_table_stays_bounded_and_forgets_empty_buckets() {
        let start = Instant::now();
        let mut buckets = Buckets::new(3);
        for n in 0..50 {
            _ = buckets.take(n, 6, start);
        }
        assert_eq!(buckets.empty_at.len(), 3);
        assert!(buckets.take(99, 6, start).is_err(), "the shared bucket is full");
        assert!(buckets.take(99, 6, start + Duration::from_secs(61)).is_ok());
        assert_eq!(buckets.empty_at.len(), 1);
    }

    #[test]
    fn hosts_of_one_ipv6_network_are_one() {
        let address = |text: &str| text.parse::<IpAddr>().map(network);
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:1"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
    }
}
