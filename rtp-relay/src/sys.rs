//! The system calls that std lacks: epoll, many datagrams per call (recvmmsg, sendmmsg), binding a thread to a CPU.
//!
//! The only file of this crate with `unsafe`. The headers that the kernel reads and writes point into boxed slices that live
//! as long as they do, are never moved or grown, and are only touched between calls.
#![allow(unsafe_code)]

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use base::limits::RTP_PACKET_BYTES_MAX;
use rtp_proto::srtp::OVERHEAD_BYTES_MAX;

/// Datagrams that are in hand at once.
pub(crate) const BATCH: usize = 64;
/// One buffer: a datagram and what protection adds; a whole number of cache lines.
const SLOT: usize = (RTP_PACKET_BYTES_MAX + OVERHEAD_BYTES_MAX).next_multiple_of(64);
/// Events taken at once.
const EVENTS: usize = 1_024;
const NAME_BYTES: libc::socklen_t = size_of::<libc::sockaddr_in6>() as libc::socklen_t;

/// Which sockets have something to read.
pub(crate) struct Poll {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
    ready: usize,
}

impl Poll {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no pointers; the result is checked before it becomes an owned descriptor.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: `fd` was just created and belongs to nobody else.
        let epoll = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { epoll, events: vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS], ready: 0 })
    }

    /// Watches a descriptor under a name. Closing the descriptor ends it.
    pub(crate) fn watch(&self, fd: RawFd, name: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: name };
        // SAFETY: `event` lives through the call, which copies it.
        check(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event) }).map(|_| ())
    }

    /// Waits at most `timeout` (rounded up to milliseconds); returns how many are ready, see [`Self::name`].
    pub(crate) fn wait(&mut self, timeout: Duration) -> usize {
        let millis = timeout.as_micros().div_ceil(1000).min(60_000) as libc::c_int;
        let (fd, room) = (self.epoll.as_raw_fd(), self.events.len() as libc::c_int);
        // SAFETY: the kernel writes at most `room` events into the vector, which has that many.
        let count = unsafe { libc::epoll_wait(fd, self.events.as_mut_ptr(), room, millis) };
        // An interrupted wait is an empty one.
        self.ready = usize::try_from(count).unwrap_or(0);
        self.ready
    }

    /// The name of the n-th that is ready.
    pub(crate) fn name(&self, n: usize) -> u64 {
        self.events[..self.ready].get(n).map_or(u64::MAX, |event| event.u64)
    }
}

/// Wakes a thread that waits in [`Poll::wait`], from any other.
pub(crate) struct Waker(OwnedFd);

impl Waker {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no pointers; the result is checked before it becomes an owned descriptor.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: `fd` was just created and belongs to nobody else.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    pub(crate) fn wake(&self) {
        let one = 1u64;
        // SAFETY: eight bytes that live through the call. It can only fail when the counter is full: then it wakes anyway.
        unsafe { libc::write(self.fd(), (&raw const one).cast(), 8) };
    }

    /// Makes it quiet again.
    pub(crate) fn clear(&self) {
        let mut count = 0u64;
        // SAFETY: eight writable bytes that live through the call. It fails when there is nothing to clear.
        unsafe { libc::read(self.fd(), (&raw mut count).cast(), 8) };
    }
}

/// Buffers for datagrams, with the headers that receive into them and those that send out of them.
pub(crate) struct Batch {
    storage: Box<[u8]>,
    inward: Box<[libc::mmsghdr]>,
    outward: Box<[libc::mmsghdr]>,
    from: Box<[libc::sockaddr_in6]>,
    to: Box<[libc::sockaddr_in6]>,
    parts_in: Box<[libc::iovec]>,
    parts_out: Box<[libc::iovec]>,
    queued: usize,
}

