//! Messages out of a byte stream (RFC 3261 §18.3): the head up to the empty line, then Content-Length bytes; and the
//! keep-alives between messages (RFC 5626 §3.5.1). WebSocket frames hold one message each and need none of this.

use base::limits::SIP_MESSAGE_BYTES_MAX;
use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem;

use crate::error::ParseError;
use crate::message::HeaderName;
use crate::scan::{number, trim};

/// What a stream yields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// One whole message for [`crate::Endpoint::receive`].
    Message(Bytes),
    /// A double CRLF: answer with [`PONG`].
    Ping,
    /// A single CRLF: the answer to a ping of ours, or padding before a message.
    Pong,
}

/// The answer to a ping (RFC 5626 §3.5.1).
pub const PONG: &[u8] = b"\r\n";
/// A ping of ours.
pub const PING: &[u8] = b"\r\n\r\n";

/// Cuts a byte stream into frames. It holds at most one message of `base::limits::SIP_MESSAGE_BYTES_MAX` and what was
/// pushed behind it; after an error the stream cannot be read further and the connection has to be closed.
#[derive(Debug, Clone, Default)]
pub struct StreamFramer {
    buffer: BytesMut,
    /// Bytes at the front that are known to hold no end of a head.
    searched: usize,
    /// The length of the message at the front, once its head is complete.
    message_length: Option<usize>,
}

impl StreamFramer {
    /// Takes in bytes in the order in which they came. Call [`Self::next_frame`] until it has no more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Bytes that wait for more.
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    /// The next whole frame.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, ParseError> {
        if self.message_length.is_none() {
            if let Some(keep_alive) = self.keep_alive() {
                return Ok(Some(keep_alive));
            }
            if matches!(self.buffer.first(), None | Some(b'\r' | b'\n')) {
                return Ok(None);
            }
            self.message_length = self.measure()?;
        }
        match self.message_length {
            Some(length) if self.buffer.len() >= length => {
                (self.searched, self.message_length) = (0, None);
                Ok(Some(Frame::Message(self.buffer.split_to(length).freeze())))
            }
            Some(_) | None => Ok(None),
        }
    }

    /// Line ends before a message. A lone CR, or one CRLF that may become two, waits for what follows; a single CRLF is
    /// only told when something else comes behind it or nothing does.
    fn keep_alive(&mut self) -> Option<Frame> {
        if self.buffer.starts_with(PING) {
            self.buffer.advance(PING.len());
            return Some(Frame::Ping);
        }
        if self.buffer.starts_with(PONG) && self.buffer.get(2) != Some(&b'\r') {
            self.buffer.advance(PONG.len());
            return Some(Frame::Pong);
        }
        None
    }

    /// The length of the message at the front, once its head is there.
    fn measure(&mut self) -> Result<Option<usize>, ParseError> {
        let too_large = ParseError::TooLarge { what: "message", limit_max: SIP_MESSAGE_BYTES_MAX };
        let Some(found) = memmem::find(&self.buffer[self.searched..], b"\r\n\r\n") else {
            if self.buffer.len() > SIP_MESSAGE_BYTES_MAX {
                return Err(too_large);
            }
            self.searched = self.buffer.len().saturating_sub(3);
            return Ok(None);
        };
        let head = self.searched + found + 4;
        let body = content_length(&self.buffer[..head])?;
        let length = head.checked_add(body).filter(|length| *length <= SIP_MESSAGE_BYTES_MAX);
        length.map(Some).ok_or(too_large)
    }
}

/// Content-Length, which a stream cannot do without; two that differ are as bad as none.
fn content_length(head: &[u8]) -> Result<usize, ParseError> {
    let bad = ParseError::malformed("Content-Length", 0);
    let mut length = None;
    for line in head.split(|b| *b == b'\n').skip(1) {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let Ok(name) = std::str::from_utf8(&line[..colon]) else { continue };
        if name.starts_with([' ', '\t']) || HeaderName::lookup(trim(name)) != HeaderName::ContentLength {
            continue;
        }
        let value = std::str::from_utf8(&line[colon + 1..]).ok().map(|value| value.trim_end_matches('\r'));
        let value = value.and_then(number::<usize>).ok_or(bad)?;
        if length.replace(value).is_some_and(|known| known != value) {
            return Err(bad);
        }
    }
    length.ok_or(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "OPTIONS sip:a SIP/2.0\r\nVia: x\r\nl: 5\r\n\r\nhello";
    const TWO: &str = "OPTIONS sip:b SIP/2.0\r\nContent-Length : 0\r\n\r\n";

    fn frames(framer: &mut StreamFramer) -> Vec<Frame> {
        std::iter::from_fn(|| framer.next_frame().expect("a good stream")).collect()
    }

    #[test]
    fn rfc3261_18_3_messages_come_out_whole_however_the_stream_is_cut() {
        let all = format!("\r\n{ONE}{TWO}\r\n\r\n{ONE}\r\n");
        let expected = [
            Frame::Pong,
            Frame::Message(ONE.into()),
            Frame::Message(TWO.into()),
            Frame::Ping,
            Frame::Message(ONE.into()),
            Frame::Pong,
        ];
        for size in [1, 2, 3, 7, 50, 1000] {
            let mut framer = StreamFramer::default();
            let mut seen = vec![];
            for chunk in all.as_bytes().chunks(size) {
                framer.push(chunk);
                seen.extend(frames(&mut framer));
            }
            // Cut into single bytes, a ping cannot be told from two pongs.
            let told = |frames: &[Frame]| {
                frames.iter().filter(|f| matches!(f, Frame::Message(_))).cloned().collect::<Vec<_>>()
            };
            assert_eq!(told(&seen), told(&expected), "chunks of {size}");
            if size == 1000 {
                assert_eq!(seen, expected);
            }
            assert_eq!(framer.pending(), 0);
        }
    }

    #[test]
    fn rfc5626_3_5_1_a_ping_is_told_from_a_pong() {
        let mut framer = StreamFramer::default();
        framer.push(PING);
        assert_eq!(frames(&mut framer), [Frame::Ping]);
        framer.push(PONG);
        assert_eq!(frames(&mut framer), [Frame::Pong]);
    }

    #[test]
    fn a_stream_that_cannot_be_framed_is_an_error() {
        for bad in [
            "OPTIONS sip:a SIP/2.0\r\nVia: x\r\n\r\n",
            "A\r\nl: -1\r\n\r\n",
            "A\r\nl: 1\r\nContent-Length: 2\r\n\r\nx",
            "A\r\nl: 70000\r\n\r\n",
        ] {
            let mut framer = StreamFramer::default();
            framer.push(bad.as_bytes());
            assert!(framer.next_frame().is_err(), "{bad}");
        }
        let mut framer = StreamFramer::default();
        framer.push(&vec![b'a'; SIP_MESSAGE_BYTES_MAX + 1]);
        assert!(framer.next_frame().is_err(), "an endless head");
    }
}
