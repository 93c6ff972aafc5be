//! The keys by which messages find their transactions (RFC 3261 §17.1.3, §17.2.3), as short byte strings.
//!
//! Keys are written into a scratch buffer, looked up from there, and copied only when a transaction is made.

use crate::message::{HeaderName, Message, Via, tag_of};
use crate::method::Method;

/// Separates the parts of a key; it cannot stand in any of them.
const SEPARATOR: u8 = b'\n';

fn part(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
    out.push(SEPARATOR);
}

/// Client transactions: our branch and the method.
pub(super) fn client(out: &mut Vec<u8>, branch: &str, method: Method) {
    out.clear();
    part(out, "c");
    part(out, branch);
    part(out, method.as_str());
}

/// Server transactions: branch, sent-by and method, ACK counting as INVITE. Requests of RFC 2543 have no unique branch
/// and go by Request-URI, From tag, Call-ID, CSeq number and topmost Via; the To tag is left out, because the ACK has
/// one that the INVITE had not.
pub(super) fn server(out: &mut Vec<u8>, request: &Message, via: &Via, method: Method) {
    out.clear();
    let method = if method == Method::Ack { Method::Invite } else { method };
    match via.unique_branch() {
        Some(branch) => {
            part(out, "s");
            part(out, branch);
            out.extend(via.host().bytes().map(|b| b.to_ascii_lowercase()));
            out.push(SEPARATOR);
            out.extend_from_slice(&via.port.unwrap_or(0).to_be_bytes());
        }
        None => {
            part(out, "o");
            part(out, request.request_uri_text());
            part(out, request.header(HeaderName::From).and_then(tag_of).unwrap_or_default());
            part(out, request.call_id());
            out.extend_from_slice(&request.cseq().map_or(0, |(n, _)| n).to_be_bytes());
            part(out, via.host());
            part(out, via.branch().unwrap_or_default());
            out.extend_from_slice(&via.port.unwrap_or(0).to_be_bytes());
        }
    }
    part(out, method.as_str());
}

/// An INVITE by Call-ID, From tag and CSeq number, and by To tag where one is given: what its 2xx and ACK share.
pub(super) fn invite(out: &mut Vec<u8>, kind: &str, call_id: &str, from_tag: &str, to_tag: &str, sequence: u32) {
    out.clear();
    part(out, kind);
    part(out, call_id);
    part(out, from_tag);
    part(out, to_tag);
    out.extend_from_slice(&sequence.to_be_bytes());
}
