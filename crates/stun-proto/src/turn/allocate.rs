//! Allocate (RFC 8656 §7): checks, the choice of a port, and the wait for the driver to open it.

use std::time::Duration;

use super::allocation::{Allocation, Grant};
use super::permit::{granted_lifetime, requested_lifetime};
use super::refusal::Refusal;
use super::server::{Asker, Reserved, Server, Slot};
use super::{Now, Output, RESERVATION_LIFETIME, RelayAddress, RelayId};
use crate::MessageWriter;
use crate::address;
use crate::attribute as attr;
use crate::credential::{Proven, Signer, account};
use crate::message::Message;

/// Ports that are tried when somebody else holds them, before the answer is 508.
const BIND_TRIES: u8 = 16;

/// An Allocate whose socket is being opened.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    asker: Asker,
    username: String,
    proven: Proven,
    signer: Signer,
    lifetime: Duration,
    wish: Wish,
    relay: RelayAddress,
    port: u16,
    tries_left: u8,
    neighbour: Option<RelayId>,
}

/// What kind of port the client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wish {
    pool: usize,
    even: bool,
    reserve_next: bool,
    /// ADDITIONAL-ADDRESS-FAMILY was there; we grant one family only and say so.
    additional: bool,
}

impl Server {
    /// Grants at once for a reservation, or begins to open a socket (`None`), or refuses.
    pub(super) fn allocate(
        &mut self,
        now: Now,
        asker: Asker,
        message: &Message<'_>,
        username: String,
        proven: Proven,
        signer: &Signer,
    ) -> Result<Option<MessageWriter>, Refusal> {
        if let Some(relay) = self.clients.get(&asker.from).copied() {
            return self.allocate_again(asker, relay).map(|()| None);
        }
        match message.attribute(attr::REQUESTED_TRANSPORT) {
            Some([attr::TRANSPORT_UDP, _, _, _]) => {}
            Some([_, _, _, _]) => return Err(Refusal::TransportUnsupported),
            Some(_) | None => return Err(Refusal::BadRequest),
        }
        let wanted = requested_lifetime(message)?;
        let lifetime = granted_lifetime(&self.config, wanted, proven.expires, now.wall);
        let token = reservation_token(message)?;
        let wish = if token.is_none() { Some(self.wish(message)?) } else { None };
        let held = self.per_user.get(account(&username)).copied().unwrap_or(0);
        if held >= self.config.allocations_per_user_max {
            return Err(Refusal::QuotaReached);
        }
        let Some(wish) = wish else {
            let token = token.ok_or(Refusal::BadRequest)?;
            let (relay, reserved) = self.claim(&token, &username)?;
            self.enter(asker, &username, relay);
            let pending = Pending {
                asker,
                username,
                proven,
                signer: signer.clone(),
                lifetime,
                wish: Wish { pool: 0, even: false, reserve_next: false, additional: false },
                relay: reserved.relay,
                port: reserved.port,
                tries_left: 0,
                neighbour: None,
            };
            self.grant(now, relay, pending, None);
            return Ok(None);
        };
        if self.slots.len() >= self.config.allocations_max {
            return Err(Refusal::InsufficientCapacity);
        }
        let pending = Pending {
            asker,
            username: username.clone(),
            proven,
            signer: signer.clone(),
            lifetime,
            wish,
            relay: self.pools[wish.pool].relay,
            port: 0,
            tries_left: BIND_TRIES,
            neighbour: None,
        };
        let relay = self.open(now, pending).map_err(|_| Refusal::InsufficientCapacity)?;
        self.enter(asker, &username, relay);
        Ok(None)
    }

    /// A retransmission gets the same answer, anything else on the same 5-tuple 437 (§7.2).
    fn allocate_again(&mut self, asker: Asker, relay: RelayId) -> Result<(), Refusal> {
        let answer = match self.slot(relay) {
            Some(Slot::Active(allocation)) if allocation.granted.0 == asker.transaction => allocation.granted.1.clone(),
            Some(Slot::Opening(pending)) if pending.asker.transaction == asker.transaction => return Ok(()),
            Some(_) | None => return Err(Refusal::AllocationMismatch),
        };
        self.push(Output::Transmit { to: asker.from, bytes: answer });
        Ok(())
    }

