//! The system calls that std lacks: epoll, many datagrams per call (recvmmsg, sendmmsg), the steering of shared sockets.
//!
//! The only file of this crate with `unsafe`. Buffers never move while the kernel may write to them: they live in boxed
//! slices that are filled and read by index.
#![allow(unsafe_code)]

use std::io;
use std::mem::{MaybeUninit, size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use base::limits::STUN_MESSAGE_BYTES_MAX;
use stun_proto::turn::Prefix;

/// Datagrams that are in hand at once.
pub(crate) const BATCH: usize = 128;
/// Room in front of a received datagram, for the header that it gets on its way to the client.
const HEADROOM: usize = Prefix::BYTES_MAX;
/// One buffer: headroom, datagram, padding.
const SLOT: usize = HEADROOM + STUN_MESSAGE_BYTES_MAX + 4;
/// Room for a control message with an IPv6 address and an interface: 16 bytes of head, 20 of content, padding.
const CONTROL_BYTES: usize = 40;
/// Events taken at once.
const EVENTS: usize = 256;

/// Which sockets have something to read.
pub(crate) struct Poll {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Poll {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no pointers; the result is checked before it becomes an owned descriptor.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: `fd` was just created and belongs to nobody else.
        let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { epoll, events: vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS] })
    }

    /// Watches a descriptor under a name. Closing the descriptor ends it.
    pub(crate) fn watch(&self, fd: RawFd, name: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: name };
        // SAFETY: `event` lives through the call, which copies it.
        check(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event) }).map(|_| ())
    }

    /// Waits at most `timeout`; returns the names of what is ready.
    pub(crate) fn wait(&mut self, timeout: Duration) -> impl Iterator<Item = u64> + use<> {
        // Rounded up, so that a deadline has passed when the call returns.
        let millis = timeout.as_micros().div_ceil(1000).min(60_000) as libc::c_int;
        let (fd, room) = (self.epoll.as_raw_fd(), self.events.len() as libc::c_int);
        // SAFETY: the kernel writes at most `room` events into the vector, which has that many.
        let count = unsafe { libc::epoll_wait(fd, self.events.as_mut_ptr(), room, millis) };
        // An interrupted wait is an empty one.
        let ready: Vec<u64> =
            self.events[..usize::try_from(count).unwrap_or(0)].iter().map(|event| event.u64).collect();
        ready.into_iter()
    }
}

/// Where the bytes of an outgoing datagram are.
enum Bytes {
    Slot { start: usize, end: usize },
    Owned(Vec<u8>),
}

/// The way to a client: a listening socket, the client, and our address where the socket has several.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    pub(crate) fd: RawFd,
    pub(crate) to: SocketAddr,
    pub(crate) source: Option<IpAddr>,
}

struct Outgoing {
    fd: RawFd,
    to: SocketAddr,
    /// Our address that it comes from, where the socket has several.
    source: Option<IpAddr>,
    bytes: Bytes,
}

/// Room for one packet-info control message, aligned as the kernel wants it.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

/// Received datagrams, and the datagrams that wait to be sent, many of which are parts of the received ones.
pub(crate) struct Batch {
    storage: Box<[u8]>,
    names: Box<[libc::sockaddr_storage]>,
    lengths: Box<[usize]>,
    locals: Box<[Option<IpAddr>]>,
    controls: Box<[Control]>,
    used: usize,
    outgoing: Vec<Outgoing>,
    /// Datagrams that the kernel did not take.
    pub(crate) send_failures: u64,
}

impl Batch {
    pub(crate) fn new() -> Self {
        // SAFETY: all-zero is a valid sockaddr_storage (family AF_UNSPEC).
        let name: libc::sockaddr_storage = unsafe { zeroed() };
        Self {
            storage: vec![0; SLOT * BATCH].into(),
            names: vec![name; BATCH].into(),
            lengths: vec![0; BATCH].into(),
            locals: vec![None; BATCH].into(),
            controls: vec![Control([0; CONTROL_BYTES]); BATCH].into(),
            used: 0,
            outgoing: Vec::with_capacity(BATCH * 2),
            send_failures: 0,
        }
    }

