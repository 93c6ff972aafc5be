//! A session: one offerer and its answerers, each with sockets of its own, and what an offer or an answer between two of them
//! changes. It writes the descriptions and says what the worker has to do; it sends nothing itself.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use audio::g711::Law;
use base::Random;
use domain::ports::{LegIndex, LegNetwork, LegStatistics, MediaAnswer, MediaError, MediaOffer, MediaProfile};
use rtp_proto::{Latch, LatchConfig, Opener, Sealer, Suite};
use sdp_proto::negotiate::check_answer;
use sdp_proto::protocol::Security;
use sdp_proto::{OriginKeeper, Protocol, RelayEdit, RtcpPlace, Sdp, SdpError, SectionEdit, rewrite};

use crate::forward::{Inbound, Outbound, Protected};
use crate::ports::{PortError, PortPair, Ports};
use crate::sdes::{Keys, OwnKeys};
use crate::signal::law_of;
use crate::stats::StreamStats;
use crate::worker::{Connection, StreamKey, Update};

/// Most legs of one session; more forks than any call machine makes.
const LEGS_MAX: usize = 64;

/// What a session needs from the relay.
pub(crate) struct Context<'a> {
    pub(crate) ports: &'a Ports,
    pub(crate) suites: &'a [Suite],
    pub(crate) latch: LatchConfig,
    pub(crate) random: &'a mut Random,
    pub(crate) next_key: &'a AtomicU64,
}

/// Media between the legs of one call.
pub(crate) struct Session {
    /// The worker that has its streams.
    pub(crate) worker: usize,
    legs: BTreeMap<LegIndex, Leg>,
    /// Whether a side is on hold.
    pub(crate) held: bool,
    /// When it was first answered, milliseconds since the relay started.
    pub(crate) answered_at_ms: Option<u64>,
    /// When it was last reported as dead.
    pub(crate) reported_at_ms: Option<u64>,
}

struct Leg {
    network: LegNetwork,
    origin: OriginKeeper,
    sections: Vec<Option<Section>>,
    /// Our last offer to it.
    asked: Option<Asked>,
}

/// An offer that we made to a leg.
#[derive(Clone)]
struct Asked {
    /// Whose offer it was, and as it came.
    by: LegIndex,
    offered: Sdp,
    /// As we made it.
    sdp: Sdp,
}

/// One medium of a leg: our ports towards it, and its keys.
struct Section {
    key: StreamKey,
    /// Until the worker has them.
    pair: Option<PortPair>,
    /// What the leg is told.
    local: SocketAddr,
    stats: Arc<StreamStats>,
    own_keys: OwnKeys,
    keys: Option<Keys>,
    /// Whether SRTP was agreed on, once anything was.
    secured: Option<bool>,
    /// G.711, if that was agreed on.
    law: Option<Law>,
}

/// One side of a section that was agreed on.
struct Side<'a> {
    sdp: &'a Sdp,
    index: usize,
    keys: Option<Keys>,
    /// What changes in how packets are read and written.
    inbound: Option<Inbound>,
    outbound: Option<Outbound>,
    rtcp_mux: bool,
}

impl Leg {
    fn new(network: LegNetwork, random: &mut Random) -> Self {
        // 32 bits: some devices cannot read more.
        let origin = OriginKeeper::new(u64::from(random.u32()));
        Self { network, origin, sections: Vec::new(), asked: None }
    }

    /// The section at a place, with ports of the family; opened if there are none.
    fn section(&mut self, context: &mut Context<'_>, index: usize, v4: bool) -> Result<&mut Section, MediaError> {
        if self.sections.len() <= index {
            self.sections.resize_with(index + 1, || None);
        }
        let slot = &mut self.sections[index];
        if slot.is_none() {
            let pair = context.ports.open_pair(v4).map_err(port_error)?;
            let address = context.ports.address_for(v4, self.network.signalled_from).map_err(port_error)?;
            *slot = Some(Section {
                key: context.next_key.fetch_add(1, Relaxed),
                local: SocketAddr::new(address, pair.port()),
                pair: Some(pair),
                stats: Arc::default(),
                own_keys: OwnKeys::default(),
                keys: None,
                secured: None,
                law: None,
            });
        }
        slot.as_mut().ok_or(MediaError::Unknown)
    }

    /// Gives a section up; returns its stream if the worker has it.
    fn close(&mut self, index: usize) -> Option<StreamKey> {
        let section = self.sections.get_mut(index)?.take()?;
        section.pair.is_none().then_some(section.key)
    }