    /// The address family and kind of port that a request asks for.
    fn wish(&self, message: &Message<'_>) -> Result<Wish, Refusal> {
        let family = message.attribute(attr::REQUESTED_ADDRESS_FAMILY);
        let additional = message.attribute(attr::ADDITIONAL_ADDRESS_FAMILY);
        let even_port = match message.attribute(attr::EVEN_PORT) {
            None => None,
            Some([flags, ..]) => Some(flags & 0x80 != 0),
            Some([]) => return Err(Refusal::BadRequest),
        };
        let additional_is_v6 = additional.is_none_or(|value| value.first() == Some(&attr::FAMILY_IPV6));
        if !additional_is_v6 || additional.is_some() && (family.is_some() || even_port == Some(true)) {
            return Err(Refusal::BadRequest);
        }
        let family = match family {
            None => attr::FAMILY_IPV4,
            Some([family, _, _, _]) => *family,
            Some(_) => return Err(Refusal::BadRequest),
        };
        let pool = self.pools.iter().position(|pool| address::family(pool.relay.bind) == family);
        let pool = pool.ok_or(Refusal::FamilyUnsupported)?;
        let (even, reserve_next) = (even_port.is_some(), even_port == Some(true));
        Ok(Wish { pool, even, reserve_next, additional: additional.is_some() })
    }

    /// Takes a reserved port for its token; only the user who reserved it may have it.
    fn claim(&mut self, token: &[u8; 8], username: &str) -> Result<(RelayId, Reserved), Refusal> {
        let relay = self.reservations.get(token).copied().ok_or(Refusal::InsufficientCapacity)?;
        match self.slot(relay) {
            Some(Slot::Reserved(reserved)) if reserved.username == username => {
                let reserved = reserved.clone();
                self.reservations.remove(token);
                self.deadlines.stop(&relay);
                Ok((relay, reserved))
            }
            Some(_) | None => Err(Refusal::InsufficientCapacity),
        }
    }

    fn enter(&mut self, asker: Asker, username: &str, relay: RelayId) {
        self.clients.insert(asker.from, relay);
        *self.per_user.entry(account(username).to_owned()).or_insert(0) += 1;
    }

    /// Picks a port and asks the driver for its socket. Gives the request back when there is no port.
    fn open(&mut self, now: Now, mut pending: Pending) -> Result<RelayId, Box<Pending>> {
        let pool = &mut self.pools[pending.wish.pool];
        let port = if pending.wish.even {
            pool.ports.take_even(now.mono, &mut self.random, pending.wish.reserve_next)
        } else {
            pool.ports.take(now.mono, &mut self.random)
        };
        let Some(port) = port else { return Err(Box::new(pending)) };
        pending.port = port;
        let bind = pending.relay.local(port);
        let relay = self.insert_slot(Slot::Opening(Box::new(pending)));
        self.push(Output::OpenRelay { relay, bind });
        Ok(relay)
    }

    /// The driver opened a socket.
    pub fn relay_opened(&mut self, now: Now, relay: RelayId) {
        match self.slot_mut(relay) {
            Some(Slot::Opening(pending)) if pending.wish.reserve_next && pending.neighbour.is_none() => {
                let bind = pending.relay.local(pending.port + 1);
                let neighbour = self.insert_slot(Slot::OpeningNeighbour { of: relay });
                if let Some(Slot::Opening(pending)) = self.slot_mut(relay) {
                    pending.neighbour = Some(neighbour);
                }
                self.push(Output::OpenRelay { relay: neighbour, bind });
            }
            Some(Slot::Opening(pending)) => {
                let pending = Pending::clone(pending);
                self.grant(now, relay, pending, None);
            }
            Some(Slot::OpeningNeighbour { of }) => {
                let first = *of;
                if let Some(Slot::Opening(pending)) = self.slot(first) {
                    let pending = Pending::clone(pending);
                    self.grant(now, first, pending, Some(relay));
                }
            }
            Some(Slot::Reserved(_) | Slot::Active(_)) | None => {}
        }
    }