impl Batch {
    pub(crate) fn new() -> Self {
        // SAFETY: all-zero is valid for these plain C structures: null pointers, zero lengths, family AF_UNSPEC.
        let (name, header, part) =
            unsafe { (zeroed::<libc::sockaddr_in6>(), zeroed::<libc::mmsghdr>(), zeroed::<libc::iovec>()) };
        let mut batch = Self {
            storage: vec![0; SLOT * BATCH].into(),
            inward: vec![header; BATCH].into(),
            outward: vec![header; BATCH].into(),
            from: vec![name; BATCH].into(),
            to: vec![name; BATCH].into(),
            parts_in: vec![part; BATCH].into(),
            parts_out: vec![part; BATCH].into(),
            queued: 0,
        };
        for n in 0..BATCH {
            let bytes: *mut u8 = batch.storage[n * SLOT..].as_mut_ptr();
            batch.parts_in[n] = libc::iovec { iov_base: bytes.cast(), iov_len: RTP_PACKET_BYTES_MAX };
            let (from, to): (*mut libc::sockaddr_in6, *mut libc::sockaddr_in6) =
                (&raw mut batch.from[n], &raw mut batch.to[n]);
            batch.inward[n].msg_hdr = message(from.cast(), &raw mut batch.parts_in[n]);
            batch.outward[n].msg_hdr = message(to.cast(), &raw mut batch.parts_out[n]);
        }
        batch
    }

    /// Takes up to `most` (at most [`BATCH`]) waiting datagrams of a socket; returns how many.
    #[inline]
    pub(crate) fn receive(&mut self, fd: RawFd, most: usize) -> usize {
        let most = most.min(BATCH) as libc::c_uint;
        // SAFETY: the first `most` headers point at buffers, names and parts that are distinct and live in `self`; the kernel
        // writes within the lengths they name.
        let got =
            unsafe { libc::recvmmsg(fd, self.inward.as_mut_ptr(), most, libc::MSG_DONTWAIT, std::ptr::null_mut()) };
        usize::try_from(got).unwrap_or(0)
    }

    /// The n-th received datagram: its source, its buffer with room behind it, its length. Cut or nameless ones are `None`.
    #[inline]
    pub(crate) fn received(&mut self, n: usize) -> Option<(SocketAddr, &mut [u8], usize)> {
        let header = &mut self.inward[n];
        let (length, cut) = (header.msg_len as usize, header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0);
        header.msg_hdr.msg_namelen = NAME_BYTES;
        let from = read_address(&self.from[n]).filter(|_| !cut)?;
        Some((from, &mut self.storage[n * SLOT..(n + 1) * SLOT], length))
    }

    /// A buffer for a packet of our own.
    pub(crate) fn buffer(&mut self) -> &mut [u8] {
        &mut self.storage[..SLOT]
    }

    /// Queues the first `length` bytes of the n-th buffer. Every buffer may be queued once.
    #[inline]
    pub(crate) fn queue(&mut self, n: usize, to: SocketAddr, length: usize) {
        let place = self.queued;
        let bytes: *mut u8 = self.storage[n * SLOT..(n + 1) * SLOT].as_mut_ptr();
        self.parts_out[place] = libc::iovec { iov_base: bytes.cast(), iov_len: length.min(SLOT) };
        self.outward[place].msg_hdr.msg_namelen = write_address(to, &mut self.to[place]);
        self.queued += 1;
    }

    /// Sends what is queued by a socket; returns how many datagrams the kernel did not take. Those are gone, as on the wire.
    #[inline]
    pub(crate) fn send(&mut self, fd: RawFd) -> usize {
        let (mut done, mut failed) = (0, 0);
        while done < self.queued {
            let left = (self.queued - done) as libc::c_uint;
            let list = self.outward[done..].as_mut_ptr();
            // SAFETY: the `left` headers from `done` on point at bytes, names and parts in `self`, set by `queue`.
            match usize::try_from(unsafe { libc::sendmmsg(fd, list, left, libc::MSG_DONTWAIT) }) {
                Ok(sent) if sent > 0 => done += sent,
                // The first of the rest is not wanted (no route, buffer full): the others may be.
                _ => {
                    done += 1;
                    failed += 1;
                }
            }
        }
        self.queued = 0;
        failed
    }
}