    fn on_worker(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter().flatten().filter(|section| section.pair.is_none())
    }

    fn statistics(&self, leg: LegIndex) -> LegStatistics {
        let mut sum = LegStatistics { leg, ..LegStatistics::default() };
        for (n, section) in self.sections.iter().flatten().enumerate() {
            let stats = &section.stats;
            sum.packets_received += stats.packets_received.load(Relaxed);
            sum.bytes_received += stats.bytes_received.load(Relaxed);
            sum.packets_sent += stats.packets_sent.load(Relaxed);
            sum.packets_lost += stats.packets_lost.load(Relaxed);
            sum.packets_refused += stats.packets_refused.load(Relaxed);
            if n == 0 {
                sum.jitter_us = stats.jitter_us.load(Relaxed);
            }
        }
        sum
    }
}

impl Session {
    pub(crate) const fn new(worker: usize) -> Self {
        Self { worker, legs: BTreeMap::new(), held: false, answered_at_ms: None, reported_at_ms: None }
    }

    /// Takes an offer of one leg; returns the offer to make to another.
    pub(crate) fn offer(&mut self, context: &mut Context<'_>, offer: &MediaOffer) -> Result<String, MediaError> {
        let sdp = Sdp::parse(&offer.sdp).map_err(sdp_error)?;
        if offer.from == offer.to || self.legs.len() >= LEGS_MAX {
            return Err(MediaError::Full("too many legs in one session".into()));
        }
        let random = &mut *context.random;
        let from = self.legs.entry(offer.from).or_insert_with(|| Leg::new(offer.from_network, random));
        from.network = offer.from_network;
        let carried: Vec<_> =
            (0..sdp.media.len()).map(|n| carriage(&sdp, n, offer.from_network.profile, context.suites)).collect();
        if !carried.iter().any(Result::is_ok) {
            let reason = carried.into_iter().find_map(Result::err).unwrap_or("no media section");
            return Err(MediaError::NotAcceptable(reason.into()));
        }
        // The offerer's own ports, so that no answer fails for want of them.
        for (n, _) in carried.iter().enumerate().filter(|(_, carriage)| carriage.is_ok()) {
            let v4 = media_family(&sdp, n).unwrap_or(offer.from_network.signalled_from.is_ipv4());
            from.section(context, n, v4)?;
        }

        let random = &mut *context.random;
        let to = self.legs.entry(offer.to).or_insert_with(|| Leg::new(offer.to_network, random));
        to.network = offer.to_network;
        let mut edits = Vec::with_capacity(carried.len());
        for (n, carriage) in carried.into_iter().enumerate() {
            edits.push(match carriage {
                Ok(security) => SectionEdit::Relay(offer_section(context, to, &sdp, n, security)?),
                Err(_) => SectionEdit::Refuse,
            });
        }
        let mut out = rewrite(&sdp, &edits).map_err(sdp_error)?;
        to.origin.stamp(&mut out);
        let text = out.to_string();
        to.asked = Some(Asked { by: offer.from, offered: sdp, sdp: out });
        Ok(text)
    }

    /// Takes the answer of one leg; returns the answer to give to the offerer, and what the worker has to do.
    pub(crate) fn answer(
        &mut self,
        context: &mut Context<'_>,
        answer: &MediaAnswer,
    ) -> Result<(String, Connection), MediaError> {
        let sdp = Sdp::parse(&answer.sdp).map_err(sdp_error)?;
        // Out of the map for a moment, to have both at once.
        let mut from = self.legs.remove(&answer.from).ok_or(MediaError::Unknown)?;
        from.network = answer.from_network;
        let asked = from.asked.clone().filter(|asked| asked.by == answer.to);
        let done = match (self.legs.get_mut(&answer.to), asked) {
            (Some(to), Some(asked)) => answer_between(context, &mut from, to, &asked, &sdp),
            (None, _) | (_, None) => Err(MediaError::Unknown),
        };
        self.legs.insert(answer.from, from);
        let (text, connection, held) = done?;
        self.held = held;
        Ok((text, connection))
    }

    /// Forgets a leg; returns its streams.
    pub(crate) fn drop_leg(&mut self, leg: LegIndex) -> Vec<StreamKey> {
        self.legs.remove(&leg).map_or(vec![], |leg| leg.on_worker().map(|section| section.key).collect())
    }

    /// All streams that the worker has.
    pub(crate) fn streams(&self) -> Vec<StreamKey> {
        self.legs.values().flat_map(|leg| leg.on_worker().map(|section| section.key)).collect()
    }

