//! Where bytes go out: UDP sockets by local address, connections by number. A stream that is not open yet is opened.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use sip_proto::{Flow, Transport};
use telemetry::Counter;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio_rustls::rustls::ClientConfig;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Inlet, stream};

/// Messages that wait for a slow connection; when it is full the connection is closed.
const CONNECTION_QUEUE_MAX: usize = 256;

/// Host names that are kept; there are as many as trunks with names. Over it a new one is verified by address.
const NAMES_MAX: usize = 10_000;

/// All ways out of the proxy.
pub(crate) struct Transports {
    pub(crate) udp: Vec<(SocketAddr, Arc<UdpSocket>)>,
    /// Our listening addresses for streams: what goes into Contact towards stream peers.
    pub(crate) tcp_local: Option<SocketAddr>,
    pub(crate) tls_local: Option<SocketAddr>,
    pub(crate) tls_client: Option<Arc<ClientConfig>>,
    pub(crate) advertised: IpAddr,
    /// Towards media-server, over memory.
    pub(crate) media: mpsc::Sender<(Flow, Bytes)>,
    pub(crate) inlet: Inlet,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    pub(crate) idle: std::time::Duration,
    pub(crate) connections_max: usize,
    /// Host names of trunks by the address to which they led: what their certificates are made for (RFC 5922 §7.2).
    names: Mutex<HashMap<SocketAddr, String>>,
    connections: Mutex<Connections>,
    next_connection: AtomicU64,
    unsent: Counter,
}

#[derive(Default)]
struct Connections {
    by_number: HashMap<u64, Connection>,
    /// The connection to use towards a peer that we opened ourselves.
    by_peer: HashMap<(Transport, SocketAddr), u64>,
}

/// One open connection. Its number alone does not identify it: flows outlive restarts in the location store.
struct Connection {
    peer: (Transport, SocketAddr),
    outgoing: mpsc::Sender<Bytes>,
}

/// What a new transport table needs.
pub(crate) struct Outlets {
    pub(crate) udp: Vec<(SocketAddr, Arc<UdpSocket>)>,
    pub(crate) tcp_local: Option<SocketAddr>,
    pub(crate) tls_local: Option<SocketAddr>,
    pub(crate) tls_client: Option<Arc<ClientConfig>>,
    pub(crate) advertised: IpAddr,
    pub(crate) media: mpsc::Sender<(Flow, Bytes)>,
    /// Counts what nothing took.
    pub(crate) unsent: Counter,
}

impl Transports {
    pub(crate) fn new(
        outlets: Outlets,
        inlet: Inlet,
        stop: CancellationToken,
        idle: std::time::Duration,
        connections_max: usize,
        first_connection: u64,
    ) -> Self {
        let Outlets { udp, tcp_local, tls_local, tls_client, advertised, media, unsent } = outlets;
        Self {
            udp,
            tcp_local,
            tls_local,
            tls_client,
            advertised,
            media,
            inlet,
            stop,
            tasks: TaskTracker::new(),
            idle,
            connections_max,
            names: Mutex::default(),
            connections: Mutex::default(),
            next_connection: AtomicU64::new(first_connection),
            unsent,
        }
    }

    /// Sends without waiting. What cannot be sent now is reported as a failed flow (streams) or left to retransmission.
    pub(crate) fn send(self: &Arc<Self>, flow: Flow, bytes: Bytes) {
        match flow.transport {
            Transport::Udp => self.send_udp(flow, &bytes),
            Transport::Memory => {
                if self.media.try_send((flow, bytes)).is_err() {
                    self.fail(flow);
                }
            }
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => self.send_stream(flow, bytes),
        }
    }

    fn send_udp(&self, flow: Flow, bytes: &[u8]) {
        let exact = self.udp.iter().find(|(local, _)| *local == flow.local);
        let family = || self.udp.iter().find(|(local, _)| local.is_ipv4() == flow.peer.is_ipv4());
        let sent = exact.or_else(family).map(|(_, socket)| socket.try_send_to(bytes, flow.peer));
        if !matches!(sent, Some(Ok(_))) {
            self.unsent.increment();
        }
    }

