//! Refresh (RFC 8656 §8), CreatePermission (§10) and ChannelBind (§12).

use std::net::SocketAddr;
use std::time::Duration;

use base::Timestamp;

use super::allocation::{Allocation, NotBound};
use super::refusal::Refusal;
use super::server::{Asker, Server};
use super::{Config, Now, channel_data};
use crate::MessageWriter;
use crate::address;
use crate::attribute as attr;
use crate::message::Message;

impl Server {
    pub(super) fn refresh(
        &mut self,
        now: Now,
        asker: Asker,
        message: &Message<'_>,
        username: &str,
    ) -> Result<MessageWriter, Refusal> {
        let wanted = requested_lifetime(message)?;
        let family = message.attribute(attr::REQUESTED_ADDRESS_FAMILY);
        let (relay, allocation) = self.owned(asker.from, username)?;
        if family.is_some_and(|value| value.first() != Some(&address::family(allocation.relay.bind))) {
            return Err(Refusal::PeerFamilyMismatch);
        }
        let credential_expires = allocation.credential_expires;
        if wanted == Some(Duration::ZERO) {
            self.end(now.mono, relay);
            return Ok(self.success(asker).number(attr::LIFETIME, 0));
        }
        let lifetime = granted_lifetime(&self.config, wanted, credential_expires, now.wall);
        let expires = now.mono + lifetime;
        self.owned(asker.from, username)?.1.expires = expires;
        self.deadlines.set(relay, expires);
        Ok(self.success(asker).number(attr::LIFETIME, lifetime.as_secs() as u32))
    }

    pub(super) fn create_permission(
        &mut self,
        now: Now,
        asker: Asker,
        message: &Message<'_>,
        username: &str,
    ) -> Result<MessageWriter, Refusal> {
        let values = message.attributes().filter(|(kind, _)| *kind == attr::XOR_PEER_ADDRESS);
        let peers: Option<Vec<SocketAddr>> =
            values.map(|(_, value)| address::read_xor(value, message.transaction())).collect();
        let peers = peers.filter(|peers| !peers.is_empty()).ok_or(Refusal::BadRequest)?;
        let permitted = peers.iter().all(|peer| self.config.peers.permits(peer.ip()));
        let (_, allocation) = self.owned(asker.from, username)?;
        for peer in &peers {
            check_family(allocation, *peer)?;
        }
        if !permitted {
            return Err(Refusal::Forbidden);
        }
        if !allocation.has_room_for(now.mono, &peers) {
            return Err(Refusal::InsufficientCapacity);
        }
        for peer in &peers {
            allocation.permit(now.mono, peer.ip());
        }
        Ok(self.success(asker))
    }

    pub(super) fn channel_bind(
        &mut self,
        now: Now,
        asker: Asker,
        message: &Message<'_>,
        username: &str,
    ) -> Result<MessageWriter, Refusal> {
        let peer = message.xor_address(attr::XOR_PEER_ADDRESS).ok_or(Refusal::BadRequest)?;
        let number = message.number(attr::CHANNEL_NUMBER).ok_or(Refusal::BadRequest)?;
        let number = (number >> 16) as u16; // the lower half is reserved and ignored
        if !channel_data::CHANNELS.contains(&number) {
            return Err(Refusal::BadRequest);
        }
        let policy = self.config.peers.permits(peer.ip()) && self.config.peers.reaches(peer);
        let (_, allocation) = self.owned(asker.from, username)?;
        check_family(allocation, peer)?;
        if !policy {
            return Err(Refusal::Forbidden);
        }
        if !allocation.has_room_for(now.mono, &[peer]) {
            return Err(Refusal::InsufficientCapacity);
        }
        allocation.bind(now.mono, number, peer).map_err(|error| match error {
            NotBound::Taken => Refusal::BadRequest,
            NotBound::Full => Refusal::InsufficientCapacity,
        })?;
        allocation.permit(now.mono, peer.ip());
        Ok(self.success(asker))
    }
}

fn check_family(allocation: &Allocation, peer: SocketAddr) -> Result<(), Refusal> {
    let same = allocation.relay.bind.is_ipv4() == peer.is_ipv4();
    if same { Ok(()) } else { Err(Refusal::PeerFamilyMismatch) }
}

/// LIFETIME of a request, if it has one.
pub(super) fn requested_lifetime(message: &Message<'_>) -> Result<Option<Duration>, Refusal> {
    match message.attribute(attr::LIFETIME) {
        None => Ok(None),
        Some(_) => {
            let seconds = message.number(attr::LIFETIME).ok_or(Refusal::BadRequest)?;
            Ok(Some(Duration::from_secs(seconds.into())))
        }
    }
}

/// What is granted for a wish (RFC 8656 §7.2); a strict server never goes beyond the credential.
pub(super) fn granted_lifetime(
    config: &Config,
    wanted: Option<Duration>,
    credential_expires: Option<Timestamp>,
    now: Timestamp,
) -> Duration {
    let longest = config.lifetime_max.max(config.lifetime_default);
    let granted = wanted.unwrap_or(config.lifetime_default).clamp(config.lifetime_default, longest);
    match credential_expires.filter(|_| config.strict_expiry) {
        Some(expires) => granted.min(expires.since(now)),
        None => granted,
    }
}
