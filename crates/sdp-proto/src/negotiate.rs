//! Offer and answer of an endpoint that speaks audio (RFC 3264), and the origin line of whoever writes descriptions. One audio section
//! is taken, all others are refused. No keys: the endpoint stands behind a relay.

use std::net::SocketAddr;

use crate::error::SdpError;
use crate::model::{Address, Codec, Direction, Line, Media, Origin, Sdp};
use crate::protocol::Protocol;

/// Keeps the `o=` line of one dialog: a fixed session id, and a version that grows when the rest changed (RFC 3264 §8).
#[derive(Debug, Clone)]
pub struct OriginKeeper {
    session_id: u64,
    version: u64,
    /// What was sent last, and with which address.
    last: Option<(String, Address)>,
}

impl OriginKeeper {
    /// Starts with a session id, random or an identifier; its top bit is dropped, as devices read it as signed.
    pub const fn new(session_id: u64) -> Self {
        Self { session_id: session_id & (u64::MAX >> 1), version: 0, last: None }
    }

    /// Puts our origin into a description about to be sent, with the address that its media has (or had last).
    pub fn stamp(&mut self, sdp: &mut Sdp) {
        let placed = (0..sdp.media.len()).find_map(|n| sdp.address(n));
        let before = self.last.as_ref().map(|(_, address)| address.clone());
        let address = placed.or(before).unwrap_or(Address::Ip(std::net::Ipv4Addr::UNSPECIFIED.into()));
        let origin = |version: u64| Origin {
            username: "-".to_owned(),
            session_id: self.session_id.to_string(),
            version: version.to_string(),
            address: address.clone(),
        };
        sdp.set_origin(&origin(self.version));
        let unchanged = self.last.as_ref().is_some_and(|(text, _)| *text == sdp.to_string());
        if !unchanged {
            self.version += 1;
            sdp.set_origin(&origin(self.version));
            self.last = Some((sdp.to_string(), address));
        }
    }
}

/// What an endpoint can do.
#[derive(Debug, Clone)]
pub struct LocalMedia {
    /// Where it receives RTP; RTCP comes to the next port.
    pub rtp: SocketAddr,
    /// Its codecs, best first, `telephone-event` among them if spoken. Payload types are used in offers; answers take the offerer's.
    pub codecs: Vec<Codec>,
    /// What it wants.
    pub direction: Direction,
    /// Packet time, ms.
    pub ptime_ms: u32,
}

/// What both agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// Which section.
    pub section: usize,
    /// Where the other receives RTP.
    pub remote: SocketAddr,
    /// The codec, under its payload type.
    pub codec: Codec,
    /// Telephone events, if both speak them at the clock of the codec.
    pub telephone_event: Option<Codec>,
    /// Our direction.
    pub direction: Direction,
    /// Packet time that the other asks for, ms; ours if it does not say.
    pub ptime_ms: u32,
}

fn is_event(codec: &Codec) -> bool {
    codec.name.eq_ignore_ascii_case("telephone-event")
}

impl LocalMedia {
    /// An offer of one audio section.
    pub fn offer(&self, origin: &mut OriginKeeper) -> Sdp {
        let mut sdp = self.frame(&[]);
        sdp.media.push(self.section("audio", Protocol::AVP, &self.codecs, self.direction));
        origin.stamp(&mut sdp);
        sdp
    }

    /// The answer to `offer`: the first plain audio section with a common codec, of which the offerer's first choice is taken.
    pub fn answer(&self, offer: &Sdp, origin: &mut OriginKeeper) -> Result<(Sdp, Agreed), SdpError> {
        let found = (0..offer.media.len()).find_map(|n| self.agree(offer, n).map(|agreed| (n, agreed)));
        let (taken, agreed) = found.ok_or(SdpError::NotAcceptable("no audio section with a codec of ours"))?;
        let mut sdp = self.frame(&offer.session);
        for (index, media) in offer.media.iter().enumerate() {
            sdp.media.push(if index == taken {
                let codecs: Vec<Codec> =
                    [Some(agreed.codec.clone()), agreed.telephone_event.clone()].into_iter().flatten().collect();
                self.section(&media.kind, media.protocol.clone(), &codecs, agreed.direction)
            } else {
                Media { port: 0, port_count: 1, lines: vec![], ..media.clone() }
            });
        }
        origin.stamp(&mut sdp);
        Ok((sdp, agreed))
    }

