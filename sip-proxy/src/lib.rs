//! The SIP front: registrar and call path. Sockets at the edge, one shard per core that owns its transactions and calls,
//! a pipeline that finds out who calls whom, the call machine of `call` in the middle.
//!
//! It reaches everything else (accounts, money, media) by the ports of `domain`. Reading order: `edge`, `dispatch`,
//! `shard`, `invite`, `pipeline`.

mod authenticate;
mod config;
mod context;
mod control;
mod dispatch;
mod edge;
mod invite;
mod location;
mod metrics;
mod pipeline;
mod refuse;
mod register;
mod seats;
mod shard;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base::{IdGenerator, Random};
use bytes::Bytes;
use domain::ports::Unavailable;
use sip_proto::{Advertised, Endpoint, EndpointConfig, Flow, Message, Transport};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use config::Config;
pub use context::Deps;
pub use control::{CallsPort, Handle, MediaWatch, Registrations};
pub use edge::{EdgeError, Listeners, bind};

use context::Context;
use edge::{Inlet, Outlets, Transports};
use location::Location;

/// Methods that we answer.
pub(crate) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER";

/// SIP to and from media applications, over memory.
pub struct MediaLink {
    /// Towards them.
    pub to_media: mpsc::Sender<(Flow, Bytes)>,
    /// From them.
    pub from_media: mpsc::Receiver<(Flow, Bytes)>,
    /// The flow on which they are called: transport `Memory`, their local media address as peer.
    pub flow: Flow,
}

