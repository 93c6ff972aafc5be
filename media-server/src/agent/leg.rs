//! One leg: its dialog, its description of media, and how far it is.

use std::net::SocketAddr;

use audio::g711::Law;
use sdp_proto::{Agreed, Codec, Direction, LocalMedia, OriginKeeper, Sdp};
use sip_proto::{Dialog, Flow, Message, ServerTx};

use crate::app::{Answer, Script};
use crate::session::Wire;

/// How far a leg is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its socket is being opened.
    Opening,
    /// 183 was sent, the caller hears something.
    Early,
    /// 200 was sent.
    Answered,
    /// ACK came.
    Talking,
}

#[derive(Debug)]
pub(super) struct Leg {
    pub(super) stage: Stage,
    /// The INVITE that began it, and its transaction.
    pub(super) invite: Message,
    pub(super) tx: ServerTx,
    pub(super) flow: Flow,
    pub(super) dialog: Dialog,
    pub(super) answer: Answer,
    pub(super) script: Script,
    pub(super) media: Media,
}

/// What was offered and agreed.
#[derive(Debug)]
pub(super) struct Media {
    /// The caller's offer, until it is answered.
    pub(super) offered: Option<Sdp>,
    /// Our offer, until the ACK answers it.
    pub(super) offering: Option<Sdp>,
    /// Where we are, once the socket is open.
    pub(super) local: Option<LocalMedia>,
    pub(super) origin: OriginKeeper,
    /// Whether the worker has the socket.
    pub(super) started: bool,
}

/// Our codecs, best first. Key presses are agreed on so that they come as events and not as tones in the echo.
fn codecs() -> Vec<Codec> {
    let codec = |payload_type, name: &str, parameters: Option<&str>| Codec {
        payload_type,
        name: name.to_owned(),
        clock_rate_hz: 8_000,
        channels: 1,
        parameters: parameters.map(str::to_owned),
    };
    vec![codec(0, "PCMU", None), codec(8, "PCMA", None), codec(101, "telephone-event", Some("0-15"))]
}

impl Media {
    pub(super) fn new(offered: Option<Sdp>, session_id: u64) -> Self {
        Self { offered, offering: None, local: None, origin: OriginKeeper::new(session_id), started: false }
    }

    pub(super) fn place(&mut self, rtp: SocketAddr) {
        self.local = Some(LocalMedia { rtp, codecs: codecs(), direction: Direction::SendRecv, ptime_ms: 20 });
    }

    /// Our answer to the waiting offer, and how to talk; `None` when there is nothing in common.
    pub(super) fn answer(&mut self) -> Option<(Sdp, Wire)> {
        let offer = self.offered.take()?;
        let (answer, agreed) = self.local.as_ref()?.answer(&offer, &mut self.origin).ok()?;
        Some((answer, wire(&agreed)?))
    }

    /// An offer of ours.
    pub(super) fn offer(&mut self) -> Option<Sdp> {
        let offer = self.local.as_ref()?.offer(&mut self.origin);
        self.offering = Some(offer.clone());
        Some(offer)
    }

    /// How to talk after the answer to our offer.
    pub(super) fn accept(&mut self, answer: &Sdp) -> Option<Wire> {
        let offer = self.offering.take()?;
        let agreed = self.local.as_ref()?.accept(&offer, answer).ok()?;
        wire(&agreed)
    }
}

fn wire(agreed: &Agreed) -> Option<Wire> {
    let law = match agreed.codec.name.to_ascii_uppercase().as_str() {
        "PCMU" => Law::Mu,
        "PCMA" => Law::A,
        _ => return None,
    };
    let (remote, direction) = (agreed.remote, agreed.direction);
    Some(Wire { remote, law, payload_type: agreed.codec.payload_type, direction })
}
