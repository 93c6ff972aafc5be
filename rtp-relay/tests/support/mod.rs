//! Two UDP peers and a relay between them on the loopback. Every wait has an end; nothing sleeps.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU16, Ordering::Relaxed};
use std::time::Duration;

use base::id::kind::MediaSession;
use base::{Id, Random};
use domain::ports::*;
use rtp_proto::srtp::{MasterKey, OVERHEAD_BYTES_MAX};
use rtp_proto::{Opener, RtpHeader, Sealer, Suite};
use rtp_relay::{Config, Deps, Handle};
use sdp_proto::{CryptoAttribute, CryptoSuite, Sdp};
use tokio::sync::mpsc;

/// As long as a packet may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How long to listen for what must not come.
pub const SILENCE: Duration = Duration::from_millis(60);

pub struct World {
    pub handle: Handle,
    pub relay: Arc<dyn MediaRelay>,
    pub notices: mpsc::Receiver<MediaNotice>,
}

/// A relay with a port range of its own.
pub fn world(change: impl FnOnce(&mut Config)) -> World {
    static NEXT: AtomicU16 = AtomicU16::new(21_000);
    let port_min = NEXT.fetch_add(60, Relaxed);
    let mut config = Config { port_min, port_max: port_min + 59, port_rest_ms: 0, ..Config::default() };
    change(&mut config);
    let (sender, notices) = mpsc::channel(8);
    let handle = rtp_relay::start(config, Deps { notices: sender }).unwrap();
    World { relay: handle.relay(), handle, notices }
}

pub fn session() -> Id<MediaSession> {
    static NEXT: AtomicI64 = AtomicI64::new(1);
    Id::from_i64(NEXT.fetch_add(1, Relaxed))
}

pub fn network(profile: Option<MediaProfile>, behind_nat: bool) -> LegNetwork {
    LegNetwork { profile, signalled_from: [127, 0, 0, 1].into(), behind_nat }
}

pub const PLAIN: Option<MediaProfile> = Some(MediaProfile::Rtp);
pub const SDES: Option<MediaProfile> = Some(MediaProfile::Sdes);

/// A phone or trunk: an RTP and an RTCP socket, keys if it speaks SRTP.
pub struct Peer {
    pub rtp: UdpSocket,
    pub rtcp: UdpSocket,
    pub send_to: Option<SocketAddr>,
    pub sealer: Option<Sealer>,
    pub opener: Option<Opener>,
    pub ssrc: u32,
    pub sequence: u16,
    own_key: Option<MasterKey>,
}

impl Peer {
    pub fn new() -> Self {
        Self::at("127.0.0.1")
    }

    pub fn at(ip: &str) -> Self {
        let ip: IpAddr = ip.parse().unwrap();
        let socket = || {
            let socket = UdpSocket::bind((ip, 0)).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket
        };
        static NEXT: AtomicU16 = AtomicU16::new(1);
        let ssrc = 0x1000_0000 + u32::from(NEXT.fetch_add(1, Relaxed));
        Self {
            rtp: socket(),
            rtcp: socket(),
            send_to: None,
            sealer: None,
            opener: None,
            ssrc,
            sequence: 0,
            own_key: None,
        }
    }

    /// Its description; RTP and RTCP ports are not neighbours here, so `a=rtcp` tells.
    pub fn sdp(&self, protocol: &str, more: &str) -> String {
        let rtp = self.rtp.local_addr().unwrap();
        let family = if rtp.is_ipv4() { "IP4" } else { "IP6" };
        format!(
            "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {port} {protocol} 8 0 101\r\n\
             a=rtpmap:101 telephone-event/8000\r\na=rtcp:{rtcp}\r\n{more}",
            ip = rtp.ip(),
            port = rtp.port(),
            rtcp = self.rtcp.local_addr().unwrap().port(),
        )
    }

    /// A crypto line of its own with this suite and tag.
    pub fn crypto(&mut self, suite: CryptoSuite, tag: u32) -> String {
        let same = Suite::ALL.into_iter().find(|s| format!("{s:?}") == suite.name()).unwrap();
        let key = MasterKey::generate(same, &mut Random::from_seed(u64::from(self.ssrc)));
        let line =
            CryptoAttribute { tag, suite, key_and_salt: key.expose().to_vec(), lifetime_packets: None, mki: None };
        self.own_key = Some(key);
        format!("a=crypto:{line}\r\n")
    }