/// The proxy cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The location store does not answer.
    #[error("registrations cannot be restored: {0}")]
    Locations(#[from] Unavailable),
    /// A listener cannot be used by the runtime.
    #[error("listener: {0}")]
    Listener(#[from] std::io::Error),
    /// A setting is wrong; the text names it.
    #[error("{0}")]
    Config(String),
}

/// Starts the proxy on listeners that [`bind`] opened. Needs a tokio runtime.
pub async fn start(config: Config, listeners: Listeners, deps: Deps, media: MediaLink) -> Result<Handle, StartError> {
    let mut random = Random::from_entropy();
    let (stop, failed) = (CancellationToken::new(), CancellationToken::new());
    let shards = match config.shards {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        n => n,
    };
    let (senders, queues): (Vec<_>, Vec<_>) = (0..shards).map(|_| mpsc::channel(base::limits::SHARD_QUEUE_MAX)).unzip();
    let metrics = metrics::Metrics::register();
    let inlet = Inlet::new(senders.clone(), metrics.shed.clone());
    let location = Location::restore(
        Arc::clone(&deps.locations),
        Arc::clone(&deps.events),
        metrics.registrations.clone(),
        deps.clock.now(),
    );
    let location = Arc::new(location.await?);
    let addresses = listeners.addresses();
    let (outlets, sockets) = outlets(listeners, media.to_media, metrics.unsent.clone())?;
    let idle = Duration::from_secs(config.connection_idle_s);
    // Numbers begin anywhere, so that a flow of the last run cannot mean a connection of this one.
    let first_connection = 1 + random.below(1 << 48);
    let transports =
        Transports::new(outlets, inlet.clone(), stop.clone(), idle, config.connections_max, first_connection);
    let transports = Arc::new(transports);
    let algorithms = config.algorithms().map_err(StartError::Config)?;
    let key = key_bytes(deps.nonce_key.expose());
    let context = Arc::new(Context {
        authenticator: authenticate::Authenticator::new(key, config.nonce_lifetime_s, algorithms, random.fork()),
        metrics,
        ids: Mutex::new(IdGenerator::new(u16::try_from(random.below(1024)).unwrap_or(0))),
        media_flow: media.flow,
        questions: TaskTracker::new(),
        seats: seats::Seats::default(),
        location: Arc::clone(&location),
        transports: Arc::clone(&transports),
        deps,
        config,
    });
    sockets.serve(&transports, &location);
    spawn_media_reader(&transports, media.from_media);
    let clock = Arc::clone(&context.deps.clock);
    let writer = tokio::spawn(Arc::clone(&location).write_behind(clock, stop.clone()));
    for (number, (queue, own)) in queues.into_iter().zip(senders).enumerate() {
        let endpoint = Endpoint::new(endpoint_config(number, &transports), random.fork());
        let shard = shard::Shard::new(number, Arc::clone(&context), endpoint, random.fork(), queue, own);
        let (failed, running) = (failed.clone(), tokio::spawn(shard.run(stop.clone())));
        transports.tasks.spawn(async move {
            if let Err(error) = running.await {
                tracing::error!(shard = number, %error, "a shard died; the process has to be restarted");
                failed.cancel();
            }
        });
    }
    Ok(Handle::new(context, inlet, control::Ends { stop, failed }, writer, addresses))
}

struct Sockets {
    udp: Vec<(SocketAddr, Arc<tokio::net::UdpSocket>)>,
    tcp: Vec<(SocketAddr, tokio::net::TcpListener)>,
    tls: Vec<(SocketAddr, tokio::net::TcpListener)>,
    acceptor: Option<tokio_rustls::TlsAcceptor>,
}

fn outlets(
    listeners: Listeners,
    media: mpsc::Sender<(Flow, Bytes)>,
    unsent: telemetry::Counter,
) -> Result<(Outlets, Sockets), std::io::Error> {
    let mut udp = Vec::new();
    for socket in listeners.udp {
        udp.push((socket.local_addr()?, Arc::new(tokio::net::UdpSocket::from_std(socket)?)));
    }
    let streams = |std: Vec<std::net::TcpListener>| -> Result<Vec<_>, std::io::Error> {
        std.into_iter().map(|l| Ok((l.local_addr()?, tokio::net::TcpListener::from_std(l)?))).collect()
    };
    let (tcp, tls) = (streams(listeners.tcp)?, streams(listeners.tls)?);
    let outlets = Outlets {
        udp: udp.clone(),
        tcp_local: tcp.first().map(|(a, _)| *a),
        tls_local: tls.first().map(|(a, _)| *a),
        tls_client: listeners.tls_client,
        advertised: listeners.advertised,
        media,
        unsent,
    };
    Ok((outlets, Sockets { udp, tcp, tls, acceptor: listeners.tls_server.map(|s| s.acceptor()) }))
}

impl Sockets {
    fn serve(self, transports: &Arc<Transports>, location: &Arc<Location>) {
        for (local, socket) in self.udp {
            transports.tasks.spawn(edge::read(socket, local, transports.inlet.clone(), transports.stop.clone()));
        }
        let plain = self.tcp.into_iter().map(|(local, listener)| (local, listener, None));
        let secure = self.tls.into_iter().map(|(local, listener)| (local, listener, self.acceptor.clone()));
        for (local, listener, tls) in plain.chain(secure) {
            let (shared, location) = (Arc::clone(transports), Arc::clone(location));
            transports.tasks.spawn(edge::accept(listener, local, tls, shared, location));
        }
    }
}

fn spawn_media_reader(transports: &Arc<Transports>, mut from_media: mpsc::Receiver<(Flow, Bytes)>) {
    let (inlet, stop) = (transports.inlet.clone(), transports.stop.clone());
    transports.tasks.spawn(async move {
        loop {
            let received = tokio::select! {
                () = stop.cancelled() => return,
                received = from_media.recv() => received,
            };
            let Some((flow, bytes)) = received else { return };
            inlet.deliver(flow, bytes);
        }
    });
}

/// How the shard's endpoint looks from outside: what is bound to all addresses is advertised under the one address.
fn endpoint_config(shard: usize, transports: &Transports) -> EndpointConfig {
    let bound = transports.udp.iter().map(|(a, _)| (Transport::Udp, *a));
    let bound = bound.chain(transports.tcp_local.map(|a| (Transport::Tcp, a)));
    let bound = bound.chain(transports.tls_local.map(|a| (Transport::Tls, a)));
    let host_of = |a: SocketAddr| if a.ip().is_unspecified() { transports.advertised } else { a.ip() };
    let advertised = bound.map(|(transport, address)| Advertised {
        transport,
        // Streams come in on one port and go out from others; all of them are reached on the listener's.
        local: (transport == Transport::Udp).then_some(address),
        host: host_of(address).to_string(),
        port: address.port(),
    });
    EndpointConfig {
        product: concat!("Tandem/", env!("CARGO_PKG_VERSION")).into(),
        prefix: format!("{shard:x}"),
        advertised: advertised.collect(),
        force_rport: true,
        ..EndpointConfig::default()
    }
}

/// 32 bytes of key out of a secret text of any length: the text itself when it is long enough, padded otherwise.
fn key_bytes(secret: &str) -> [u8; 32] {
    let mut key = [0; 32];
    for (index, byte) in secret.bytes().enumerate() {
        key[index % 32] ^= byte.rotate_left(u32::try_from(index / 32 % 8).unwrap_or(0));
    }
    key
}

/// The SDP of a message, when that is what its body is.
pub(crate) fn sdp_of(message: &Message) -> Option<String> {
    let is_sdp = message.content_type().is_some_and(|t| t.eq_ignore_ascii_case("application/sdp"));
    let body = message.body();
    if !is_sdp || body.is_empty() || body.len() > base::limits::SDP_BYTES_MAX {
        return None;
    }
    String::from_utf8(body.to_vec()).ok()
}
