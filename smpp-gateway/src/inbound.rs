//! What a carrier delivers, as the domain knows it: a receipt or a part of a text. Pure functions; storing and
//! acknowledging is the bind's business.

use base::id::kind::{Carrier, Message as MessageKind};
use base::{E164, Id, Timestamp};
use domain::sms::{Concatenation, InboundPart, ReceiptReport, ReceiptState};
use smpp_proto::coding::latin1;
use smpp_proto::pdu::UserData;
use smpp_proto::receipt::{MessageState, Receipt};
use smpp_proto::{Address, Alphabet, CommandStatus, DataCoding, Message, SmppError};

use crate::config::Config;

/// How much of a receipt's text is kept for the record, characters; the standard one has under 160.
const RECEIPT_TEXT_CHARACTERS_MAX: usize = 500;
/// Digits from which on an address of unknown type counts as an international number; short codes have fewer.
const NUMBER_DIGITS_MIN: usize = 8;

/// A receipt for whoever sent the text through `carrier`.
///
/// # Errors
/// [`SmppError::Malformed`] when it names no message; asking the carrier to repeat it would not help.
pub(crate) fn receipt(
    message: &Message<'_>,
    carrier: Id<Carrier>,
    at: Timestamp,
    config: &Config,
) -> Result<ReceiptReport, SmppError> {
    let read = Receipt::read(message)?;
    let mut id_candidates = vec![read.id.as_str().to_owned()];
    for candidate in read.id.candidates(config.receipt_id_form) {
        if !id_candidates.contains(&candidate) {
            id_candidates.push(candidate);
        }
    }
    let raw = latin1::decode(message.payload());
    Ok(ReceiptReport {
        carrier,
        id_candidates,
        state: state(read.state),
        code: Some(read.error).filter(|code| !code.is_empty()),
        raw: raw.chars().filter(|c| !c.is_control()).take(RECEIPT_TEXT_CHARACTERS_MAX).collect(),
        at,
    })
}

const fn state(state: MessageState) -> ReceiptState {
    match state {
        MessageState::Scheduled | MessageState::Enroute => ReceiptState::Enroute,
        MessageState::Delivered => ReceiptState::Delivered,
        MessageState::Expired => ReceiptState::Expired,
        MessageState::Deleted => ReceiptState::Deleted,
        MessageState::Undeliverable | MessageState::Skipped => ReceiptState::Undeliverable,
        MessageState::Accepted => ReceiptState::Accepted,
        MessageState::Unknown => ReceiptState::Unknown,
        MessageState::Rejected => ReceiptState::Rejected,
    }
}

/// A part of a text to one of our numbers.
///
/// # Errors
/// The status for the carrier when the destination is no number at all.
pub(crate) fn part(
    message: &Message<'_>,
    id: Id<MessageKind>,
    carrier: Id<Carrier>,
    at: Timestamp,
    config: &Config,
) -> Result<InboundPart, CommandStatus> {
    let to = E164::parse_lenient(&latin1::decode(message.destination.octets));
    // A header that does not hold together: the text with its odd beginning is better than no text.
    let whole = UserData { udh: None, octets: message.payload(), concat: None };
    let data = message.user_data().unwrap_or(whole);
    let concatenation = data.concat.filter(|concat| concat.total > 1);
    Ok(InboundPart {
        id,
        carrier,
        from: sender(&message.source),
        to: to.map_err(|_| CommandStatus::ESME_RINVDSTADR)?,
        text: text(data.octets, DataCoding(message.data_coding).alphabet(config.default_alphabet)),
        concatenation: concatenation.map(|concat| Concatenation {
            reference: concat.reference,
            parts: concat.total,
            part: concat.part,
        }),
        at,
    })
}

/// The text; octets that are none are shown in hexadecimal.
fn text(octets: &[u8], alphabet: Alphabet) -> String {
    let decoded = alphabet.decode(octets);
    let text = decoded.unwrap_or_else(|| octets.iter().map(|octet| format!("{octet:02x}")).collect());
    // NUL ends texts of some handsets, and PostgreSQL takes none in TEXT.
    text.replace('\0', "")
}