    /// Buffers that are still free.
    pub(crate) fn room(&self) -> usize {
        BATCH - self.used
    }

    /// Takes what waits on a socket, into at most `room` buffers; returns which ones. Cut datagrams have length 0.
    pub(crate) fn receive(&mut self, socket: &UdpSocket, most: usize) -> Range<usize> {
        let (first, count) = (self.used, most.min(self.room()));
        let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; BATCH];
        let mut parts = [const { MaybeUninit::<libc::iovec>::uninit() }; BATCH];
        let name_bytes = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        for n in 0..count {
            let buffer = &mut self.storage[(first + n) * SLOT + HEADROOM..][..STUN_MESSAGE_BYTES_MAX];
            let part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
            let name = (&raw mut self.names[first + n]).cast();
            let header = headers[n].write(header(name, name_bytes, parts[n].write(part)));
            header.msg_hdr.msg_control = (&raw mut self.controls[first + n]).cast();
            header.msg_hdr.msg_controllen = CONTROL_BYTES;
        }
        let (fd, list) = (socket.as_raw_fd(), headers.as_mut_ptr().cast::<libc::mmsghdr>());
        // SAFETY: `count` headers are written and point at buffers, names and parts that are distinct, live through the
        // call and are not touched in it; the kernel writes within the given lengths.
        let got = unsafe { libc::recvmmsg(fd, list, count as u32, libc::MSG_DONTWAIT, std::ptr::null_mut()) };
        let got = usize::try_from(got).unwrap_or(0);
        for (n, header) in headers[..got].iter().enumerate() {
            // SAFETY: the first `count` headers were written above, and `got` is at most `count`.
            let header = unsafe { header.assume_init_ref() };
            let cut = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
            self.lengths[first + n] = if cut { 0 } else { header.msg_len as usize };
            self.locals[first + n] = read_local(&header.msg_hdr);
        }
        self.used += got;
        first..first + got
    }

    /// A received datagram and its source; `None` for a cut one.
    pub(crate) fn datagram(&self, slot: usize) -> Option<(&[u8], SocketAddr)> {
        let start = slot * SLOT + HEADROOM;
        let bytes = &self.storage[start..start + self.lengths[slot]];
        Some((bytes, read_address(&self.names[slot])?)).filter(|_| self.lengths[slot] > 0)
    }

    /// The address of ours that a received datagram came to, if its socket tells.
    pub(crate) fn local(&self, slot: usize) -> Option<IpAddr> {
        self.locals[slot]
    }

    /// Where in the storage a part of a received datagram lies.
    pub(crate) fn place(&self, part: &[u8]) -> Range<usize> {
        let start = part.as_ptr().addr() - self.storage.as_ptr().addr();
        start..start + part.len()
    }

    /// Queues a part of a received datagram.
    pub(crate) fn forward(&mut self, fd: RawFd, to: SocketAddr, place: Range<usize>) {
        self.outgoing.push(Outgoing {
            fd,
            to,
            source: None,
            bytes: Bytes::Slot { start: place.start, end: place.end },
        });
    }

    /// Queues a whole received datagram with bytes before and zeros behind it.
    pub(crate) fn forward_wrapped(&mut self, way: Way, slot: usize, prefix: &[u8], padding: usize) {
        let start = slot * SLOT + HEADROOM;
        let end = start + self.lengths[slot];
        self.storage[start - prefix.len()..start].copy_from_slice(prefix);
        self.storage[end..end + padding].fill(0);
        let bytes = Bytes::Slot { start: start - prefix.len(), end: end + padding };
        self.outgoing.push(Outgoing { fd: way.fd, to: way.to, source: way.source, bytes });
    }

    /// Queues a message of our own.
    pub(crate) fn send(&mut self, way: Way, bytes: Vec<u8>) {
        self.outgoing.push(Outgoing { fd: way.fd, to: way.to, source: way.source, bytes: Bytes::Owned(bytes) });
    }

    /// Sends everything that is queued and frees the buffers.
    pub(crate) fn flush(&mut self) {
        self.send_queued();
        self.used = 0;
    }

    /// Sends everything that is queued, many datagrams of a socket per call; received ones stay.
    pub(crate) fn send_queued(&mut self) {
        let mut outgoing = std::mem::take(&mut self.outgoing);
        outgoing.sort_by_key(|one| one.fd); // stable: the order within a socket stays
        for run in outgoing.chunk_by(|a, b| a.fd == b.fd) {
            for run in run.chunks(BATCH) {
                self.send_run(run);
            }
        }
        outgoing.clear();
        self.outgoing = outgoing;
    }

    fn send_run(&mut self, run: &[Outgoing]) {
        let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; BATCH];
        let mut parts = [const { MaybeUninit::<libc::iovec>::uninit() }; BATCH];
        let mut names = [const { MaybeUninit::<libc::sockaddr_storage>::uninit() }; BATCH];
        let mut controls = [Control([0; CONTROL_BYTES]); BATCH];
        for (n, one) in run.iter().enumerate() {
            let bytes = match &one.bytes {
                Bytes::Slot { start, end } => &self.storage[*start..*end],
                Bytes::Owned(bytes) => bytes,
            };
            let part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
            let name_bytes = write_address(one.to, &mut names[n]);
            let header = headers[n].write(header(names[n].as_mut_ptr().cast(), name_bytes, parts[n].write(part)));
            if let Some(source) = one.source {
                header.msg_hdr.msg_control = controls[n].0.as_mut_ptr().cast();
                header.msg_hdr.msg_controllen = CONTROL_BYTES;
                write_local(source, &mut header.msg_hdr);
            }
        }
        let mut done = 0;
        while done < run.len() {
            let left = (run.len() - done) as u32;
            let list = headers[done..].as_mut_ptr().cast::<libc::mmsghdr>();
            // SAFETY: the `left` headers from `done` on are written and point at bytes, names and parts that live through
            // the call; the kernel only reads those, and writes the lengths sent into the headers.
            let sent = unsafe { libc::sendmmsg(run[0].fd, list, left, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
            match usize::try_from(sent) {
                Ok(sent) if sent > 0 => done += sent,
                // A datagram that the kernel refuses (no room, no route, too long) is lost, as on any link.
                Ok(_) | Err(_) => {
                    self.send_failures += 1;
                    done += 1;
                }
            }
        }
    }
}

