//! Opens every listener before anything runs, so that a taken port or an unreadable certificate is one clear error.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use net::{BindError, TlsError, TlsServer};
use tokio_rustls::rustls::ClientConfig;

use crate::config::Config;

/// Listeners that are bound but not yet read.
pub struct Listeners {
    pub(crate) udp: Vec<UdpSocket>,
    pub(crate) tcp: Vec<std::net::TcpListener>,
    pub(crate) tls: Vec<std::net::TcpListener>,
    pub(crate) tls_server: Option<TlsServer>,
    pub(crate) tls_client: Option<Arc<ClientConfig>>,
    pub(crate) advertised: IpAddr,
}

/// The edge cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// A port is taken, or an address is not ours.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Binds all listeners of the configuration.
pub fn bind(config: &Config) -> Result<Listeners, EdgeError> {
    let udp =
        config.udp_listen.iter().map(|a| net::udp_socket("sip_proxy.udp_listen", *a)).collect::<Result<_, _>>()?;
    let tcp =
        config.tcp_listen.iter().map(|a| net::tcp_listener("sip_proxy.tcp_listen", *a)).collect::<Result<_, _>>()?;
    let tls_server = match config.tls_certificate.as_os_str().is_empty() {
        true => None,
        false => Some(TlsServer::load(&config.tls_certificate, &config.tls_key)?),
    };
    let tls: Vec<_> = match tls_server {
        Some(_) => {
            config.tls_listen.iter().map(|a| net::tcp_listener("sip_proxy.tls_listen", *a)).collect::<Result<_, _>>()?
        }
        None => Vec::new(),
    };
    let tls_client = match config.tls_trunk_roots.as_os_str().is_empty() {
        true => None,
        false => Some(net::client_config(&config.tls_trunk_roots)?),
    };
    let advertised = config.advertised_address.parse().unwrap_or_else(|_| default_route_address());
    Ok(Listeners { udp, tcp, tls, tls_server, tls_client, advertised })
}

impl Listeners {
    /// Where is listened, as (transport, address): for the table that an operator sees.
    pub fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        let udp = self.udp.iter().filter_map(|s| Some(("SIP over UDP", s.local_addr().ok()?)));
        let tcp = self.tcp.iter().filter_map(|s| Some(("SIP over TCP", s.local_addr().ok()?)));
        let tls = self.tls.iter().filter_map(|s| Some(("SIP over TLS", s.local_addr().ok()?)));
        udp.chain(tcp).chain(tls).collect()
    }

    /// The address that goes out in Via and Contact where a listener is bound to all addresses.
    pub fn advertised(&self) -> IpAddr {
        self.advertised
    }
}

/// The source address that the kernel would use towards the world; no packet is sent to find out.
fn default_route_address() -> IpAddr {
    let probe = || -> std::io::Result<IpAddr> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        Ok(socket.local_addr()?.ip())
    };
    probe().ok().filter(|ip| !ip.is_unspecified()).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}
