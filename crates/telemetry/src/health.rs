//! Which parts of the process are ready to work. Alive is not ready: a draining process is alive.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Parts of this process and their state.
#[derive(Debug, Default)]
pub struct Health {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    draining: bool,
    /// Why each part is not ready; `None`: it is.
    parts: BTreeMap<String, Option<String>>,
}

/// A part's own handle; when all its clones are dropped the part stays as it was.
#[derive(Debug, Clone)]
pub struct Component {
    health: Arc<Health>,
    name: String,
}

/// What `/readyz` answers.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Readiness {
    /// Whether new work may be sent here.
    pub ready: bool,
    /// Whether the process is on its way out.
    pub draining: bool,
    /// Every part: `ready`, or why not.
    pub components: BTreeMap<String, String>,
}

impl Health {
    /// Nothing to wait for yet.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Adds a part, which is not ready until it says so.
    pub fn component(self: &Arc<Self>, name: &str) -> Component {
        self.lock().parts.insert(name.to_owned(), Some("starting".to_owned()));
        Component { health: Arc::clone(self), name: name.to_owned() }
    }

    /// From now on the process takes no new work.
    pub fn drain(&self) {
        self.lock().draining = true;
    }

    /// The state of everything.
    pub fn readiness(&self) -> Readiness {
        let state = self.lock();
        let word = |reason: &Option<String>| reason.clone().unwrap_or_else(|| "ready".to_owned());
        Readiness {
            ready: !state.draining && state.parts.values().all(Option::is_none),
            draining: state.draining,
            components: state.parts.iter().map(|(name, reason)| (name.clone(), word(reason))).collect(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Component {
    /// It works.
    pub fn ready(&self) {
        self.health.lock().parts.insert(self.name.clone(), None);
    }

    /// It cannot work now; `reason` is for an operator.
    pub fn not_ready(&self, reason: &str) {
        self.health.lock().parts.insert(self.name.clone(), Some(reason.to_owned()));
    }
}