/// Makes the sockets that share `socket`'s address take clients by source address: worker = last 32 bits modulo `workers`.
pub(crate) fn steer_by_source_address(socket: &UdpSocket, v4: bool, workers: u32) -> io::Result<()> {
    const NETWORK_HEADER: i32 = -0x10_0000; // SKF_NET_OFF
    let source_offset = if v4 { 12 } else { 8 + 12 };
    let op = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let mut program = [
        op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, (NETWORK_HEADER + source_offset) as u32),
        op(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, workers),
        op(libc::BPF_RET | libc::BPF_A, 0),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: `filter` and the program it points at live through the call, which copies them.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            (&raw const filter).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    check(result).map(|_| ())
}

/// A header for one datagram in one part.
fn header(name: *mut libc::c_void, name_bytes: libc::socklen_t, part: *mut libc::iovec) -> libc::mmsghdr {
    // SAFETY: all-zero is valid for this C struct; the pointers in it are set below.
    let mut header: libc::mmsghdr = unsafe { zeroed() };
    header.msg_hdr.msg_name = name;
    header.msg_hdr.msg_namelen = name_bytes;
    header.msg_hdr.msg_iov = part;
    header.msg_hdr.msg_iovlen = 1;
    header
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Makes a socket that is bound to all addresses tell which of them a datagram came to.
pub(crate) fn tell_local_address(socket: &UdpSocket, v4: bool) -> io::Result<()> {
    let (level, option) =
        if v4 { (libc::IPPROTO_IP, libc::IP_PKTINFO) } else { (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO) };
    let on: libc::c_int = 1;
    // SAFETY: `on` lives through the call, which copies it.
    let result = unsafe {
        let bytes = size_of::<libc::c_int>() as libc::socklen_t;
        libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const on).cast(), bytes)
    };
    check(result).map(|_| ())
}