    /// What follows from the answer to our offer.
    pub fn accept(&self, offer: &Sdp, answer: &Sdp) -> Result<Agreed, SdpError> {
        check_answer(offer, answer)?;
        let found = (0..answer.media.len()).find_map(|n| self.agree(answer, n));
        found.ok_or(SdpError::NotAcceptable("no codec left in the answer"))
    }

    fn agree(&self, theirs: &Sdp, section: usize) -> Option<Agreed> {
        let media = &theirs.media[section];
        if media.kind != "audio"
            || media.is_refused()
            || !matches!(media.protocol, Protocol::Rtp { security: crate::protocol::Security::None, .. })
        {
            return None;
        }
        let codecs = media.codecs();
        let known = |codec: &&Codec| self.codecs.iter().any(|own| own.is_same_encoding(codec));
        let codec = codecs.iter().filter(known).find(|codec| !is_event(codec))?.clone();
        let event = codecs.iter().filter(known).find(|c| is_event(c) && c.clock_rate_hz == codec.clock_rate_hz);
        let held = theirs.address(section)?.ip()?.is_unspecified();
        let theirs_direction = theirs.direction(section);
        let theirs_direction = if held { Direction::new(theirs_direction.sends(), false) } else { theirs_direction };
        Some(Agreed {
            section,
            remote: theirs.rtp_address(section)?,
            telephone_event: event.cloned(),
            direction: theirs_direction.answer(self.direction),
            ptime_ms: media.ptime_ms().unwrap_or(self.ptime_ms),
            codec,
        })
    }

    /// Session lines: those times that the offer has (RFC 3264 §5), our address.
    fn frame(&self, offered: &[Line]) -> Sdp {
        let time = offered.iter().find(|line| line.kind == 't').map_or("0 0", |line| &line.value);
        let lines = [
            ('v', "0".to_owned()),
            ('s', "-".to_owned()),
            ('c', Address::Ip(self.rtp.ip()).to_string()),
            ('t', time.to_owned()),
        ];
        Sdp { session: lines.into_iter().map(|(kind, value)| Line::new(kind, value)).collect(), media: vec![] }
    }

    fn section(&self, kind: &str, protocol: Protocol, codecs: &[Codec], direction: Direction) -> Media {
        let formats = codecs.iter().map(|codec| codec.payload_type.to_string()).collect();
        let mut media =
            Media { kind: kind.to_owned(), port: self.rtp.port(), port_count: 1, protocol, formats, lines: vec![] };
        for codec in codecs {
            media.add_attribute("rtpmap", Some(&codec.rtpmap()));
            if let Some(parameters) = &codec.parameters {
                media.add_attribute("fmtp", Some(&format!("{} {parameters}", codec.payload_type)));
            }
        }
        media.add_attribute("ptime", Some(&self.ptime_ms));
        media.set_direction(direction);
        media
    }
}

