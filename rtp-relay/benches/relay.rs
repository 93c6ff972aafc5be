//! What the relay costs: CPU of its thread per packet and added delay at a steady load of G.711 calls, and CPU of setting calls up.
//!
//! `cargo bench -p rtp-relay -- [calls] [seconds] [plain|cm|gcm]`. One socket plays all callers and one all callees, in this
//! process; its own threads are not counted. Not a comparison with other relays: those are driven through the control protocol.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use base::{Id, Random};
use domain::ports::*;
use rtp_proto::srtp::MasterKey;
use rtp_proto::{RtpHeader, Sealer, Suite};
use rtp_relay::{Config, Deps};
use sdp_proto::{CryptoAttribute, CryptoSuite, Sdp};

/// CPU time of the thread of that name, nanoseconds. A thread that was just started may not have its name yet.
fn thread_cpu_ns(name: &str) -> u64 {
    loop {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let mut paths = tasks.map(|task| task.unwrap().path());
        let found = paths.find(|path| std::fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim() == name));
        if let Some(path) = found {
            let stat = std::fs::read_to_string(path.join("schedstat")).unwrap();
            return stat.split(' ').next().unwrap().parse().unwrap();
        }
        std::thread::yield_now();
    }
}

/// Resident memory of this process.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

fn sdp(port: u16, protocol: &str, crypto: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} {protocol} 8\r\na=ptime:20\r\n{crypto}"
    )
}

struct Stream {
    to: SocketAddr,
    header: RtpHeader,
    sealer: Option<Sealer>,
}

struct Setup {
    suite: Option<(CryptoSuite, Suite)>,
    ports: [u16; 2],
}

async fn call(relay: &dyn MediaRelay, setup: &Setup, n: u32) -> [Stream; 2] {
    let profile = |secure: bool| Some(if secure { MediaProfile::Sdes } else { MediaProfile::Rtp });
    let network =
        |secure| LegNetwork { profile: profile(secure), signalled_from: [127, 0, 0, 1].into(), behind_nat: false };
    let key = setup.suite.map(|(_, suite)| MasterKey::generate(suite, &mut Random::from_seed(u64::from(n))));
    let crypto = setup.suite.zip(key.as_ref()).map_or(String::new(), |((suite, _), key)| {
        let key_and_salt = key.expose().to_vec();
        format!("a=crypto:{}\r\n", CryptoAttribute { tag: 1, suite, key_and_salt, lifetime_packets: None, mki: None })
    });
    let (secure, session) = (key.is_some(), Id::from_i64(i64::from(n)));
    let offer = MediaOffer {
        session,
        from: 0,
        from_network: network(secure),
        to: 1,
        to_network: network(false),
        sdp: sdp(setup.ports[0], if secure { "RTP/SAVP" } else { "RTP/AVP" }, &crypto),
    };
    let asked = Sdp::parse(&relay.offer(offer).await.unwrap()).unwrap();
    let answer =
        MediaAnswer { session, from: 1, from_network: network(false), to: 0, sdp: sdp(setup.ports[1], "RTP/AVP", "") };
    let answered = Sdp::parse(&relay.answer(answer).await.unwrap()).unwrap();
    let stream = |sdp: &Sdp, sealer, ssrc| Stream {
        to: sdp.rtp_address(0).unwrap(),
        header: RtpHeader { payload_type: 8, ssrc, ..RtpHeader::default() },
        sealer,
    };
    [stream(&answered, key.map(|key| Sealer::new(key).unwrap()), 2 * n), stream(&asked, None, 2 * n + 1)]
}