/// The address in the packet-info control message of a received header.
fn read_local(header: &libc::msghdr) -> Option<IpAddr> {
    // SAFETY: the kernel has set msg_controllen to what it wrote into the buffer that msg_control points at.
    let first = unsafe { libc::CMSG_FIRSTHDR(header).as_ref() }?;
    // SAFETY: computes an address behind `first`; nothing is read yet.
    let data = unsafe { libc::CMSG_DATA(first) };
    match (first.cmsg_level, first.cmsg_type) {
        (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
            // SAFETY: a control message of this type holds an in_pktinfo; alignment is not relied on.
            let info = unsafe { data.cast::<libc::in_pktinfo>().read_unaligned() };
            Some(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr)).into())
        }
        (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
            // SAFETY: a control message of this type holds an in6_pktinfo; alignment is not relied on.
            let info = unsafe { data.cast::<libc::in6_pktinfo>().read_unaligned() };
            Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into())
        }
        _ => None,
    }
}

/// Writes a control message that makes the datagram leave from `source`, and sets its length in the header, whose
/// msg_control must point at [`CONTROL_BYTES`] zeros.
fn write_local(source: IpAddr, header: &mut libc::msghdr) {
    // SAFETY: msg_control and msg_controllen describe a live, zeroed, aligned buffer that has room for either message:
    // CMSG_SPACE is 32 for IPv4 and 40 for IPv6.
    unsafe {
        let Some(message) = libc::CMSG_FIRSTHDR(header).as_mut() else { return };
        let data = libc::CMSG_DATA(message);
        let content = match source {
            IpAddr::V4(ip) => {
                let address = libc::in_addr { s_addr: u32::from(ip).to_be() };
                let none = libc::in_addr { s_addr: 0 };
                let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: address, ipi_addr: none };
                data.cast::<libc::in_pktinfo>().write_unaligned(info);
                (message.cmsg_level, message.cmsg_type) = (libc::IPPROTO_IP, libc::IP_PKTINFO);
                size_of::<libc::in_pktinfo>()
            }
            IpAddr::V6(ip) => {
                let address = libc::in6_addr { s6_addr: ip.octets() };
                let info = libc::in6_pktinfo { ipi6_addr: address, ipi6_ifindex: 0 };
                data.cast::<libc::in6_pktinfo>().write_unaligned(info);
                (message.cmsg_level, message.cmsg_type) = (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO);
                size_of::<libc::in6_pktinfo>()
            }
        } as u32;
        message.cmsg_len = libc::CMSG_LEN(content) as usize;
        header.msg_controllen = libc::CMSG_SPACE(content) as usize;
    }
}

/// The addresses of this computer's interfaces.
pub(crate) fn local_addresses() -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    let mut list: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: on success `list` is a linked list that stays valid until it is freed below; its entries are only read, and
    // an address pointer that is not null holds what its family says.
    unsafe {
        if libc::getifaddrs(&raw mut list) != 0 {
            return addresses;
        }
        let mut entry = list;
        while let Some(interface) = entry.as_ref() {
            if let Some(address) = interface.ifa_addr.as_ref() {
                let bytes = match libc::c_int::from(address.sa_family) {
                    libc::AF_INET => size_of::<libc::sockaddr_in>(),
                    libc::AF_INET6 => size_of::<libc::sockaddr_in6>(),
                    _ => 0,
                };
                let mut name: libc::sockaddr_storage = zeroed();
                std::ptr::copy_nonoverlapping(interface.ifa_addr.cast::<u8>(), (&raw mut name).cast(), bytes);
                addresses.extend(read_address(&name).map(|address| address.ip()));
            }
            entry = interface.ifa_next;
        }
        libc::freeifaddrs(list);
    }
    addresses
}

fn read_address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: sockaddr_storage is large and aligned enough for any address, and the family says which it is.
            let v4 = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { &*(&raw const *name).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), 0, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// Writes an address as the kernel reads it; returns its length.
