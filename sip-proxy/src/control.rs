//! The proxy seen from its process: what listens, running calls, drain and stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base::Id;
use base::id::kind::{Call as CallKind, Device, MediaSession, Tenant, User};
use call::Cause;
use domain::ports::{Calls, RunningCall, Unavailable};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::edge::Inlet;
use crate::location::Location;
use crate::shard::{Command, ToShard};

/// How often a drain looks whether calls are left.
const DRAIN_POLL: Duration = Duration::from_millis(100);
/// How long calls that were told to end may take for BYE, relay and settlement.
const SETTLE_WAIT: Duration = Duration::from_secs(10);

/// A running proxy.
pub struct Handle {
    context: Arc<Context>,
    inlet: Inlet,
    ends: Ends,
    writer: JoinHandle<()>,
    addresses: Vec<(&'static str, SocketAddr)>,
}

/// How the proxy ends: when told, or because a part of it died.
pub(crate) struct Ends {
    pub(crate) stop: CancellationToken,
    pub(crate) failed: CancellationToken,
}

/// Running calls for whoever asks; a cheap clone of the handle's inside.
#[derive(Clone)]
pub struct CallsPort {
    inlet: Inlet,
}

/// Ends calls whose media has stopped.
pub struct MediaWatch {
    calls: CallsPort,
}

impl MediaWatch {
    /// The relay has seen no packet of this session for too long: its call ends.
    pub async fn media_timed_out(&self, session: Id<MediaSession>) {
        let _ = self.calls.end_with(Id::from_i64(session.as_i64()), Cause::MediaTimeout).await;
    }
}

/// Ends registrations from outside the registrar.
pub struct Registrations {
    location: Arc<Location>,
}

impl Registrations {
    /// Drops every binding of a device.
    pub fn drop_device(&self, user: Id<User>, device: Id<Device>) {
        self.location.update(user, |placed| placed.retain(|p| p.device != device));
    }
}

impl Handle {
    pub(crate) fn new(
        context: Arc<Context>,
        inlet: Inlet,
        ends: Ends,
        writer: JoinHandle<()>,
        addresses: Vec<(&'static str, SocketAddr)>,
    ) -> Self {
        Self { context, inlet, ends, writer, addresses }
    }

    /// What listens where.
    pub fn addresses(&self) -> &[(&'static str, SocketAddr)] {
        &self.addresses
    }

    /// The port through which others see and end calls.
    pub fn calls(&self) -> Arc<CallsPort> {
        Arc::new(CallsPort { inlet: self.inlet.clone() })
    }

    /// Cancelled when a part of the proxy died: calls are lost, and only a restart helps.
    pub fn failed(&self) -> CancellationToken {
        self.ends.failed.clone()
    }

    /// Where the relay's notices go.
    pub fn media_watch(&self) -> MediaWatch {
        MediaWatch { calls: CallsPort { inlet: self.inlet.clone() } }
    }

    /// For whoever ends registrations from outside.
    pub fn registrations(&self) -> Registrations {
        Registrations { location: Arc::clone(&self.context.location) }
    }

    /// Takes no new calls, waits up to `deadline` for running ones, then ends them with BYE, and waits until every record
    /// is settled. Returns how many calls had to be ended.
    pub async fn drain(&self, deadline: Duration) -> usize {
        for shard in self.inlet.shards() {
            let _ = shard.send(ToShard::Command(Command::Drain)).await;
        }
        let calls = self.calls();
        let until = tokio::time::Instant::now() + deadline;
        let mut left = calls.count().await;
        while left > 0 && tokio::time::Instant::now() < until {
            tokio::time::sleep(DRAIN_POLL).await;
            left = calls.count().await;
        }
        for shard in self.inlet.shards() {
            let _ = shard.send(ToShard::Command(Command::EndAll(Cause::Administrative))).await;
        }
        let settled = async {
            // Calls settled, and BYEs and CANCELs answered: a lost datagram is sent again.
            while calls.busy().await > 0 {
                tokio::time::sleep(DRAIN_POLL).await;
            }
            self.context.questions.close();
            self.context.questions.wait().await;
        };
        if tokio::time::timeout(SETTLE_WAIT, settled).await.is_err() {
            tracing::error!("calls were not settled in time; they are left to the sweeper");
        }
        left
    }

    /// Closes every socket and writes what is left of the location table.
    pub async fn stop(self) {
        self.ends.stop.cancel();
        self.context.transports.tasks.close();
        self.context.transports.tasks.wait().await;
        let _ = self.writer.await;
    }
}

impl CallsPort {
    async fn count(&self) -> usize {
        self.all().await.map_or(0, |calls| calls.len())
    }

    async fn busy(&self) -> usize {
        let mut busy = 0;
        for shard in self.inlet.shards() {
            let (reply, answer) = oneshot::channel();
            if shard.send(ToShard::Command(Command::Busy(reply))).await.is_ok() {
                busy += answer.await.unwrap_or(0);
            }
        }
        busy
    }

    async fn all(&self) -> Result<Vec<RunningCall>, Unavailable> {
        let mut all = Vec::new();
        for shard in self.inlet.shards() {
            let (reply, answer) = oneshot::channel();
            shard.send(ToShard::Command(Command::List(reply))).await.map_err(|_| stopped())?;
            all.extend(answer.await.map_err(|_| stopped())?);
        }
        all.sort_by_key(|c| c.parties.call);
        Ok(all)
    }

    async fn end_with(&self, call: Id<CallKind>, cause: Cause) -> Result<bool, Unavailable> {
        for shard in self.inlet.shards() {
            let (done, answer) = oneshot::channel();
            shard.send(ToShard::Command(Command::End { call, cause, done })).await.map_err(|_| stopped())?;
            if answer.await.map_err(|_| stopped())? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn stopped() -> Unavailable {
    Unavailable("the proxy has stopped".into())
}

#[async_trait]
impl Calls for CallsPort {
    async fn list(&self, tenant: Option<Id<Tenant>>, limit: usize) -> Result<Vec<RunningCall>, Unavailable> {
        let mut calls = self.all().await?;
        calls.retain(|c| tenant.is_none_or(|t| c.parties.tenant == t));
        calls.truncate(limit);
        Ok(calls)
    }

    async fn end(&self, call: Id<CallKind>, cause: &str) -> Result<bool, Unavailable> {
        tracing::info!(%call, cause, "call ended from outside");
        self.end_with(call, Cause::Administrative).await
    }
}