    /// The streams of one leg; none when there is no such leg.
    pub(crate) fn streams_of(&self, leg: LegIndex) -> Vec<StreamKey> {
        self.legs.get(&leg).map_or(vec![], |leg| leg.on_worker().map(|section| section.key).collect())
    }

    /// The stream of a leg into which G.711 can be played.
    pub(crate) fn playable(&self, leg: LegIndex) -> Result<(StreamKey, Law), MediaError> {
        let leg = self.legs.get(&leg).ok_or(MediaError::Unknown)?;
        let found = leg.on_worker().find_map(|section| Some((section.key, section.law?)));
        found.ok_or_else(|| MediaError::NotAcceptable("signals are played into G.711 only".into()))
    }

    pub(crate) fn statistics(&self) -> Vec<LegStatistics> {
        self.legs.iter().map(|(index, leg)| leg.statistics(*index)).collect()
    }

    /// When any leg was last heard, or the session answered, milliseconds since the relay started; `None` before that.
    pub(crate) fn alive_at_ms(&self) -> Option<u64> {
        let heard =
            self.legs.values().flat_map(Leg::on_worker).map(|section| section.stats.heard_at_ms.load(Relaxed)).max();
        self.answered_at_ms.map(|answered| answered.max(heard.unwrap_or(0)))
    }
}

/// Whether a section can be carried, and protected how, given what its leg must speak.
fn carriage(sdp: &Sdp, n: usize, profile: Option<MediaProfile>, suites: &[Suite]) -> Result<Security, &'static str> {
    let media = &sdp.media[n];
    if media.is_refused() {
        return Err("refused");
    }
    if sdp.rtp_address(n).is_none() {
        return Err("media address is a name");
    }
    let has_keys = || media.crypto().iter().any(|line| suites.contains(&crate::sdes::suite_of(line.suite)));
    match (&media.protocol, profile) {
        (Protocol::Udptl, _) => Ok(Security::None),
        (Protocol::Rtp { security: Security::None, .. }, None | Some(MediaProfile::Rtp)) => Ok(Security::None),
        // Opportunistic SRTP (RFC 8643): the keys are there, the profile's name is the plain one.
        (Protocol::Rtp { security: Security::None, .. }, Some(MediaProfile::Sdes)) if has_keys() => Ok(Security::Sdes),
        (Protocol::Rtp { security: Security::None, .. }, Some(MediaProfile::Sdes)) => Err("SRTP is required"),
        (Protocol::Rtp { security: Security::Sdes, .. }, Some(MediaProfile::Rtp)) => Err("plain RTP is required"),
        (Protocol::Rtp { security: Security::Sdes, .. }, _) if has_keys() => Ok(Security::Sdes),
        (Protocol::Rtp { security: Security::Sdes, .. }, _) => Err("no SRTP key with a suite of ours"),
        (Protocol::Rtp { security: Security::Dtls, .. }, _) => Err("DTLS-SRTP is not spoken"),
        (Protocol::Other(_), _) => Err("transport that is not relayed"),
    }
}

/// Whether a section's media is IPv4; nothing when it is held at an unspecified address.
fn media_family(sdp: &Sdp, n: usize) -> Option<bool> {
    sdp.rtp_address(n).map(|address| address.ip()).filter(|ip| !ip.is_unspecified()).map(|ip| ip.is_ipv4())
}

/// Our side of a section in the offer to `to`.
fn offer_section(
    context: &mut Context<'_>,
    to: &mut Leg,
    sdp: &Sdp,
    n: usize,
    from: Security,
) -> Result<RelayEdit, MediaError> {
    let (profile, v4) = (to.network.profile, to.network.signalled_from.is_ipv4());
    let section = to.section(context, n, v4)?;
    let media = &sdp.media[n];
    let secured = match profile {
        Some(profile) => profile == MediaProfile::Sdes,
        None => section.secured.unwrap_or(from == Security::Sdes),
    };
    let is_rtp = media.protocol.security().is_some();
    let crypto = if secured && is_rtp { section.own_keys.offer(context.suites, context.random) } else { vec![] };
    let rtcp_port = section.local.port() + 1;
    let rtcp = match (is_rtp, media.has_rtcp_mux()) {
        (false, _) => RtcpPlace::Absent,
        (true, true) => RtcpPlace::MuxOrPort(rtcp_port),
        (true, false) => RtcpPlace::Port(rtcp_port),
    };
    let security = if secured { Security::Sdes } else { Security::None };
    Ok(RelayEdit { rtp: section.local, rtcp, protocol: media.protocol.with_security(security), crypto })
}

