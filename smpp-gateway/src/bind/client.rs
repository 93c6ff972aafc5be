//! The task of one carrier: connects, binds, and comes back after every end with growing patience, until it is stopped.
//!
//! While there is no session its line takes no parts, and what reaches it nevertheless is given back.

use std::sync::Arc;

use base::Id;
use base::id::kind::Carrier;
use domain::trunk::{BindType, CarrierFacts};
use smpp_proto::session::{BindRequest, CloseReason, Role};
use smpp_proto::{BindMode, SessionConfig};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Duration, Instant};

use super::drive::Drive;
use crate::lines::{Leased, Line};
use crate::settle::{self, Entry, Settled};
use crate::{Shared, is_stopped, stop_asked};

/// A session that was bound for this long was a good one: the next reconnection is quick again.
const GOOD_SESSION: Duration = Duration::from_secs(30);

/// What the tasks of one line share.
pub(super) struct Bind {
    pub(super) shared: Arc<Shared>,
    pub(super) line: Arc<Line>,
    /// Whose texts this carrier's receipts are about.
    pub(super) receipts_for: Id<Carrier>,
    pub(super) settled: mpsc::Sender<Settled>,
}

/// Runs until stopped, after `former`, the carrier's bind with its former facts, has ended.
pub(crate) async fn run(
    shared: Arc<Shared>,
    facts: Arc<CarrierFacts>,
    receipts_for: Id<Carrier>,
    former: Option<JoinHandle<()>>,
    mut stopped: watch::Receiver<bool>,
) {
    if let Some(Err(error)) = wait(former).await {
        tracing::error!(carrier = %facts.name, %error, "the task of a bind has died");
    }
    let (line, mut parts) = Line::new(facts);
    // Room for every permit; late answers, which have none, wait for it.
    let (settled, entries) = mpsc::channel(line.capacity.max(1));
    let settling = tokio::spawn(settle::run(Arc::clone(&shared), entries));
    shared.lines.put(Arc::clone(&line));
    let bind = Bind { shared: Arc::clone(&shared), line: Arc::clone(&line), receipts_for, settled };
    bind.keep(&mut parts, &mut stopped).await;
    shared.lines.remove(&line);
    parts.close();
    while let Some(leased) = parts.recv().await {
        bind.give_back(leased).await;
    }
    drop(bind);
    if let Err(error) = settling.await {
        tracing::error!(carrier = %line.facts.name, %error, "the task that settles has died");
    }
}

async fn wait(former: Option<JoinHandle<()>>) -> Option<Result<(), tokio::task::JoinError>> {
    match former {
        Some(task) => Some(task.await),
        None => None,
    }
}

impl Bind {
    /// One session after the other.
    async fn keep(&self, parts: &mut mpsc::Receiver<Leased>, stopped: &mut watch::Receiver<bool>) {
        let config = &self.shared.config;
        let (shortest, longest) =
            (Duration::from_millis(config.reconnect_min_ms), Duration::from_millis(config.reconnect_max_ms));
        let mut patience = shortest;
        let name = &self.line.facts.name;
        while !is_stopped(stopped) {
            let began = Instant::now();
            let ended = self.session(parts, stopped).await;
            self.line.set_bound(false, false);
            self.shared.metrics.bound.with([name]).set(0);
            self.shared.metrics.unbound.with([name]).increment();
            if is_stopped(stopped) {
                tracing::info!(carrier = %name, reason = %ended, "carrier unbound");
                return;
            }
            if began.elapsed() >= GOOD_SESSION {
                patience = shortest;
            }
            let wait = self.shared.spread(patience);
            patience = (patience * 2).min(longest);
            tracing::warn!(carrier = %name, reason = %ended, wait_ms = wait.as_millis(), "carrier not bound");
            self.sit_out(wait, parts, stopped).await;
        }
    }

    /// Connects and runs one session to its end.
    async fn session(&self, parts: &mut mpsc::Receiver<Leased>, stopped: &mut watch::Receiver<bool>) -> Ended {
        let facts = &self.line.facts;
        let patience = Duration::from_millis(self.shared.config.bind_timeout_ms);
        let connecting = tokio::time::timeout(patience, TcpStream::connect((facts.host.as_str(), facts.port)));
        let stream = tokio::select! {
            () = stop_asked(stopped) => return Ended::Session(CloseReason::Unbound),
            connected = connecting => match connected {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return Ended::NotConnected(error.to_string()),
                Err(_) => return Ended::NotConnected("no answer in time".to_owned()),
            },
        };
        // A small PDU must not wait for a full segment. If the system refuses, it is only slower.
        _ = stream.set_nodelay(true);
        match Drive::start(self, self.role(), self.session_config()) {
            Ok(drive) => Ended::Session(drive.run(stream, parts, stopped).await),
            Err(error) => Ended::NotConnected(error.to_string()),
        }
    }

    fn role(&self) -> Role {
        let facts = &self.line.facts;
        let mode = match facts.bind {
            BindType::Transmitter => BindMode::Transmitter,
            BindType::Receiver => BindMode::Receiver,
            BindType::Transceiver => BindMode::Transceiver,
        };
        let mut request = BindRequest::new(mode, facts.system_id.clone(), facts.password.clone());
        request.system_type.clone_from(&facts.system_type);
        Role::Esme(request)
    }

    fn session_config(&self) -> SessionConfig {
        let config = &self.shared.config;
        SessionConfig {
            window_requests: self.line.facts.window.max(1),
            queue_requests: u16::try_from(self.line.capacity).unwrap_or(u16::MAX),
            messages_per_second: self.line.facts.submits_per_second,
            bind_timeout: Duration::from_millis(config.bind_timeout_ms),
            response_timeout: Duration::from_millis(config.response_timeout_ms),
            enquire_link_interval: Duration::from_millis(config.enquire_link_interval_ms),
            unbind_timeout: Duration::from_millis(config.unbind_timeout_ms),
        }
    }

    /// Waits for the next attempt; gives back what arrives meanwhile.
    async fn sit_out(&self, wait: Duration, parts: &mut mpsc::Receiver<Leased>, stopped: &mut watch::Receiver<bool>) {
        let until = Instant::now() + wait;
        loop {
            tokio::select! {
                () = stop_asked(stopped) => return,
                () = tokio::time::sleep_until(until) => return,
                Some(leased) = parts.recv() => self.give_back(leased).await,
            }
        }
    }

    /// Gives a part back unsent.
    pub(super) async fn give_back(&self, leased: Leased) {
        self.settle((Entry::Unsent(leased.part), Some(leased.permit))).await;
    }

    /// Hands over what became of a part. Waits only for late answers in excess of the line's capacity.
    pub(super) async fn settle(&self, settled: Settled) {
        if self.settled.send(settled).await.is_err() {
            tracing::error!(carrier = %self.line.facts.name, "nobody settles; the lease ends by itself");
        }
    }
}

/// How an attempt ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("not connected: {0}")]
    NotConnected(String),
    #[error("{0}")]
    Session(CloseReason),
}
