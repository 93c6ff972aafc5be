//! Each port: the local object. This is the only place that knows which part of the switch answers another.

use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use base::Id;
use base::id::kind::{Device, User};
use base::time::Clock;
use bus::{Delivery, LocalBus};
use domain::event::Fact;
use domain::ports::{MediaNotice, Unavailable};
use sip_proto::{Flow, Transport};
use store::Store;
use telemetry::{Door, Health};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::roles::Role;
use crate::start::StartError;

/// SIP messages under way between proxy and media applications, per direction; when it is full the sender's transaction
/// fails as on a broken connection.
const MEDIA_LINK_MAX: usize = 4_096;
/// Media sessions that timed out and whose calls have not been told yet.
const MEDIA_NOTICES_MAX: usize = 1_024;

/// Stands in Via and Contact between proxy and media applications; nothing listens there.
const MEMORY_PORT: u16 = 5060;

/// What every role may need.
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) bus: Arc<LocalBus>,
    pub(crate) queued: Arc<Notify>,
    pub(crate) health: Arc<Health>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) seed: u64,
}

/// Roles that run.
pub(crate) struct Roles {
    pub(crate) addresses: Vec<(&'static str, SocketAddr)>,
    pub(crate) door: Door,
    pub(crate) sip: Option<sip_proxy::Handle>,
    pub(crate) media: Option<media_server::Handle>,
    pub(crate) relay: Option<rtp_relay::Handle>,
    pub(crate) sms: Option<smpp_gateway::Handle>,
    pub(crate) turn: Option<turn_server::Handle>,
    pub(crate) api: Option<control_api::Handle>,
    pub(crate) tasks: Vec<JoinHandle<()>>,
}

/// Everything that listens, bound before anything serves.
pub(crate) struct Listeners {
    sip: Option<sip_proxy::Listeners>,
    api: Option<std::net::TcpListener>,
    health: std::net::TcpListener,
}

impl Listeners {
    pub(crate) fn bind(config: &Config) -> Result<Self, StartError> {
        let sip = config.runs(Role::SipProxy).then(|| sip_proxy::bind(&config.sip_proxy)).transpose();
        let api = config
            .runs(Role::ControlApi)
            .then(|| net::tcp_listener("control_api.listen", config.control_api.listen))
            .transpose();
        let health = net::tcp_listener("health.listen", config.health.listen).map_err(StartError::new)?;
        Ok(Self { sip: sip.map_err(StartError::new)?, api: api.map_err(StartError::new)?, health })
    }
}

/// Makes the self-signed certificate of the first start, unless one is configured.
pub(crate) fn provide_certificate(config: &mut Config) -> Result<(), StartError> {
    if !config.runs(Role::SipProxy) || !config.sip_proxy.tls_certificate.as_os_str().is_empty() {
        return Ok(());
    }
    let directory = config.node.data_dir.join("tls");
    let (certificate, key) = (directory.join("certificate.pem"), directory.join("key.pem"));
    if !certificate.exists() || !key.exists() {
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        names.extend(Some(config.sip_proxy.default_domain.clone()).filter(|d| !d.is_empty()));
        names.extend(Some(config.sip_proxy.advertised_address.clone()).filter(|a| !a.is_empty()));
        let (certificate_pem, key_pem) = net::self_signed(names).map_err(StartError::new)?;
        let failed = |e: std::io::Error| StartError::new(format!("{}: {e}", directory.display()));
        fs::create_dir_all(&directory).map_err(failed)?;
        write_private(&key, &key_pem).map_err(failed)?;
        fs::write(&certificate, certificate_pem).map_err(failed)?;
    }
    config.sip_proxy.tls_certificate = certificate;
    config.sip_proxy.tls_key = key;
    Ok(())
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// Starts what the configuration names.
pub(crate) async fn start_roles(config: Config, listeners: Listeners, parts: &Parts) -> Result<Roles, StartError> {
    let store = Arc::new(parts.store.clone());
    let mut addresses = Vec::new();
    let mut tasks = Vec::new();
    let turn_secret = parts.store.named_secret("turn shared secret").await.map_err(StartError::new)?;
    let advertised = listeners.sip.as_ref().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), sip_proxy::Listeners::advertised);

