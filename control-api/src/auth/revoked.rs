//! Access tokens that are dead before their time: of a login that ended, of a user whose password or role changed. They
//! are checked without the store, so this node remembers them itself for as long as they would have lived. Other nodes
//! refuse the refresh token, and so the login dies there within the life of an access token.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base::id::kind::{Session, User};
use base::{Id, Timestamp};

/// Most entries of one kind; over it the one that ends first is forgotten.
const ENTRIES_MAX: usize = 100_000;

/// What is dead.
#[derive(Debug)]
pub(crate) struct Revoked {
    ttl: Duration,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    sessions: HashMap<Id<Session>, Timestamp>,
    /// Logins of a user that are older than this one are dead.
    users: HashMap<Id<User>, (Id<Session>, Timestamp)>,
}

impl Revoked {
    /// For tokens that live for `ttl`.
    pub(crate) fn new(ttl: Duration) -> Self {
        Self { ttl, inner: Mutex::default() }
    }

    /// The tokens of one login are dead.
    pub(crate) fn session(&self, session: Id<Session>, now: Timestamp) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&mut inner.sessions, now, |end| *end);
        inner.sessions.insert(session, now.after(self.ttl));
    }

    /// The tokens of every login of `user` before `barrier` are dead.
    pub(crate) fn user(&self, user: Id<User>, barrier: Id<Session>, now: Timestamp) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&mut inner.users, now, |(_, end)| *end);
        inner.users.insert(user, (barrier, now.after(self.ttl)));
    }

    /// Whether a token of this login is dead.
    pub(crate) fn has(&self, user: Id<User>, session: Id<Session>) -> bool {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.sessions.contains_key(&session) || inner.users.get(&user).is_some_and(|(barrier, _)| session < *barrier)
    }
}

/// Forgets what has ended when the table is full, and if that is not enough, what ends first.
fn make_room<K: Eq + Hash + Copy, V>(table: &mut HashMap<K, V>, now: Timestamp, end: impl Fn(&V) -> Timestamp) {
    if table.len() < ENTRIES_MAX {
        return;
    }
    table.retain(|_, v| end(v) > now);
    if table.len() >= ENTRIES_MAX
        && let Some(first) = table.iter().min_by_key(|(_, v)| end(v)).map(|(k, _)| *k)
    {
        table.remove(&first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_barrier_kills_older_logins_only_and_the_table_stays_bounded() {
        let revoked = Revoked::new(Duration::from_secs(900));
        let (user, now) = (Id::from_i64(1), Timestamp::from_millis(0));
        revoked.user(user, Id::from_i64(10), now);
        assert!(revoked.has(user, Id::from_i64(9)) && !revoked.has(user, Id::from_i64(10)));
        assert!(!revoked.has(Id::from_i64(2), Id::from_i64(9)));
        for n in 0..=ENTRIES_MAX as i64 {
            revoked.session(Id::from_i64(n), Timestamp::from_millis(n));
        }
        assert!(!revoked.has(Id::from_i64(2), Id::from_i64(0)), "the first to end is forgotten");
        assert!(revoked.has(Id::from_i64(2), Id::from_i64(1)));
    }
}
