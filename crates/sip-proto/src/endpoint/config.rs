//! How an endpoint behaves and how it is seen from outside.

use std::net::SocketAddr;
use std::time::Duration;

use crate::flow::{Flow, Transport};

/// How one of our listening addresses looks to peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertised {
    /// For this transport.
    pub transport: Transport,
    /// For this local address; none means every local address of the transport.
    pub local: Option<SocketAddr>,
    /// The host that stands in Via and Contact: a name, or an address without brackets.
    pub host: String,
    /// The port that stands in Via and Contact.
    pub port: u16,
}

/// How an endpoint behaves.
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// Estimated round trip (RFC 3261 §17.1.1.1), 500 ms.
    pub t1: Duration,
    /// Longest retransmission interval, 4 s.
    pub t2: Duration,
    /// How long a message stays in the network, 5 s.
    pub t4: Duration,
    /// An INVITE that the user has not answered for this long gets 100 Trying; 200 ms (RFC 3261 §17.2.1), 0 for at once.
    pub trying_after: Duration,
    /// User-Agent of requests and Server of responses that have none; empty for no such header.
    pub product: String,
    /// Begins every branch, tag and Call-ID made here, so that a dispatcher finds the shard; token characters only.
    pub prefix: String,
    /// How we look from outside. What is not listed is advertised as its local address.
    pub advertised: Vec<Advertised>,
    /// Answers over UDP go to the source port even when the request has no `rport` (RFC 3581 applied unasked). Off by
    /// default, as RFC 3261 §18.2.2 says.
    pub force_rport: bool,
    /// Most transactions; over it new requests get 503 without one. Requests in a dialog get an eighth more, our own
    /// requests twice as many. `base::limits::SIP_TRANSACTIONS_MAX`.
    pub transactions_max: usize,
    /// Retry-After of such a 503, seconds.
    pub retry_after_s: u32,
}

impl Default for EndpointConfig {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            trying_after: Duration::from_millis(200),
            product: String::new(),
            prefix: String::new(),
            advertised: Vec::new(),
            force_rport: false,
            transactions_max: base::limits::SIP_TRANSACTIONS_MAX,
            retry_after_s: 5,
        }
    }
}

impl EndpointConfig {
    /// Host and port of Via and Contact for what goes out on `flow`. The host is bare: an IPv6 address has no brackets.
    pub fn advertised(&self, flow: &Flow) -> (String, u16) {
        let fits = |a: &&Advertised| a.transport == flow.transport && a.local.is_none_or(|local| local == flow.local);
        // An entry for the very address goes before one for the whole transport.
        let exact = self.advertised.iter().filter(fits).find(|a| a.local.is_some());
        match exact.or_else(|| self.advertised.iter().find(fits)) {
            Some(entry) => (entry.host.clone(), entry.port),
            None => (flow.local.ip().to_string(), flow.local.port()),
        }
    }

    /// `host:port` of Via and Contact for what goes out on `flow`, an IPv6 address in brackets.
    pub fn sent_by(&self, flow: &Flow) -> String {
        let (host, port) = self.advertised(flow);
        let mut out = String::with_capacity(host.len() + 8);
        crate::uri::push_host_port(&mut out, &host, Some(port));
        out
    }

    /// A Contact value for dialogs over `flow`: `<sip:user@host:port;transport=…>`.
    pub fn contact(&self, flow: &Flow, user: Option<&str>) -> String {
        let mut out = String::from("<sip:");
        if let Some(user) = user {
            out.push_str(&crate::scan::escape(user, "&=+$,;?/"));
            out.push('@');
        }
        out.push_str(&self.sent_by(flow));
        match flow.transport {
            Transport::Udp => {}
            Transport::Tcp | Transport::Memory => out.push_str(";transport=tcp"),
            Transport::Tls => out.push_str(";transport=tls"),
            Transport::Ws | Transport::Wss => out.push_str(";transport=ws"),
        }
        out.push('>');
        out
    }
}