    fn send_stream(self: &Arc<Self>, flow: Flow, bytes: Bytes) {
        let known = {
            let connections = self.connections();
            let number = match flow.connection {
                0 => connections.by_peer.get(&(flow.transport, flow.peer)).copied(),
                number => Some(number),
            };
            let connection = number.and_then(|n| connections.by_number.get(&n));
            connection.filter(|c| c.peer == (flow.transport, flow.peer)).map(|c| c.outgoing.clone())
        };
        match known {
            Some(connection) => {
                if connection.try_send(bytes).is_err() {
                    self.fail(flow);
                }
            }
            None if flow.connection == 0 => stream::open(Arc::clone(self), flow, bytes),
            None => self.fail(flow),
        }
    }

    fn fail(&self, flow: Flow) {
        self.unsent.increment();
        let inlet = self.inlet.clone();
        self.tasks.spawn(async move { inlet.flow_failed(flow).await });
    }

    /// Takes a new connection in; `None` when there are too many. `opened`: by us, for requests to that peer.
    pub(crate) fn register(&self, peer: (Transport, SocketAddr), opened: bool) -> Option<(u64, mpsc::Receiver<Bytes>)> {
        let (sender, receiver) = mpsc::channel(CONNECTION_QUEUE_MAX);
        let mut connections = self.connections();
        if connections.by_number.len() >= self.connections_max {
            return None;
        }
        let number = self.next_connection.fetch_add(1, Ordering::Relaxed);
        connections.by_number.insert(number, Connection { peer, outgoing: sender });
        if opened {
            connections.by_peer.insert(peer, number);
        }
        Some((number, receiver))
    }

    /// Whether we opened a connection ourselves.
    pub(crate) fn opened_by_us(&self, number: u64) -> bool {
        self.connections().by_peer.values().any(|n| *n == number)
    }

    /// Queues bytes on a connection that was just registered.
    pub(crate) fn queue(&self, number: u64, bytes: Bytes) {
        if let Some(connection) = self.connections().by_number.get(&number) {
            let _ = connection.outgoing.try_send(bytes);
        }
    }

    pub(crate) fn forget(&self, number: u64, peer: (Transport, SocketAddr)) {
        let mut connections = self.connections();
        connections.by_number.remove(&number);
        if connections.by_peer.get(&peer) == Some(&number) {
            connections.by_peer.remove(&peer);
        }
    }

    /// The flow for a request to a peer that has no connection yet.
    pub(crate) fn flow_to(&self, transport: Transport, peer: SocketAddr) -> Flow {
        let family = |(local, _): &&(SocketAddr, Arc<UdpSocket>)| local.is_ipv4() == peer.is_ipv4();
        let unbound = || SocketAddr::new(self.advertised, 0);
        let local = match transport {
            Transport::Udp => self.udp.iter().find(family).map_or_else(unbound, |(l, _)| *l),
            Transport::Tcp => self.tcp_local.unwrap_or_else(unbound),
            Transport::Tls => self.tls_local.unwrap_or_else(unbound),
            Transport::Ws | Transport::Wss | Transport::Memory => unbound(),
        };
        Flow { transport, local, peer, connection: 0 }
    }

    /// Notes that a trunk's host name led to `peer`.
    pub(crate) fn note_name(&self, peer: SocketAddr, name: &str) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() < NAMES_MAX || names.contains_key(&peer) {
            names.insert(peer, name.to_owned());
        }
    }

    /// The host name of a trunk at `peer`; `None`: it is called by its address.
    pub(crate) fn name_of(&self, peer: SocketAddr) -> Option<String> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).get(&peer).cloned()
    }

    /// Whether a flow can carry something now: UDP always, a connection while it is open.
    pub(crate) fn is_open(&self, flow: Flow) -> bool {
        match flow.transport {
            Transport::Udp | Transport::Memory => true,
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                let connections = self.connections();
                let found = connections.by_number.get(&flow.connection);
                found.is_some_and(|c| c.peer == (flow.transport, flow.peer))
            }
        }
    }

    /// Whether `host`:`port` of a request is one of our own addresses.
    pub(crate) fn is_own_address(&self, host: IpAddr) -> bool {
        host == self.advertised
            || host.is_loopback()
            || self.udp.iter().any(|(local, _)| local.ip() == host)
            || [self.tcp_local, self.tls_local].into_iter().flatten().any(|l| l.ip() == host)
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
