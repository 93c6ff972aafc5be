//! What all parts of the proxy share: ports, settings, the location table, the ways out.

use std::sync::{Arc, Mutex, PoisonError};

use base::id::kind::{Call as CallKind, MediaSession};
use base::time::Clock;
use base::{Id, IdGenerator};
use call::Now;
use domain::ports::{Accounts, Billing, Directory, Events, Locations, MediaRelay};
use sip_proto::Flow;
use tokio_util::task::TaskTracker;

use crate::authenticate::Authenticator;
use crate::config::Config;
use crate::edge::Transports;
use crate::location::Location;
use crate::metrics::Metrics;
use crate::seats::Seats;

/// What the proxy needs of others.
#[derive(Clone)]
pub struct Deps {
    /// Who may authenticate.
    pub accounts: Arc<dyn Accounts>,
    /// Where names and numbers lead.
    pub directory: Arc<dyn Directory>,
    /// Money and records.
    pub billing: Arc<dyn Billing>,
    /// Where bindings are kept.
    pub locations: Arc<dyn Locations>,
    /// Media.
    pub relay: Arc<dyn MediaRelay>,
    /// Who listens.
    pub events: Arc<dyn Events>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Key of the nonces of digest challenges; the same on every node that answers for a domain.
    pub nonce_key: base::Secret,
}

pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) deps: Deps,
    pub(crate) location: Arc<Location>,
    pub(crate) transports: Arc<Transports>,
    pub(crate) authenticator: Authenticator,
    pub(crate) metrics: Metrics,
    pub(crate) ids: Mutex<IdGenerator>,
    /// The way to media applications.
    pub(crate) media_flow: Flow,
    /// Places on trunks.
    pub(crate) seats: Seats,
    /// Questions to ports that are under way; a drain waits for them.
    pub(crate) questions: TaskTracker,
}

impl Context {
    pub(crate) fn now(&self) -> Now {
        Now { instant: std::time::Instant::now(), wall: self.deps.clock.now() }
    }

    pub(crate) fn new_call_id(&self, now: Now) -> Id<CallKind> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).next(now.wall)
    }
}

/// The relay session of a call has the call's number.
pub(crate) fn media_session(call: Id<CallKind>) -> Id<MediaSession> {
    Id::from_i64(call.as_i64())
}
