//! The edge: sockets in, datagrams and framed messages to the right shard, bytes out on the right flow. Nothing here
//! understands SIP beyond where a message ends and which Call-ID it has.

mod bind;
mod stream;
mod transports;
mod udp;

pub use bind::{EdgeError, Listeners, bind};
pub(crate) use transports::{Outlets, Transports};
pub(crate) use {stream::accept, udp::read};

use bytes::Bytes;
use sip_proto::Flow;
use telemetry::Counter;
use tokio::sync::mpsc;

use crate::dispatch;
use crate::shard::ToShard;

/// Where edges deliver: one bounded queue per shard.
#[derive(Clone)]
pub(crate) struct Inlet {
    shards: std::sync::Arc<[mpsc::Sender<ToShard>]>,
    shed: Counter,
}

impl Inlet {
    pub(crate) fn new(shards: Vec<mpsc::Sender<ToShard>>, shed: Counter) -> Self {
        Self { shards: shards.into(), shed }
    }

    /// Hands a message to the shard that owns its Call-ID. A full shard sheds it: over UDP the sender tries again, over a
    /// stream its transaction times out; both see less load from us.
    pub(crate) fn deliver(&self, flow: Flow, bytes: Bytes) {
        let shard = dispatch::shard_of_message(&bytes, self.shards.len());
        if self.shards[shard].try_send(ToShard::Received { flow, bytes }).is_err() {
            self.shed.increment();
        }
    }

    /// Tells every shard that a flow is gone. Waits for room: a lost notice would leave transactions to their timers.
    pub(crate) async fn flow_failed(&self, flow: Flow) {
        for shard in self.shards.iter() {
            if shard.send(ToShard::FlowFailed(flow)).await.is_err() {
                return;
            }
        }
    }

    pub(crate) fn shards(&self) -> &[mpsc::Sender<ToShard>] {
        &self.shards
    }
}