    /// The driver could not open a socket: another port is tried, then the client gets 508.
    pub fn relay_refused(&mut self, now: Now, relay: RelayId) {
        let first = match self.slot(relay) {
            Some(Slot::Opening(_)) => relay,
            Some(Slot::OpeningNeighbour { of }) => {
                let first = *of;
                self.remove_slot(relay);
                self.push(Output::CloseRelay { relay: first });
                first
            }
            Some(Slot::Reserved(_) | Slot::Active(_)) | None => return,
        };
        let Some(Slot::Opening(mut pending)) = self.remove_slot(first) else { return };
        self.give_back(now.mono, pending.relay, pending.port);
        if pending.wish.reserve_next {
            self.give_back(now.mono, pending.relay, pending.port + 1);
        }
        pending.neighbour = None;
        pending.tries_left = pending.tries_left.saturating_sub(1);
        let from = pending.asker.from;
        let outcome = if pending.tries_left == 0 { Err(pending) } else { self.open(now, *pending) };
        match outcome {
            Ok(relay) => {
                self.clients.insert(from, relay);
            }
            Err(pending) => {
                self.clients.remove(&from);
                self.leave(&pending.username);
                self.refuse(now, pending.asker, &Refusal::InsufficientCapacity, Some(&pending.signer));
            }
        }
    }

    /// Turns an open socket into an allocation and answers.
    fn grant(&mut self, now: Now, relay: RelayId, pending: Pending, neighbour: Option<RelayId>) {
        let asker = pending.asker;
        let mut writer = self
            .success(asker)
            .xor_address(attr::XOR_RELAYED_ADDRESS, pending.relay.public(pending.port))
            .number(attr::LIFETIME, pending.lifetime.as_secs() as u32)
            .xor_address(attr::XOR_MAPPED_ADDRESS, asker.from.client);
        if let Some(neighbour) = neighbour {
            let token = self.reserve(now, neighbour, &pending);
            writer = writer.attribute(attr::RESERVATION_TOKEN, &token);
        }
        if pending.wish.additional {
            let mut value = vec![attr::FAMILY_IPV6, 0, 4, 40];
            value.extend_from_slice(Refusal::FamilyUnsupported.code().1.as_bytes());
            writer = writer.attribute(attr::ADDRESS_ERROR_CODE, &value);
        }
        let bytes = self.finish(asker, writer, Some(&pending.signer));
        let expires = now.mono + pending.lifetime;
        let allocation = Allocation::new(Grant {
            client: asker.from,
            username: pending.username,
            key: pending.proven.key,
            credential_expires: pending.proven.expires,
            began: now.mono,
            expires,
            relay: pending.relay,
            port: pending.port,
            granted: (asker.transaction, bytes.clone()),
        });
        if let Some(slot) = self.slot_mut(relay) {
            *slot = Slot::Active(Box::new(allocation));
        }
        self.deadlines.set(relay, expires);
        self.counters.allocations += 1;
        self.push(Output::Transmit { to: asker.from, bytes });
    }

    /// Keeps the neighbour of an even port for whoever shows the token.
    fn reserve(&mut self, now: Now, neighbour: RelayId, pending: &Pending) -> [u8; 8] {
        let mut token = [0; 8];
        self.random.fill(&mut token);
        let reserved =
            Reserved { token, username: pending.username.clone(), relay: pending.relay, port: pending.port + 1 };
        if let Some(slot) = self.slot_mut(neighbour) {
            *slot = Slot::Reserved(reserved);
        }
        self.reservations.insert(token, neighbour);
        self.deadlines.set(neighbour, now.mono + RESERVATION_LIFETIME);
        token
    }
}

/// RESERVATION-TOKEN, which excludes EVEN-PORT and both address families (§7.2).
fn reservation_token(message: &Message<'_>) -> Result<Option<[u8; 8]>, Refusal> {
    let Some(value) = message.attribute(attr::RESERVATION_TOKEN) else { return Ok(None) };
    let excluded = [attr::EVEN_PORT, attr::REQUESTED_ADDRESS_FAMILY, attr::ADDITIONAL_ADDRESS_FAMILY];
    if excluded.iter().any(|kind| message.attribute(*kind).is_some()) {
        return Err(Refusal::BadRequest);
    }
    value.try_into().map(Some).map_err(|_| Refusal::BadRequest)
}