/// Reads what arrives and notes how long each packet was under way (the time is at the payload's start, where it is plain).
fn listen(
    socket: UdpSocket,
    epoch: Instant,
    stop: Arc<AtomicBool>,
    plain: bool,
) -> std::thread::JoinHandle<(u64, Vec<u32>)> {
    std::thread::spawn(move || {
        let (mut count, mut delays_us, mut buffer) = (0u64, vec![], [0u8; 2048]);
        socket.set_nonblocking(true).unwrap();
        while !stop.load(Relaxed) {
            let Ok(length) = socket.recv(&mut buffer) else {
                // Looks now and then, so that the relay does not pay for waking this thread with each packet.
                std::thread::sleep(Duration::from_micros(250));
                continue;
            };
            count += 1;
            if plain && length >= 20 {
                let sent_ns = u64::from_be_bytes(buffer[12..20].try_into().unwrap());
                delays_us.push(((epoch.elapsed().as_nanos() as u64).saturating_sub(sent_ns) / 1_000) as u32);
            }
        }
        (count, delays_us)
    })
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let calls: u32 = arguments.first().and_then(|a| a.parse().ok()).unwrap_or(100);
    let seconds: u64 = arguments.get(1).and_then(|a| a.parse().ok()).unwrap_or(3);
    let suite = match arguments.get(2).map(String::as_str) {
        Some("cm") => Some((CryptoSuite::AES_CM_128_HMAC_SHA1_80, Suite::AES_CM_128_HMAC_SHA1_80)),
        Some("gcm") => Some((CryptoSuite::AEAD_AES_128_GCM, Suite::AEAD_AES_128_GCM)),
        _ => None,
    };
    let (notices, _keep) = tokio::sync::mpsc::channel(1);
    let config = Config { port_min: 20_000, port_max: 32_000, port_rest_ms: 0, ..Config::default() };
    let handle = rtp_relay::start(config, Deps { notices }).unwrap();
    let relay = handle.relay();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let sockets = [(); 2].map(|()| socket2_with_room());
    let setup = Setup { suite, ports: [0, 1].map(|n: usize| sockets[n].local_addr().unwrap().port()) };

    let main_thread = std::fs::read_to_string("/proc/thread-self/comm").unwrap().trim().to_owned();
    let before = thread_cpu_ns(&main_thread) + thread_cpu_ns("relay-0");
    runtime.block_on(async {
        for n in 0..1_000 {
            call(&*relay, &setup, 1_000_000 + n).await;
            relay.delete(Id::from_i64(i64::from(1_000_000 + n))).await;
        }
    });
    let after = thread_cpu_ns(&main_thread) + thread_cpu_ns("relay-0");
    println!(
        "set up and tear down, both ends' descriptions included: {:.1} CPU-us a call",
        (after - before) as f64 / 1e6
    );

    let before_bytes = resident_bytes();
    let mut streams: Vec<[Stream; 2]> = runtime.block_on(async {
        let mut all = vec![];
        for n in 0..calls {
            all.push(call(&*relay, &setup, n + 1).await);
        }
        all
    });
    // Kernel memory of sockets is not in it; what this program keeps per call is.
    println!("memory: {} bytes a call", resident_bytes().saturating_sub(before_bytes) / u64::from(calls.max(1)));
    let (epoch, stop) = (Instant::now(), Arc::new(AtomicBool::new(false)));
    let listeners = [0, 1]
        .map(|n: usize| listen(sockets[n].try_clone().unwrap(), epoch, Arc::clone(&stop), suite.is_none() || n == 1));
    let (before, started) = (thread_cpu_ns("relay-0"), Instant::now());
    let (mut sent, mut buffer) = (0u64, [0u8; 256]);
    // Every millisecond a twentieth of the calls has its turn.
    for tick in 0..seconds * 1_000 {
        let due = started + Duration::from_millis(tick);
        while Instant::now() < due {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        for call in streams.iter_mut().skip((tick % 20) as usize).step_by(20) {
            for (stream, socket) in call.iter_mut().zip(&sockets) {
                stream.header.sequence = stream.header.sequence.wrapping_add(1);
                stream.header.timestamp = stream.header.timestamp.wrapping_add(160);
                buffer[..12].copy_from_slice(&stream.header.to_bytes());
                buffer[12..20].copy_from_slice(&(epoch.elapsed().as_nanos() as u64).to_be_bytes());
                let length = stream.sealer.as_mut().map_or(172, |sealer| sealer.protect_rtp(&mut buffer, 172).unwrap());
                let _ = socket.send_to(&buffer[..length], stream.to);
                sent += 1;
            }
        }
    }
    let (cpu_ns, wall) = (thread_cpu_ns("relay-0") - before, started.elapsed());
    std::thread::sleep(Duration::from_millis(100));
    stop.store(true, Relaxed);
    let results = listeners.map(|listener| listener.join().unwrap());
    let received: u64 = results.iter().map(|(count, _)| count).sum();
    let mut delays: Vec<u32> = results.into_iter().flat_map(|(_, delays)| delays).collect();
    delays.sort_unstable();
    let at = |share: f64| delays.get((delays.len() as f64 * share) as usize).copied().unwrap_or(0);
    println!(
        "{calls} calls, {:.0} packets/s: {:.2} CPU-us a packet ({:.0} % of a core), {} of {sent} lost, delay us p50 {} p99 {} p99.9 {}",
        sent as f64 / wall.as_secs_f64(),
        cpu_ns as f64 / 1e3 / sent as f64,
        cpu_ns as f64 / wall.as_nanos() as f64 * 100.0,
        sent - received,
        at(0.5),
        at(0.99),
        at(0.999),
    );
    handle.stop();
}

fn socket2_with_room() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(8 << 20);
    socket
}