/// Whether an answer has the form that its offer asks for: as many sections, of the same kinds and transports (RFC 3264 §6).
pub fn check_answer(offer: &Sdp, answer: &Sdp) -> Result<(), SdpError> {
    if offer.media.len() != answer.media.len() {
        return Err(SdpError::Misbehaved("the answer has another number of media sections than the offer"));
    }
    for (offered, answered) in offer.media.iter().zip(&answer.media) {
        if !offered.kind.eq_ignore_ascii_case(&answered.kind) {
            return Err(SdpError::Misbehaved("the answer has another kind of media than the offer"));
        }
        if !answered.is_refused() && offered.is_refused() {
            return Err(SdpError::Misbehaved("the answer takes a section that was not offered"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn codec(payload_type: u8, name: &str) -> Codec {
        let parameters = (name == "telephone-event").then(|| "0-15".to_owned());
        Codec { payload_type, name: name.to_owned(), clock_rate_hz: 8000, channels: 1, parameters }
    }

    fn local() -> LocalMedia {
        let codecs = vec![codec(8, "PCMA"), codec(0, "PCMU"), codec(101, "telephone-event")];
        LocalMedia { rtp: "198.51.100.1:5000".parse().unwrap(), codecs, direction: Direction::SendRecv, ptime_ms: 20 }
    }

    const OFFER: &str = "v=0\no=a 1 1 IN IP4 10.0.0.1\ns=x\nc=IN IP4 10.0.0.1\nt=5 6\nm=video 7 RTP/AVP 99\na=rtpmap:99 H264/90000\n\
        m=audio 4000 RTP/AVP 96 0 8 97\na=rtpmap:96 opus/48000/2\na=rtpmap:97 telephone-event/8000\na=fmtp:97 0-15\na=ptime:30\n";

    #[test]
    fn rfc3264_6_1_the_offerers_first_common_codec_is_answered_under_its_number() {
        let offer = Sdp::parse(OFFER).unwrap();
        let (answer, agreed) = local().answer(&offer, &mut OriginKeeper::new(7)).unwrap();
        assert_eq!((agreed.section, agreed.codec.payload_type, agreed.ptime_ms), (1, 0, 30));
        assert_eq!(agreed.telephone_event.map(|e| e.payload_type), Some(97));
        assert_eq!(agreed.remote, "10.0.0.1:4000".parse().unwrap());
        assert_eq!(
            answer.to_string(),
            "v=0\r\no=- 7 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=5 6\r\nm=video 0 RTP/AVP 99\r\nm=audio 5000 RTP/AVP 0 97\r\n\
             a=rtpmap:0 PCMU/8000\r\na=rtpmap:97 telephone-event/8000\r\na=fmtp:97 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
        );
        assert_eq!(check_answer(&offer, &answer), Ok(()));
    }

    #[test]
    fn rfc3264_5_an_offer_of_ours_is_accepted_by_ourselves() {
        let (mut a, mut b) = (OriginKeeper::new(1), OriginKeeper::new(2));
        let offer = local().offer(&mut a);
        let (answer, _) = local().answer(&Sdp::parse(&offer.to_string()).unwrap(), &mut b).unwrap();
        assert_eq!(local().accept(&offer, &answer).unwrap().codec.name, "PCMA");
        let short = Sdp { media: vec![], ..answer };
        assert!(matches!(local().accept(&offer, &short), Err(SdpError::Misbehaved(_))));
    }

    #[test]
    fn rfc3264_8_4_hold_is_answered_with_the_other_half() {
        use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
        for (offered, ours) in [(SendRecv, SendRecv), (SendOnly, RecvOnly), (RecvOnly, SendOnly), (Inactive, Inactive)]
        {
            let offer = Sdp::parse(&format!("{OFFER}a={}\n", offered.as_str())).unwrap();
            let (answer, agreed) = local().answer(&offer, &mut OriginKeeper::new(7)).unwrap();
            assert_eq!((agreed.direction, answer.direction(1), offered.reversed()), (ours, ours, ours));
        }
        let old = Sdp::parse(&OFFER.replace("c=IN IP4 10.0.0.1", "c=IN IP4 0.0.0.0")).unwrap();
        assert_eq!(local().answer(&old, &mut OriginKeeper::new(7)).unwrap().1.direction, RecvOnly);
        assert_eq!(SendRecv.answer(SendOnly), SendOnly);
    }

    #[test]
    fn no_common_codec_is_not_acceptable() {
        let offer = Sdp::parse("v=0\no=a 1 1 IN IP4 1.1.1.1\nc=IN IP4 1.1.1.1\nm=audio 4 RTP/AVP 18 97\na=rtpmap:97 telephone-event/8000\n").unwrap();
        assert!(matches!(local().answer(&offer, &mut OriginKeeper::new(7)), Err(SdpError::NotAcceptable(_))));
    }

    #[test]
    fn rfc3264_8_the_version_grows_only_with_a_change() {
        let mut keeper = OriginKeeper::new(u64::MAX);
        let version = |sdp: &Sdp| sdp.origin().unwrap().version;
        let one = local().offer(&mut keeper);
        let again = local().offer(&mut keeper);
        let held = LocalMedia { direction: Direction::SendOnly, ..local() }.offer(&mut keeper);
        let mut foreign = held.clone();
        foreign.set_origin(&Origin {
            username: "x".into(),
            session_id: "9".into(),
            version: "99".into(),
            address: Address::Name("x.example".into()),
        });
        keeper.stamp(&mut foreign);
        assert_eq!(
            (version(&one), version(&again), version(&held), version(&foreign)),
            ("1".into(), "1".into(), "2".into(), "2".into())
        );
        assert_eq!(one.origin().unwrap().session_id, i64::MAX.to_string());
    }
}