    let turn = match config.runs(Role::TurnServer) {
        true => {
            let media =
                if config.runs(Role::RtpRelay) { media_ranges(&config.rtp_relay, advertised) } else { Vec::new() };
            let deps = turn_server::Deps { secrets: vec![turn_secret.clone()], users: Vec::new(), media };
            let handle = turn_server::start(config.turn_server.clone(), deps).map_err(StartError::new)?;
            addresses.extend(handle.addresses().iter().map(|a| ("TURN and STUN over UDP", *a)));
            Some(ready(parts, "turn-server", handle))
        }
        false => None,
    };
    let (notices, timed_out) = mpsc::channel(MEDIA_NOTICES_MAX);
    let relay = match config.runs(Role::RtpRelay) {
        true => {
            let deps = rtp_relay::Deps { notices };
            let handle = rtp_relay::start(config.rtp_relay.clone(), deps).map_err(StartError::new)?;
            Some(ready(parts, "rtp-relay", handle))
        }
        false => None,
    };
    let media_address = config.rtp_relay.addresses.first().copied().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let (to_media, media_in) = mpsc::channel(MEDIA_LINK_MAX);
    let (media_out, from_media) = mpsc::channel(MEDIA_LINK_MAX);
    let media = match config.runs(Role::MediaServer) {
        true => {
            let deps = media_server::Deps { inbound: media_in, outbound: media_out, media_address };
            let handle = media_server::start(config.media_server.clone(), deps).map_err(StartError::new)?;
            Some(ready(parts, "media-server", handle))
        }
        false => None,
    };
    let mut sip = None;
    if let (Some(bound), Some(relay)) = (listeners.sip, &relay) {
        addresses.extend(bound.addresses());
        let deps = sip_proxy::Deps {
            accounts: Arc::clone(&store) as Arc<_>,
            directory: Arc::clone(&store) as Arc<_>,
            billing: Arc::clone(&store) as Arc<_>,
            locations: Arc::clone(&store) as Arc<_>,
            relay: relay.relay(),
            events: Arc::clone(&parts.bus) as Arc<_>,
            clock: Arc::clone(&parts.clock),
            nonce_key: parts.store.named_secret("sip nonce key").await.map_err(StartError::new)?,
        };
        let flow = Flow {
            transport: Transport::Memory,
            local: SocketAddr::new(media_address, MEMORY_PORT),
            peer: SocketAddr::new(media_address, MEMORY_PORT),
            connection: 0,
        };
        let link = sip_proxy::MediaLink { to_media, from_media, flow };
        let handle = sip_proxy::start(config.sip_proxy.clone(), bound, deps, link).await.map_err(StartError::new)?;
        sip = Some(ready(parts, "sip-proxy", handle));
    }
    if let Some(sip) = &sip {
        tasks.push(tokio::spawn(end_silent_calls(sip.media_watch(), timed_out)));
    }
    let sms = match config.runs(Role::SmppGateway) {
        true => {
            let deps = smpp_gateway::Deps {
                queue: Arc::clone(&store) as Arc<_>,
                directory: Arc::clone(&store) as Arc<_>,
                events: Arc::clone(&parts.bus) as Arc<_>,
                clock: Arc::clone(&parts.clock),
                message_id: {
                    let store = Arc::clone(&store);
                    Arc::new(move || store.new_id())
                },
                queued: Arc::clone(&parts.queued),
                seed: parts.seed ^ 2,
            };
            tasks.push(tokio::spawn(wake_on_texts(Arc::clone(&parts.bus), Arc::clone(&parts.queued))));
            let handle = smpp_gateway::start(config.smpp_gateway.clone(), deps).map_err(StartError::new)?;
            Some(ready(parts, "smpp-gateway", handle))
        }
        false => None,
    };
    let mut api = None;
    if let Some(listener) = listeners.api {
        let turn_at = turn.as_ref().map(|t| t.addresses().to_vec()).unwrap_or_default();
        let reachable =
            |a: &SocketAddr| SocketAddr::new(if a.ip().is_unspecified() { advertised } else { a.ip() }, a.port());
        let deps = control_api::Deps {
            store: parts.store.clone(),
            directory: Arc::clone(&store) as Arc<_>,
            texts: Arc::clone(&store) as Arc<_>,
            events: Arc::clone(&parts.bus) as Arc<_>,
            registrations: Arc::new(Registrar(sip.as_ref().map(sip_proxy::Handle::registrations))),
            clock: Arc::clone(&parts.clock),
            turn: control_api::TurnAccess {
                turn_uris: turn_at.iter().map(|a| format!("turn:{}?transport=udp", reachable(a))).collect(),
                stun_uris: turn_at.iter().map(|a| format!("stun:{}", reachable(a))).collect(),
                secret: turn_secret,
            },
            sip: control_api::SipAccess { uris: sip_uris(&addresses, reachable) },
        };
        let listener = tokio::net::TcpListener::from_std(listener).map_err(StartError::new)?;
        addresses.push(("HTTP API", listener.local_addr().map_err(StartError::new)?));
        let handle = control_api::start(config.control_api.clone(), deps, listener).await.map_err(StartError::new)?;
        api = Some(ready(parts, "control-api", handle));
    }
    let door = tokio::net::TcpListener::from_std(listeners.health).map_err(StartError::new)?;
    let door = Door::start(door, Arc::clone(&parts.health), telemetry::metrics()).map_err(StartError::new)?;
    addresses.push(("Metrics and health", door.address()));
    Ok(Roles { addresses, door, sip, media, relay, sms, turn, api, tasks })
}

