//! Reading and writing. Lines may end in CRLF or LF and are written with CRLF; nothing else is changed by a round trip but the
//! spelling of the `m=` line. Missing `s=` and `t=` lines are tolerated, since devices leave them out.

use std::fmt;
use std::str::FromStr;

use base::limits::{SDP_BYTES_MAX, SDP_MEDIA_MAX};

use crate::error::SdpError;
use crate::model::{Line, Media, Origin, Sdp};
use crate::protocol::Protocol;

impl Sdp {
    /// Reads a description from the bytes of a message body; they must be UTF-8 (RFC 8866 §4.5), or Latin-1, which old
    /// devices put into names.
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self, SdpError> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::parse(text),
            Err(_) => Self::parse(&bytes.iter().map(|b| char::from(*b)).collect::<String>()),
        }
    }

    /// Reads a description.
    pub fn parse(text: &str) -> Result<Self, SdpError> {
        if text.len() > SDP_BYTES_MAX {
            return Err(SdpError::TooMany { what: "bytes of SDP", max: SDP_BYTES_MAX });
        }
        let mut sdp = Self::default();
        let mut offset = 0;
        for raw in text.split_inclusive('\n') {
            let line = raw.trim_end_matches(['\r', '\n']);
            if !line.is_empty() {
                sdp.push_line(line, offset)?;
            }
            offset += raw.len();
        }
        sdp.check()
    }

    fn push_line(&mut self, text: &str, offset: usize) -> Result<(), SdpError> {
        let malformed = |rule| SdpError::Malformed { rule, offset };
        let (kind, value) = match text.as_bytes() {
            [kind @ b'a'..=b'z', b'=', ..] => (char::from(*kind), &text[2..]),
            _ => return Err(malformed("SDP line: one letter, =, value")),
        };
        if value.bytes().any(|b| b == 0 || b == b'\r') {
            return Err(malformed("SDP value: no NUL, no lone CR"));
        }
        if self.session.is_empty() && (kind, value.trim_end()) != ('v', "0") {
            return Err(malformed("v=0 first"));
        }
        if kind == 'o' && Origin::parse(value.trim_end()).is_none() {
            return Err(malformed("o= line"));
        }
        if kind == 'm' {
            if self.media.len() == SDP_MEDIA_MAX {
                return Err(SdpError::TooMany { what: "media sections", max: SDP_MEDIA_MAX });
            }
            self.media.push(parse_media(value).ok_or(malformed("m= line"))?);
            return Ok(());
        }
        let lines = self.media.last_mut().map_or(&mut self.session, |media| &mut media.lines);
        lines.push(Line::new(kind, value));
        Ok(())
    }

    fn check(self) -> Result<Self, SdpError> {
        if self.origin().is_none() {
            return Err(SdpError::Malformed { rule: "o= line before the media", offset: 0 });
        }
        let unplaced = (0..self.media.len()).any(|n| !self.media[n].is_refused() && self.address(n).is_none());
        if unplaced {
            return Err(SdpError::Malformed { rule: "c= line for every section", offset: 0 });
        }
        Ok(self)
    }
}

fn parse_media(value: &str) -> Option<Media> {
    let mut words = value.split_ascii_whitespace();
    let kind = words.next()?.to_owned();
    let (port, count) = words.next().map(|word| word.split_once('/').unwrap_or((word, "1")))?;
    let (port, port_count) = (port.parse().ok()?, count.parse().ok().filter(|count| *count > 0)?);
    let protocol = Protocol::parse(words.next()?);
    let formats: Vec<String> = words.map(str::to_owned).collect();
    (!formats.is_empty()).then_some(Media { kind, port, port_count, protocol, formats, lines: vec![] })
}

impl FromStr for Sdp {
    type Err = SdpError;

    fn from_str(text: &str) -> Result<Self, SdpError> {
        Self::parse(text)
    }
}

impl fmt::Display for Sdp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_lines(f, &self.session)?;
        for media in &self.media {
            write!(f, "m={} {}", media.kind, media.port)?;
            if media.port_count != 1 {
                write!(f, "/{}", media.port_count)?;
            }
            write!(f, " {}", media.protocol)?;
            media.formats.iter().try_for_each(|format| write!(f, " {format}"))?;
            f.write_str("\r\n")?;
            write_lines(f, &media.lines)?;
        }
        Ok(())
    }
}