    /// Learns from what the relay told it where to send, and with which keys.
    pub fn hear(&mut self, sdp: &str) -> Sdp {
        let sdp = Sdp::parse(sdp).unwrap();
        self.send_to = sdp.rtp_address(0);
        if let Some(own) = &self.own_key {
            let theirs = sdp.media[0].crypto();
            let line = theirs.iter().find(|line| format!("{:?}", own.suite()) == line.suite.name()).unwrap();
            self.opener = Some(Opener::new(MasterKey::new(own.suite(), &line.key_and_salt).unwrap(), 0).unwrap());
            self.sealer = Some(Sealer::new(own.clone()).unwrap());
        }
        sdp
    }

    /// The next packet, as it is before protection.
    pub fn packet(&mut self, payload: &[u8]) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        let header = RtpHeader {
            payload_type: 8,
            sequence: self.sequence,
            timestamp: u32::from(self.sequence) * 160,
            ssrc: self.ssrc,
            ..RtpHeader::default()
        };
        [&header.to_bytes()[..], payload].concat()
    }

    pub fn wire(&mut self, packet: &[u8]) -> Vec<u8> {
        let mut bytes = packet.to_vec();
        if let Some(sealer) = &mut self.sealer {
            bytes.resize(packet.len() + OVERHEAD_BYTES_MAX, 0);
            let length = sealer.protect_rtp(&mut bytes, packet.len()).unwrap();
            bytes.truncate(length);
        }
        bytes
    }

    /// Sends the next packet; returns it as it was before protection.
    pub fn say(&mut self, payload: &[u8]) -> Vec<u8> {
        let packet = self.packet(payload);
        let bytes = self.wire(&packet);
        self.rtp.send_to(&bytes, self.send_to.unwrap()).unwrap();
        packet
    }

    /// What comes next on the wire, within `patience`.
    pub fn receive_raw(&self, patience: Duration) -> Option<Vec<u8>> {
        self.rtp.set_read_timeout(Some(patience)).unwrap();
        let mut buffer = [0; 2_500];
        self.rtp.recv(&mut buffer).ok().map(|length| buffer[..length].to_vec())
    }

    /// What comes next, opened if there are keys.
    pub fn receive(&mut self) -> Option<Vec<u8>> {
        let mut bytes = self.receive_raw(PATIENCE)?;
        if let Some(opener) = &mut self.opener {
            let length = opener.unprotect_rtp(&mut bytes).unwrap();
            bytes.truncate(length);
        }
        Some(bytes)
    }

    pub fn hears_nothing(&self) -> bool {
        self.receive_raw(SILENCE).is_none()
    }
}

/// A plain call that is set up; leg 0 calls leg 1.
pub struct Call {
    pub id: Id<MediaSession>,
    pub caller: Peer,
    pub callee: Peer,
}

impl World {
    pub async fn offer(
        &self,
        id: Id<MediaSession>,
        from: (LegIndex, LegNetwork),
        to: (LegIndex, LegNetwork),
        sdp: String,
    ) -> Result<String, MediaError> {
        let offer = MediaOffer { session: id, from: from.0, from_network: from.1, to: to.0, to_network: to.1, sdp };
        self.relay.offer(offer).await
    }

    pub async fn answer(
        &self,
        id: Id<MediaSession>,
        from: (LegIndex, LegNetwork),
        to: LegIndex,
        sdp: String,
    ) -> Result<String, MediaError> {
        self.relay.answer(MediaAnswer { session: id, from: from.0, from_network: from.1, to, sdp }).await
    }

    pub async fn plain_call(&self) -> Call {
        let (mut caller, mut callee, id) = (Peer::new(), Peer::new(), session());
        let offer = self
            .offer(id, (0, network(None, false)), (1, network(PLAIN, false)), caller.sdp("RTP/AVP", ""))
            .await
            .unwrap();
        callee.hear(&offer);
        let answer = self.answer(id, (1, network(PLAIN, false)), 0, callee.sdp("RTP/AVP", "")).await.unwrap();
        caller.hear(&answer);
        Call { id, caller, callee }
    }
}

/// Says something on one side until it is heard on the other; returns how many packets it took.
pub fn until_heard(from: &mut Peer, to: &mut Peer, most: usize) -> usize {
    for n in 1..=most {
        let packet = from.say(b"are you there?");
        if let Some(mut heard) = to.receive_raw(Duration::from_millis(20)) {
            if let Some(opener) = &mut to.opener {
                let length = opener.unprotect_rtp(&mut heard).unwrap();
                heard.truncate(length);
            }
            assert_eq!(heard[12..], packet[12..]);
            return n;
        }
    }
    panic!("{most} packets, none heard");
}
