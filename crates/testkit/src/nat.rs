//! A NAT box for one phone, in-process: what the phone sends from its inside address leaves from an outside port of
//! the box, and only what comes to that port gets in. Inside, addresses are private: the texts that pass say 192.168.x.y
//! where the phone believes in its own address, so that a switch that trusted them would send into the void.
//!
//! The phone talks to an alias of the switch, inside; the box translates the alias and the phone's address in SIP and SDP
//! texts (all of equal length, so that Content-Length stays right), which a true NAT need not do because the switch
//! has the same address on both sides. Endpoint-independent mapping, address-dependent filtering (RFC 4787 §4, §5).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::Place;

/// How long a thread waits for a datagram before it looks whether to end.
const TICK: Duration = Duration::from_millis(50);
/// The address of the phone's media: baresip sends it from an unbound socket, so the system takes this one.
const MEDIA_ADDRESS: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// What the outside reads instead of it, equally long.
const MEDIA_PRIVATE: &str = "10.0.0.66";
/// Longest datagram.
const DATAGRAM_MAX: usize = 65_535;

/// Counters of what has passed.
#[derive(Debug, Default)]
pub struct Traffic {
    /// SIP datagrams from the phone.
    pub sip_out: AtomicUsize,
    /// SIP datagrams to the phone.
    pub sip_in: AtomicUsize,
    /// Media datagrams from the phone.
    pub media_out: AtomicUsize,
    /// Media datagrams to the phone.
    pub media_in: AtomicUsize,
}

/// The box.
pub struct NatBox {
    shared: Arc<Shared>,
    alias: SocketAddr,
}

struct Shared {
    switch: Ipv4Addr,
    alias: Ipv4Addr,
    outside: Ipv4Addr,
    phone: Ipv4Addr,
    private: String,
    traffic: Traffic,
    stop: AtomicBool,
    /// Media ports of the switch that have an inside socket.
    media: Mutex<BTreeMap<u16, ()>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl NatBox {
    /// A box between the switch at host 10 and the phone at two-digit host `phone`; the alias is at host `alias`, the
    /// outside at host `outside`.
    pub fn start(place: &Place, phone: u8, alias: u8, outside: u8) -> Self {
        let phone = place.ip(phone);
        let [_, _, b, host] = phone.octets();
        let shared = Arc::new(Shared {
            switch: place.ip(10),
            alias: place.ip(alias),
            outside: place.ip(outside),
            phone,
            private: format!("192.168.{b}.{host}"),
            traffic: Traffic::default(),
            stop: AtomicBool::new(false),
            media: Mutex::default(),
            threads: Mutex::default(),
        });
        assert_eq!(shared.private.len(), shared.phone.to_string().len(), "addresses of equal length");
        map(&shared, 15_060, true);
        Self { alias: (shared.alias, 15_060).into(), shared }
    }

    /// Where the phone believes the switch to be.
    pub fn switch_seen_from_inside(&self) -> SocketAddr {
        self.alias
    }

    /// What has passed.
    pub fn traffic(&self) -> &Traffic {
        &self.shared.traffic
    }

    /// The address that the phone's messages show outside.
    pub fn private_address(&self) -> &str {
        &self.shared.private
    }
}

impl Drop for NatBox {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let threads = std::mem::take(&mut *self.shared.threads.lock().unwrap());
        for thread in threads {
            let _ = thread.join();
        }
    }
}

/// Opens the inside socket alias:port for the switch's port, with an outside socket of its own.
fn map(shared: &Arc<Shared>, port: u16, signalling: bool) {
    if shared.media.lock().unwrap().insert(port, ()).is_some() {
        return;
    }
    let bind = |ip: Ipv4Addr, port: u16| {
        let socket = UdpSocket::bind((ip, port)).unwrap_or_else(|problem| panic!("NAT box, {ip}:{port}: {problem}"));
        socket.set_read_timeout(Some(TICK)).unwrap();
        Arc::new(socket)
    };
    let (inside, outside) = (bind(shared.alias, port), bind(shared.outside, 0));
    let inner = Arc::new(Mutex::new(None));
    let outwards = {
        let (shared, inside, outside, inner) = (shared.clone(), inside.clone(), outside.clone(), inner.clone());
        std::thread::spawn(move || {
            pump(&shared, &inside, |shared, bytes, from| {
                if from.ip() != shared.phone && from.ip() != MEDIA_ADDRESS {
                    return;
                }
                *inner.lock().unwrap() = Some(from);
                let bytes = if signalling { outward(shared, bytes) } else { bytes.to_vec() };
                let counter = if signalling { &shared.traffic.sip_out } else { &shared.traffic.media_out };
                counter.fetch_add(1, Ordering::Relaxed);
                let _ = outside.send_to(&bytes, (shared.switch, port));
            });
        })
    };
    let inwards = {
        let shared_here = shared.clone();
        std::thread::spawn(move || {
            pump(&shared_here, &outside, |shared, bytes, from| {
                let inner = *inner.lock().unwrap();
                let (true, Some(inner)) = (from.ip() == shared.switch, inner) else { return };
                let bytes = if signalling { inward(shared, bytes) } else { bytes.to_vec() };
                let counter = if signalling { &shared.traffic.sip_in } else { &shared.traffic.media_in };
                counter.fetch_add(1, Ordering::Relaxed);
                let _ = inside.send_to(&bytes, inner);
            });
        })
    };
    shared.threads.lock().unwrap().extend([outwards, inwards]);
}

fn pump(shared: &Arc<Shared>, socket: &UdpSocket, mut take: impl FnMut(&Arc<Shared>, &[u8], SocketAddr)) {
    let mut buffer = vec![0; DATAGRAM_MAX];
    while !shared.stop.load(Ordering::Relaxed) {
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            take(shared, &buffer[..length], from);
        }
    }
}

/// The phone's words for the outside: its address becomes private, the alias the switch's true address.
fn outward(shared: &Shared, bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.replace(&shared.phone.to_string(), &shared.private);
    let text = text.replace(&MEDIA_ADDRESS.to_string(), MEDIA_PRIVATE);
    text.replace(&shared.alias.to_string(), &shared.switch.to_string()).into_bytes()
}

/// The other way round; opens the way to the media port that an SDP body names.
fn inward(shared: &Arc<Shared>, bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    for line in text.lines() {
        let port = line.strip_prefix("m=audio ").and_then(|rest| rest.split(' ').next()?.parse::<u16>().ok());
        if let Some(port) = port.filter(|port| *port != 0) {
            map(shared, port, false);
            map(shared, port.saturating_add(1), false);
        }
    }
    let text = text.replace(&shared.private, &shared.phone.to_string());
    let text = text.replace(MEDIA_PRIVATE, &MEDIA_ADDRESS.to_string());
    text.replace(&shared.switch.to_string(), &shared.alias.to_string()).into_bytes()
}