fn write_lines(f: &mut fmt::Formatter<'_>, lines: &[Line]) -> fmt::Result {
    lines.iter().try_for_each(|line| write!(f, "{}={}\r\n", line.kind, line.value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::{Address, Direction};

    pub(crate) const OFFER: &str = "v=0\r\no=jdoe 2890844526 2890842807 IN IP4 10.47.16.5\r\ns=SDP Seminar\r\nc=IN IP4 224.2.17.12/127\r\n\
        t=2873397496 2873404696\r\na=recvonly\r\nx=unknown\r\nm=audio 49170 RTP/AVP 0 97\r\na=rtpmap:97 opus/48000/2\r\na=fmtp:97 useinbandfec=1\r\n\
        a=ptime:20\r\nm=video 51372/2 RTP/SAVPF 99\r\nc=IN IP6 2001:db8::1\r\na=rtpmap:99 h263-1998/90000\r\na=rtcp:53020 IN IP4 126.16.64.4\r\na=sendrecv\r\n";

    #[test]
    fn rfc8866_a_description_is_written_as_it_came() {
        let sdp = Sdp::parse(OFFER).unwrap();
        assert_eq!(sdp.to_string(), OFFER);
        assert_eq!(Sdp::parse(&OFFER.replace("\r\n", "\n")).unwrap(), sdp);
        assert_eq!(Sdp::parse(OFFER.trim_end()).unwrap(), sdp);
        assert_eq!(
            Sdp::parse_bytes(b"v=0\no=\xe9 1 1 IN IP4 1.2.3.4\ns=caf\xe9\n").unwrap().session[2].value,
            "caf\u{e9}"
        );
    }

    #[test]
    fn rfc8866_typed_reads() {
        let sdp = Sdp::parse(OFFER).unwrap();
        assert_eq!(sdp.origin().unwrap().version, "2890842807");
        assert_eq!(sdp.address(0), Some(Address::Ip("224.2.17.12".parse().unwrap())));
        assert_eq!((sdp.direction(0), sdp.direction(1)), (Direction::RecvOnly, Direction::SendRecv));
        assert_eq!(sdp.rtcp_address(0), Some("224.2.17.12:49171".parse().unwrap()));
        assert_eq!(sdp.rtcp_address(1), Some("126.16.64.4:53020".parse().unwrap()));
        let codecs = sdp.media[0].codecs();
        assert_eq!(
            codecs.iter().map(|c| (c.name.as_str(), c.clock_rate_hz, c.channels)).collect::<Vec<_>>(),
            [("PCMU", 8000, 1), ("opus", 48000, 2)]
        );
        assert_eq!(
            (codecs[1].parameters.as_deref(), codecs[1].rtpmap()),
            (Some("useinbandfec=1"), "97 opus/48000/2".into())
        );
        assert_eq!((sdp.media[0].ptime_ms(), sdp.media[1].port_count), (Some(20), 2));
    }

    #[test]
    fn what_breaks_the_format_is_refused_with_its_place() {
        let bad = [
            ("", "o= line before the media", 0),
            ("v=1\n", "v=0 first", 0),
            ("o=- 1 1 IN IP4 1.2.3.4\n", "v=0 first", 0),
            ("v=0\no=- x 1 IN IP4 1.2.3.4\n", "o= line", 4),
            ("v=0\no=- 1 1 IN IP4 1.2.3.4\nhello\n", "SDP line: one letter, =, value", 27),
            ("v=0\no=- 1 1 IN IP4 1.2.3.4\nm=audio x RTP/AVP 0\n", "m= line", 27),
            ("v=0\no=- 1 1 IN IP4 1.2.3.4\nm=audio 70000 RTP/AVP 0\n", "m= line", 27),
            ("v=0\no=- 1 1 IN IP4 1.2.3.4\nm=audio 9 RTP/AVP\n", "m= line", 27),
            ("v=0\no=- 1 1 IN IP4 1.2.3.4\nm=audio 9 RTP/AVP 0\n", "c= line for every section", 0),
            ("v=0\no=- 1 1 IN IP4 1.2.3.4\nc=IN IP4 1.2.3\nm=audio 9 RTP/AVP 0\n", "c= line for every section", 0),
        ];
        for (text, rule, offset) in bad {
            assert_eq!(Sdp::parse(text), Err(SdpError::Malformed { rule, offset }), "{text:?}");
        }
    }

    #[test]
    fn size_and_sections_are_bounded() {
        let head = "v=0\no=- 1 1 IN IP4 1.2.3.4\nc=IN IP4 1.2.3.4\n";
        let sections = |n| format!("{head}{}", "m=audio 9 RTP/AVP 0\n".repeat(n));
        assert!(Sdp::parse(&sections(SDP_MEDIA_MAX)).is_ok());
        assert!(matches!(
            Sdp::parse(&sections(SDP_MEDIA_MAX + 1)),
            Err(SdpError::TooMany { what: "media sections", .. })
        ));
        assert!(matches!(
            Sdp::parse(&format!("{head}{}", "a=x\n".repeat(SDP_BYTES_MAX / 4))),
            Err(SdpError::TooMany { .. })
        ));
    }
}