fn write_address(address: SocketAddr, name: &mut MaybeUninit<libc::sockaddr_storage>) -> libc::socklen_t {
    match address {
        SocketAddr::V4(address) => {
            let v4 = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: address.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
                sin_zero: [0; 8],
            };
            // SAFETY: sockaddr_storage is large and aligned enough for any address.
            unsafe { name.as_mut_ptr().cast::<libc::sockaddr_in>().write(v4) };
            size_of::<libc::sockaddr_in>() as libc::socklen_t
        }
        SocketAddr::V6(address) => {
            let v6 = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
                sin6_scope_id: address.scope_id(),
            };
            // SAFETY: as above.
            unsafe { name.as_mut_ptr().cast::<libc::sockaddr_in6>().write(v6) };
            size_of::<libc::sockaddr_in6>() as libc::socklen_t
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_wildcard_socket_answers_from_the_address_that_was_asked() {
        let server = UdpSocket::bind("0.0.0.0:0").unwrap();
        tell_local_address(&server, true).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let asked: SocketAddr = ([127, 0, 0, 2], server.local_addr().unwrap().port()).into();
        client.send_to(b"hello", asked).unwrap();
        let mut poll = Poll::new().unwrap();
        poll.watch(server.as_raw_fd(), 7).unwrap();
        assert_eq!(poll.wait(Duration::from_secs(10)).collect::<Vec<_>>(), [7]);
        let mut batch = Batch::new();
        assert_eq!(batch.receive(&server, 4), 0..1);
        assert_eq!(batch.datagram(0), Some((&b"hello"[..], client.local_addr().unwrap())));
        assert_eq!(batch.local(0), Some(asked.ip()));
        let way = Way { fd: server.as_raw_fd(), to: client.local_addr().unwrap(), source: batch.local(0) };
        batch.forward_wrapped(way, 0, b"pre", 2);
        batch.send(way, b"own".to_vec());
        batch.flush();
        let mut buffer = [0; 20];
        assert_eq!(client.recv_from(&mut buffer).unwrap(), (10, asked));
        assert_eq!(buffer[..10], *b"prehello\0\0");
        assert_eq!(client.recv_from(&mut buffer).unwrap(), (3, asked));
        assert_eq!(batch.send_failures, 0);
    }

    #[test]
    fn an_ipv6_socket_answers_from_the_address_that_was_asked() {
        // Machines without IPv6 have nothing to prove here.
        let Ok(server) = UdpSocket::bind("[::]:0") else { return };
        tell_local_address(&server, false).unwrap();
        let client = UdpSocket::bind("[::1]:0").unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let asked: SocketAddr = (Ipv6Addr::LOCALHOST, server.local_addr().unwrap().port()).into();
        client.send_to(b"hello", asked).unwrap();
        let mut poll = Poll::new().unwrap();
        poll.watch(server.as_raw_fd(), 7).unwrap();
        assert_eq!(poll.wait(Duration::from_secs(10)).count(), 1);
        let mut batch = Batch::new();
        batch.receive(&server, 4);
        assert_eq!(batch.local(0), Some(asked.ip()));
        let way = Way { fd: server.as_raw_fd(), to: client.local_addr().unwrap(), source: batch.local(0) };
        batch.send(way, b"own".to_vec());
        batch.flush();
        let mut buffer = [0; 20];
        assert_eq!(client.recv_from(&mut buffer).unwrap(), (3, asked));
    }

    #[test]
    fn a_datagram_over_the_bound_is_dropped_whole() {
        let (server, client) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        client.send_to(&[1; STUN_MESSAGE_BYTES_MAX + 1], server.local_addr().unwrap()).unwrap();
        client.send_to(&[2; STUN_MESSAGE_BYTES_MAX], server.local_addr().unwrap()).unwrap();
        let mut batch = Batch::new();
        assert_eq!(batch.receive(&server, 4), 0..2);
        assert_eq!(batch.datagram(0), None);
        assert_eq!(batch.datagram(1).map(|(bytes, _)| bytes.len()), Some(STUN_MESSAGE_BYTES_MAX));
    }

    #[test]
    fn this_computer_has_a_loopback_address() {
        assert!(local_addresses().contains(&IpAddr::from([127, 0, 0, 1])));
    }
}