/// `+` and digits for an international number, else as it came.
fn sender(address: &Address<'_>) -> String {
    let text = latin1::decode(address.octets).replace('\0', "");
    let digits = text.strip_prefix('+').unwrap_or(&text);
    let all_digits = !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit());
    let international = match address.ton {
        1 => true,
        0 => digits.len() >= NUMBER_DIGITS_MIN && !digits.starts_with('0'),
        _ => text.starts_with('+'),
    };
    if all_digits && international {
        E164::parse_lenient(digits).map_or(text, |number| number.to_string())
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use smpp_proto::TlvBuffer;
    use smpp_proto::udh::{Concat, ConcatKind};

    fn inbound(message: &Message<'_>) -> Result<InboundPart, CommandStatus> {
        part(message, Id::from_i64(1), Id::from_i64(2), Timestamp::default(), &Config::default())
    }

    fn to_us<'a>(short_message: &'a [u8], data_coding: u8) -> Message<'a> {
        Message {
            source: Address::international(b"15550009"),
            destination: Address::international(b"15550001"),
            short_message,
            data_coding,
            ..Message::default()
        }
    }

    #[test]
    fn texts_of_every_alphabet_arrive_as_text() {
        for (octets, data_coding, shown) in [
            (&b"a\x00\x1b\x65"[..], 0, "a@€"),
            (b"caf\xe9", 3, "café"),
            (b"\x04\x1f\xd8\x3d\xde\x00", 8, "П😀"),
            (b"\x01\xff", 4, "01ff"),
            (b"plain", 0xf1, "plain"),
        ] {
            assert_eq!(inbound(&to_us(octets, data_coding)).unwrap().text, shown);
        }
    }

    #[test]
    fn parts_say_their_place_by_header_or_by_parameters() {
        let place = Some(Concatenation { reference: 7, parts: 2, part: 1 });
        let by_header = Message { esm_class: 0x40, ..to_us(b"\x05\x00\x03\x07\x02\x01hi", 0) };
        let mut tlvs = TlvBuffer::default();
        Concat { kind: ConcatKind::Sar, reference: 7, total: 2, part: 1 }.push_sar(&mut tlvs).unwrap();
        let by_parameters = Message { tlvs: tlvs.as_tlvs(), ..to_us(b"hi", 0) };
        for message in [by_header, by_parameters] {
            let part = inbound(&message).unwrap();
            assert_eq!((part.text.as_str(), part.concatenation), ("hi", place));
        }
        let only_one = Message { esm_class: 0x40, ..to_us(b"\x05\x00\x03\x07\x01\x01hi", 0) };
        assert_eq!(inbound(&only_one).unwrap().concatenation, None);
        let broken = Message { esm_class: 0x40, ..to_us(b"\x20hi", 0) };
        assert_eq!(inbound(&broken).unwrap().text, " hi");
    }

    #[test]
    fn senders_are_numbers_short_codes_or_names() {
        for (ton, octets, shown) in [
            (1, &b"15551234567"[..], "+15551234567"),
            (1, b"+15551234567", "+15551234567"),
            (0, b"15551234567", "+15551234567"),
            (0, b"72345", "72345"),
            (3, b"72345", "72345"),
            (2, b"5551234567", "5551234567"),
            (5, b"Caf\xe9", "Café"),
            (5, b"15551234567", "15551234567"),
        ] {
            let message = Message { source: Address { ton, npi: 1, octets }, ..to_us(b"x", 0) };
            assert_eq!(inbound(&message).unwrap().from, shown);
        }
    }

    #[test]
    fn a_destination_that_is_no_number_is_refused() {
        let message = Message { destination: Address { ton: 5, npi: 0, octets: b"Tandem" }, ..to_us(b"x", 0) };
        assert_eq!(inbound(&message), Err(CommandStatus::ESME_RINVDSTADR));
    }

    #[test]
    fn m6_a_receipt_offers_every_form_of_its_id() {
        let message = Message { esm_class: 4, ..to_us(b"id:000026 stat:UNDELIV err:007 text:hi\x00", 0) };
        let report = receipt(&message, Id::from_i64(3), Timestamp::default(), &Config::default()).unwrap();
        assert_eq!(report.id_candidates, ["000026", "26", "1a", "38"]);
        assert_eq!((report.state, report.code.as_deref()), (ReceiptState::Undeliverable, Some("007")));
        assert_eq!(report.raw, "id:000026 stat:UNDELIV err:007 text:hi");
        let nameless = Message { short_message: b"stat:DELIVRD", ..message };
        assert!(receipt(&nameless, Id::from_i64(3), Timestamp::default(), &Config::default()).is_err());
    }
}
