//! One allocation: who owns it, whom it may talk to, until when. Plain data; the server decides.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use base::Timestamp;

use super::{CHANNEL_LIFETIME, CHANNELS_MAX, FiveTuple, PERMISSION_LIFETIME, PERMISSIONS_MAX, RelayAddress, Traffic};
use crate::{Key, TransactionId};

/// A granted allocation.
#[derive(Debug, Clone)]
pub(super) struct Allocation {
    pub(super) client: FiveTuple,
    pub(super) username: String,
    pub(super) key: Key,
    /// When the credential ends, for strict servers.
    pub(super) credential_expires: Option<Timestamp>,
    pub(super) began: Instant,
    pub(super) expires: Instant,
    pub(super) relay: RelayAddress,
    pub(super) port: u16,
    /// The Allocate that made it and its answer, for retransmissions.
    pub(super) granted: (TransactionId, Vec<u8>),
    permissions: HashMap<IpAddr, Instant>,
    channels: HashMap<u16, Channel>,
    channel_of: HashMap<SocketAddr, u16>,
    pub(super) to_peers: Traffic,
    pub(super) from_peers: Traffic,
}

#[derive(Debug, Clone, Copy)]
struct Channel {
    peer: SocketAddr,
    expires: Instant,
}

/// Why a channel was not bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotBound {
    /// The number or the peer belongs to another binding.
    Taken,
    /// No more room.
    Full,
}

/// What a new allocation starts with.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) client: FiveTuple,
    pub(super) username: String,
    pub(super) key: Key,
    pub(super) credential_expires: Option<Timestamp>,
    pub(super) began: Instant,
    pub(super) expires: Instant,
    pub(super) relay: RelayAddress,
    pub(super) port: u16,
    pub(super) granted: (TransactionId, Vec<u8>),
}

impl Allocation {
    pub(super) fn new(grant: Grant) -> Self {
        let Grant { client, username, key, credential_expires, began, expires, relay, port, granted } = grant;
        Self {
            client,
            username,
            key,
            credential_expires,
            began,
            expires,
            relay,
            port,
            granted,
            permissions: HashMap::new(),
            channels: HashMap::new(),
            channel_of: HashMap::new(),
            to_peers: Traffic::default(),
            from_peers: Traffic::default(),
        }
    }

    /// Whether `ips` more permissions fit, after forgetting those that ended.
    pub(super) fn has_room_for(&mut self, now: Instant, ips: &[SocketAddr]) -> bool {
        let fresh = |permissions: &HashMap<IpAddr, Instant>| {
            ips.iter().filter(|peer| !permissions.contains_key(&peer.ip())).count()
        };
        if self.permissions.len() + fresh(&self.permissions) > PERMISSIONS_MAX {
            self.permissions.retain(|_, expires| *expires > now);
        }
        self.permissions.len() + fresh(&self.permissions) <= PERMISSIONS_MAX
    }

    /// Permits an address from now on; the caller made sure that there is room.
    pub(super) fn permit(&mut self, now: Instant, ip: IpAddr) {
        self.permissions.insert(ip, now + PERMISSION_LIFETIME);
    }

    pub(super) fn is_permitted(&self, now: Instant, ip: IpAddr) -> bool {
        self.permissions.get(&ip).is_some_and(|expires| *expires > now)
    }

    /// Binds or refreshes a channel (RFC 8656 §12.2).
    pub(super) fn bind(&mut self, now: Instant, number: u16, peer: SocketAddr) -> Result<(), NotBound> {
        self.forget(now, number, peer);
        let by_number = self.channels.get(&number).map(|channel| channel.peer);
        let by_peer = self.channel_of.get(&peer).copied();
        match (by_number, by_peer) {
            (None, None) if self.channels.len() < CHANNELS_MAX => {}
            (None, None) => {
                self.forget_all(now);
                if self.channels.len() >= CHANNELS_MAX {
                    return Err(NotBound::Full);
                }
            }
            (Some(bound), Some(_)) if bound == peer => {}
            (Some(_), _) | (None, Some(_)) => return Err(NotBound::Taken),
        }
        self.channels.insert(number, Channel { peer, expires: now + CHANNEL_LIFETIME });
        self.channel_of.insert(peer, number);
        Ok(())
    }

    /// Drops the ended bindings that stand in the way of this one.
    fn forget(&mut self, now: Instant, number: u16, peer: SocketAddr) {
        for number in [Some(number), self.channel_of.get(&peer).copied()].into_iter().flatten() {
            if let Some(channel) = self.channels.get(&number).copied().filter(|channel| channel.expires <= now) {
                self.channels.remove(&number);
                self.channel_of.remove(&channel.peer);
            }
        }
    }

    fn forget_all(&mut self, now: Instant) {
        let channels = &mut self.channels;
        channels.retain(|_, channel| channel.expires > now);
        self.channel_of.retain(|_, number| channels.contains_key(number));
    }

    /// The peer of a live channel.
    pub(super) fn channel_peer(&self, now: Instant, number: u16) -> Option<SocketAddr> {
        self.channels.get(&number).filter(|channel| channel.expires > now).map(|channel| channel.peer)
    }

    /// The live channel to a peer.
    pub(super) fn channel_to(&self, now: Instant, peer: SocketAddr) -> Option<u16> {
        let number = *self.channel_of.get(&peer)?;
        self.channel_peer(now, number).map(|_| number)
    }
}