/// The work of an answer: checks it against both offers, settles keys and ports, writes the answer to the offerer.
fn answer_between(
    context: &mut Context<'_>,
    from: &mut Leg,
    to: &mut Leg,
    asked: &Asked,
    sdp: &Sdp,
) -> Result<(String, Connection, bool), MediaError> {
    let Asked { offered, sdp: asked, .. } = asked;
    check_answer(asked, sdp).map_err(sdp_error)?;
    // First whatever can fail, then the changes: an answer takes effect as a whole or not at all.
    let (mut sides, mut edits, mut held) = (vec![], Vec::with_capacity(sdp.media.len()), false);
    for n in 0..sdp.media.len() {
        let refused = sdp.media[n].is_refused() || asked.media[n].is_refused();
        let security = if refused { Err("refused") } else { carriage(offered, n, to.network.profile, context.suites) };
        let Ok(security) = security else {
            edits.push(SectionEdit::Refuse);
            continue;
        };
        if sdp.rtp_address(n).is_none() {
            return Err(MediaError::NotAcceptable("media address is a name".into()));
        }
        let keys = answerer_keys(context, from, asked, sdp, n)?;
        let (edit, offerer_keys) = answer_section(context, to, offered, n, security)?;
        let rtcp_mux = asked.media[n].has_rtcp_mux() && sdp.media[n].has_rtcp_mux();
        let offerer_mux = edit.rtcp == RtcpPlace::Mux;
        sides.push((side(from, sdp, n, keys, rtcp_mux)?, side(to, offered, n, offerer_keys, offerer_mux)?));
        held |= sdp.is_hold(n) || offered.is_hold(n);
        edits.push(SectionEdit::Relay(edit));
    }
    let mut out = rewrite(sdp, &edits).map_err(sdp_error)?;
    to.origin.stamp(&mut out);

    let mut connection = Connection::default();
    for n in (0..edits.len()).filter(|n| matches!(edits[*n], SectionEdit::Refuse)) {
        connection.removed.extend([from.close(n), to.close(n)].into_iter().flatten());
    }
    for (answerer, offerer) in sides {
        let law = agreed_law(sdp, answerer.index);
        let both = (update(context.latch, from, answerer, law), update(context.latch, to, offerer, law));
        if let (Some(one), Some(other)) = both {
            connection.links.push((one.key, other.key));
            connection.updates.extend([one, other]);
        }
    }
    Ok((out.to_string(), connection, held))
}

/// The keys that the answer of `from` settles; `None`: plain.
fn answerer_keys(
    context: &mut Context<'_>,
    from: &mut Leg,
    asked: &Sdp,
    answer: &Sdp,
    n: usize,
) -> Result<Option<Keys>, MediaError> {
    let (asked, answered) = (&asked.media[n], &answer.media[n]);
    let refusal = |reason: &str| MediaError::NotAcceptable(reason.to_owned());
    if asked.protocol.security() != answered.protocol.security() {
        return Err(refusal("the answer has another transport than the offer"));
    }
    if asked.protocol.security() != Some(Security::Sdes) {
        return Ok(None);
    }
    let section = from.sections.get_mut(n).and_then(Option::as_mut).ok_or(MediaError::Unknown)?;
    let keys = section.own_keys.accept(context.suites, &answered.crypto(), context.random);
    keys.map(Some).ok_or_else(|| refusal("the answer has no SRTP key that fits the offer"))
}

/// Our side of a section in the answer to `to`, which had offered it.
fn answer_section(
    context: &mut Context<'_>,
    to: &mut Leg,
    offered: &Sdp,
    n: usize,
    security: Security,
) -> Result<(RelayEdit, Option<Keys>), MediaError> {
    let media = &offered.media[n];
    // There since the offer, unless another fork refused the section in the meantime.
    let v4 = media_family(offered, n).unwrap_or(to.network.signalled_from.is_ipv4());
    let section = to.section(context, n, v4)?;
    let rtcp = match (media.protocol.security(), media.has_rtcp_mux()) {
        (None, _) => RtcpPlace::Absent,
        (Some(_), true) => RtcpPlace::Mux,
        (Some(_), false) => RtcpPlace::Port(section.local.port() + 1),
    };
    let (crypto, keys) = if security == Security::Sdes {
        let answer = section.own_keys.answer(context.suites, &media.crypto(), context.random);
        let (line, keys) =
            answer.ok_or_else(|| MediaError::NotAcceptable("no SRTP key with a suite of ours".into()))?;
        (vec![line], Some(keys))
    } else {
        (vec![], None)
    };
    Ok((RelayEdit { rtp: section.local, rtcp, protocol: media.protocol.clone(), crypto }, keys))
}