/// Binds the calling thread to a CPU.
pub(crate) fn bind_to_cpu(cpu: usize) -> io::Result<()> {
    // SAFETY: all-zero is an empty set; CPU_SET checks its range; the set lives through the call, 0 is the calling thread.
    unsafe {
        let mut set: libc::cpu_set_t = zeroed();
        libc::CPU_SET(cpu, &mut set);
        check(libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set)).map(|_| ())
    }
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn message(name: *mut libc::c_void, part: *mut libc::iovec) -> libc::msghdr {
    // SAFETY: all-zero is a valid msghdr without parts; its padding fields differ between libcs and stay zero.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_name = name;
    message.msg_namelen = NAME_BYTES;
    message.msg_iov = part;
    message.msg_iovlen = 1;
    message
}

/// Reads an address that the kernel wrote.
#[inline]
fn read_address(name: &libc::sockaddr_in6) -> Option<SocketAddr> {
    match libc::c_int::from(name.sin6_family) {
        libc::AF_INET => {
            // SAFETY: the family says that it is a sockaddr_in, which is smaller and less aligned.
            let v4 = unsafe { *(&raw const *name).cast::<libc::sockaddr_in>() };
            Some(SocketAddrV4::new(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)), u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(ip, u16::from_be(name.sin6_port), 0, name.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// Writes an address as the kernel reads it; returns its length.
#[inline]
fn write_address(address: SocketAddr, name: &mut libc::sockaddr_in6) -> libc::socklen_t {
    match address {
        SocketAddr::V4(address) => {
            let v4 = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: address.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
                sin_zero: [0; 8],
            };
            // SAFETY: sockaddr_in6 is larger than sockaddr_in and aligned for it.
            unsafe { (&raw mut *name).cast::<libc::sockaddr_in>().write(v4) };
            size_of::<libc::sockaddr_in>() as libc::socklen_t
        }
        SocketAddr::V6(address) => {
            *name = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
                sin6_scope_id: address.scope_id(),
            };
            NAME_BYTES
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn datagrams_go_in_and_out_in_batches_of_both_families() {
        for ip in ["127.0.0.1:0", "[::1]:0"] {
            let (a, b) = (UdpSocket::bind(ip).unwrap(), UdpSocket::bind(ip).unwrap());
            let (mut poll, mut batch) = (Poll::new().unwrap(), Batch::new());
            poll.watch(b.as_raw_fd(), 7).unwrap();
            assert_eq!(poll.wait(Duration::ZERO), 0);
            for n in 0..5u8 {
                a.send_to(&[n; 100], b.local_addr().unwrap()).unwrap();
            }
            a.send_to(&[9; RTP_PACKET_BYTES_MAX + 1], b.local_addr().unwrap()).unwrap();
            assert_eq!((poll.wait(Duration::from_secs(5)), poll.name(0)), (1, 7));
            assert_eq!(batch.receive(b.as_raw_fd(), BATCH), 6);
            assert!(batch.received(5).is_none(), "cut");
            for n in 0..5 {
                let (from, buffer, length) = batch.received(n).unwrap();
                assert_eq!((from, length, buffer[0]), (a.local_addr().unwrap(), 100, n as u8));
                buffer[100] = 0xee;
                batch.queue(n, from, 101);
            }
            assert_eq!(batch.send(b.as_raw_fd()), 0);
            let mut back = [0; 200];
            for n in 0..5u8 {
                assert_eq!((a.recv(&mut back).unwrap(), back[0], back[100]), (101, n, 0xee));
            }
        }
    }

    #[test]
    fn a_waker_wakes_until_it_is_cleared() {
        let (mut poll, waker) = (Poll::new().unwrap(), Waker::new().unwrap());
        poll.watch(waker.fd(), 1).unwrap();
        waker.wake();
        waker.wake();
        assert_eq!(poll.wait(Duration::from_secs(5)), 1);
        waker.clear();
        assert_eq!(poll.wait(Duration::ZERO), 0);
    }
}