/// Where media of calls is: TURN clients may reach it although it is an address of our own.
fn media_ranges(relay: &rtp_relay::Config, advertised: IpAddr) -> Vec<(IpAddr, RangeInclusive<u16>)> {
    let mut addresses: Vec<IpAddr> = relay.addresses.iter().chain(&relay.advertised_addresses).copied().collect();
    if addresses.is_empty() {
        addresses.push(advertised);
    }
    addresses.into_iter().map(|ip| (ip, relay.port_min..=relay.port_max)).collect()
}

fn ready<T>(parts: &Parts, name: &str, handle: T) -> T {
    parts.health.component(name).ready();
    handle
}

/// What a login answers: the safest way first.
fn sip_uris(addresses: &[(&'static str, SocketAddr)], reachable: impl Fn(&SocketAddr) -> SocketAddr) -> Vec<String> {
    let of = |what: &str| addresses.iter().find(|(name, _)| *name == what).map(|(_, a)| reachable(a));
    let tls = of("SIP over TLS").map(|a| format!("sip:{a};transport=tls"));
    let tcp = of("SIP over TCP").map(|a| format!("sip:{a};transport=tcp"));
    let udp = of("SIP over UDP").map(|a| format!("sip:{a}"));
    tls.into_iter().chain(tcp).chain(udp).collect()
}

/// Calls whose media stopped are ended.
async fn end_silent_calls(watch: sip_proxy::MediaWatch, mut timed_out: mpsc::Receiver<MediaNotice>) {
    while let Some(MediaNotice::TimedOut(session)) = timed_out.recv().await {
        watch.media_timed_out(session).await;
    }
}

/// A queued text wakes the dispatcher at once.
async fn wake_on_texts(bus: Arc<LocalBus>, queued: Arc<Notify>) {
    let mut events = bus.subscribe();
    while let Some(delivery) = events.next().await {
        match delivery {
            Delivery::Event(event) if !matches!(event.fact, Fact::SmsQueued { .. }) => {}
            // Whoever missed events may have missed a text.
            Delivery::Event(_) | Delivery::Missed(_) => queued.notify_one(),
        }
    }
}

/// The registrar as the API sees it; without the role there are no bindings to drop.
struct Registrar(Option<sip_proxy::Registrations>);

#[async_trait]
impl control_api::Registrations for Registrar {
    async fn drop_device(&self, user: Id<User>, device: Id<Device>) -> Result<(), Unavailable> {
        if let Some(registrations) = &self.0 {
            registrations.drop_device(user, device);
        }
        Ok(())
    }
}
