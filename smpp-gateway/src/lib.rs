//! Texts between the switch and its SMPP carriers, and between its own numbers.
//!
//! The gateway claims queued parts under a lease, submits them over the carriers' binds, and writes back what became of
//! them; it takes what carriers deliver and acknowledges it only when the store has it. All that must survive is in
//! the store: a process that dies between any two steps loses nothing, and what it had in flight is sent again. Texts
//! between our own numbers never leave: they are claimed, stored for the recipient and settled here (`on_net`).
//!
//! It does not choose carriers (the message's plan does), price anything or talk to users. Binds of customers to us
//! (the accepting side) are not here yet.
//!
//! SMPP 3.4; the protocol itself is `smpp-proto`.

mod bind;
mod config;
mod dispatch;
mod error;
mod inbound;
mod lines;
mod metrics;
mod on_net;
mod outbound;
mod roster;
mod settle;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::id::kind::{Carrier, Message};
use base::time::Clock;
use base::{E164, Id, Random, Timestamp};
use domain::event::Fact;
use domain::ports::{Directory, Events, SmsQueue};
use domain::sms::StatusChange;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

pub use config::Config;
pub use error::GatewayError;

use lines::Lines;
use metrics::Metrics;

/// What the gateway needs from the world.
#[derive(Clone)]
pub struct Deps {
    /// The queue of texts.
    pub queue: Arc<dyn SmsQueue>,
    /// Carriers and numbers.
    pub directory: Arc<dyn Directory>,
    /// Where inbound texts and new statuses are announced.
    pub events: Arc<dyn Events>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Makes ids of inbound messages: the generator of the queue, so that no two texts of it share one.
    pub message_id: Arc<dyn Fn() -> Id<Message> + Send + Sync>,
    /// Notified when a text was queued. Only a hint: the queue is looked at every `poll_interval_ms` anyway.
    pub queued: Arc<Notify>,
    /// For the spread of reconnections.
    pub seed: u64,
}

/// What every task of the gateway shares.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) deps: Deps,
    pub(crate) lines: Lines,
    pub(crate) metrics: Metrics,
    /// Rung when a text was queued.
    pub(crate) wake_dispatch: Notify,
    /// Rung when a text was queued.
    pub(crate) wake_on_net: Notify,
    random: Mutex<Random>,
}

/// A running gateway. Dropping it without [`Self::stop`] ends claiming at once; binds unbind in the background.
#[derive(Debug)]
pub struct Handle {
    shared: Arc<Shared>,
    stopping: watch::Sender<bool>,
    dispatch: JoinHandle<()>,
    on_net: JoinHandle<()>,
    roster: JoinHandle<()>,
    hints: JoinHandle<()>,
}

/// A carrier as an administrator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindStatus {
    /// The carrier.
    pub carrier: Id<Carrier>,
    /// Its name.
    pub name: String,
    /// Whether it is bound.
    pub bound: bool,
    /// Texts that it has: waiting for window and pace, for an answer, or for the store.
    pub texts: usize,
}

/// Starts on the current tokio runtime.
///
/// # Errors
/// [`GatewayError::Malformed`] when a setting cannot be.
pub fn start(config: Config, deps: Deps) -> Result<Handle, GatewayError> {
    config.check().map_err(GatewayError::Malformed)?;
    let random = Mutex::new(Random::from_seed(deps.seed));
    let shared = Arc::new(Shared {
        config,
        deps,
        lines: Lines::default(),
        metrics: Metrics::new(),
        wake_dispatch: Notify::new(),
        wake_on_net: Notify::new(),
        random,
    });
    let (stopping, stopped) = watch::channel(false);
    Ok(Handle {
        dispatch: tokio::spawn(dispatch::run(Arc::clone(&shared), stopped.clone())),
        on_net: tokio::spawn(on_net::run(Arc::clone(&shared), stopped.clone())),
        roster: tokio::spawn(roster::run(Arc::clone(&shared), stopped)),
        hints: tokio::spawn(pass_hints_on(Arc::clone(&shared))),
        shared,
        stopping,
    })
}

impl Handle {
    /// Every configured carrier, by id.
    pub fn binds(&self) -> Vec<BindStatus> {
        self.shared.lines.status()
    }

    /// Stops in good order: takes nothing more from the queue, gives back what was not sent, waits for open answers as
    /// long as `unbind_timeout_ms`, unbinds, writes everything back.
    pub async fn stop(mut self) {
        self.stopping.send_replace(true);
        // Twice the time of unbinding (responses, then unbind itself), and some for the store.
        let patience =
            Duration::from_millis(self.shared.config.unbind_timeout_ms.saturating_mul(2).saturating_add(5_000));
        let all = async {
            _ = (&mut self.dispatch).await;
            _ = (&mut self.on_net).await;
            _ = (&mut self.roster).await;
        };
        if tokio::time::timeout(patience, all).await.is_err() {
            tracing::warn!("binds did not end in time; texts in flight will be sent again after their lease");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.dispatch.abort();
        self.on_net.abort();
        self.roster.abort();
        self.hints.abort();
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("lines", &self.lines).finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn now(&self) -> Timestamp {
        self.deps.clock.now()
    }

    /// Tells whoever listens of new statuses.
    pub(crate) fn publish(&self, changes: Vec<StatusChange>) {
        for change in changes {
            self.deps.events.publish(Some(change.tenant), change.into());
        }
    }

    /// Tells whoever listens of a text that came in; what matters is in the store.
    pub(crate) async fn announce(&self, to: &E164, message: Id<Message>) {
        if let Ok(Some(number)) = self.deps.directory.number(to).await {
            let user = number.owner.as_ref().map(|owner| owner.id);
            self.deps.events.publish(Some(number.tenant), Fact::SmsInbound { message, user });
        }
    }

    /// `wait` and up to a quarter more, so that binds broken together do not come back together.
    pub(crate) fn spread(&self, wait: Duration) -> Duration {
        let quarter = u64::try_from(wait.as_millis() / 4).unwrap_or(u64::MAX).max(1);
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        wait + Duration::from_millis(random.below(quarter))
    }
}

/// One hint wakes both who take from the queue: which of them a text is for, only the queue knows.
async fn pass_hints_on(shared: Arc<Shared>) {
    loop {
        shared.deps.queued.notified().await;
        shared.wake_dispatch.notify_one();
        shared.wake_on_net.notify_one();
    }
}

/// Ends when the gateway, or one of its binds, is to stop; also when whoever could say so is gone.
pub(crate) async fn stop_asked(stopped: &mut watch::Receiver<bool>) {
    _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Whether [`stop_asked`] would end at once.
pub(crate) fn is_stopped(stopped: &watch::Receiver<bool>) -> bool {
    *stopped.borrow() || stopped.has_changed().is_err()
}