/// One side as agreed on. Contexts of keys that stay are kept, with their roll-over counters.
fn side<'a>(leg: &Leg, sdp: &'a Sdp, index: usize, keys: Option<Keys>, rtcp_mux: bool) -> Result<Side<'a>, MediaError> {
    let section = leg.sections.get(index).and_then(Option::as_ref).ok_or(MediaError::Unknown)?;
    let (inbound, outbound) = match &keys {
        None => (Some(Inbound::Plain), Some(Outbound::Plain)),
        Some(new) => {
            let old = section.keys.as_ref();
            let same_opening = old.is_some_and(|old| old.opening == new.opening && old.mki_bytes == new.mki_bytes);
            let same_sealing = old.is_some_and(|old| old.sealing == new.sealing);
            let opener = (!same_opening).then(|| Opener::new(new.opening.clone(), new.mki_bytes));
            let sealer = (!same_sealing).then(|| Sealer::new(new.sealing.clone()));
            let opener = opener.transpose().map_err(key_error)?.map(|opener| Inbound::Srtp(Box::new(opener)));
            let sealer = sealer.transpose().map_err(key_error)?;
            (opener, sealer.map(|sealer| Outbound::Srtp(Box::new(Protected::new(sealer)))))
        }
    };
    Ok(Side { sdp, index, keys, inbound, outbound, rtcp_mux })
}

/// Notes what was agreed on; returns what the worker has to know of it.
fn update(latch: LatchConfig, leg: &mut Leg, side: Side<'_>, law: Option<Law>) -> Option<Update> {
    let (network, media) = (leg.network, &side.sdp.media[side.index]);
    let section = leg.sections.get_mut(side.index)?.as_mut()?;
    section.secured = Some(side.keys.is_some());
    let old = std::mem::replace(&mut section.keys, side.keys);
    if let Some(old) = old
        && section.keys.as_ref().is_none_or(|new| new.sealing != old.sealing)
    {
        section.own_keys.forget(&old.sealing);
    }
    section.law = law;
    let fresh = section.pair.take().map(|pair| (pair, Arc::clone(&section.stats), Latch::new(latch)));
    Some(Update {
        key: section.key,
        fresh,
        signal: signal(side.sdp, side.index, side.rtcp_mux, network),
        inbound: side.inbound,
        outbound: side.outbound,
        raw: media.protocol.security().is_none(),
        rtcp_mux: side.rtcp_mux,
        clock_rate_hz: media.codecs().first().map_or(8_000, |codec| codec.clock_rate_hz.max(1)),
    })
}

/// The addresses for the latch; nothing new from a section that is held at an unspecified address.
fn signal(
    sdp: &Sdp,
    n: usize,
    rtcp_mux: bool,
    network: LegNetwork,
) -> Option<(SocketAddr, Option<SocketAddr>, IpAddr, bool)> {
    let rtp = sdp.rtp_address(n).filter(|address| !address.ip().is_unspecified())?;
    let rtcp = if rtcp_mux { None } else { sdp.rtcp_address(n) };
    Some((rtp, rtcp, network.signalled_from, network.behind_nat))
}

/// G.711 if the answer prefers it.
fn agreed_law(sdp: &Sdp, n: usize) -> Option<Law> {
    let media = &sdp.media[n];
    let first = media.codecs().into_iter().find(|codec| !codec.name.eq_ignore_ascii_case("telephone-event"));
    first.filter(|_| media.kind == "audio").and_then(|codec| law_of(codec.payload_type))
}

fn sdp_error(error: SdpError) -> MediaError {
    match error {
        SdpError::Malformed { .. } | SdpError::TooMany { .. } | SdpError::Misbehaved(_) => {
            MediaError::Malformed(error.to_string())
        }
        SdpError::NotAcceptable(reason) => MediaError::NotAcceptable(reason.to_owned()),
    }
}

fn port_error(error: PortError) -> MediaError {
    match error {
        PortError::Exhausted => MediaError::Full(error.to_string()),
        PortError::NoFamily => MediaError::NotAcceptable(error.to_string()),
    }
}

fn key_error(error: rtp_proto::RtpError) -> MediaError {
    MediaError::NotAcceptable(error.to_string())
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
