//! Receipts as carriers write them, and ids as they twist them.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::pdu::TlvBuffer;

fn receipt(text: &str) -> Result<Receipt, SmppError> {
    Receipt::read(&Message { esm_class: 0x04, short_message: text.as_bytes(), ..Message::default() })
}

#[test]
fn smpp34_appendix_b_the_standard_text_is_read() {
    let read = receipt(
        "id:0123456789 sub:001 dlvrd:001 submit date:2611211130 done date:2611211131 stat:DELIVRD err:000 text:hi id:7",
    )
    .unwrap();
    assert_eq!(read.id.as_str(), "0123456789");
    assert_eq!((read.state, read.error.as_str(), read.consistent), (MessageState::Delivered, "000", true));
    assert_eq!(read.submitted_at.unwrap().to_string(), "2026-11-21T11:30:00.000Z");
    assert_eq!(read.done_at.unwrap().to_string(), "2026-11-21T11:31:00.000Z");
}

#[test]
fn texts_of_other_carriers_are_read_too() {
    for (text, id, state, error) in [
        ("ID: ab-12 STAT: UNDELIVERABLE ERR: 0x0B", "ab-12", MessageState::Undeliverable, "0x0B"),
        ("stat:EXPIRED id:7\r\nerr:27", "7", MessageState::Expired, "27"),
        ("id=55 submit_date=20261121113000 stat=REJECTD", "55", MessageState::Rejected, ""),
        ("id:9 sub:1 dlvrd:0 submitdate:261121113000 donedate: stat:ACCEPTD err:", "9", MessageState::Accepted, ""),
        ("id:1", "1", MessageState::Unknown, ""),
        ("msgid:3 id:4 stat:weird", "4", MessageState::Unknown, ""),
    ] {
        let read = receipt(text).unwrap();
        assert_eq!((read.id.as_str(), read.state, read.error.as_str()), (id, state, error), "{text}");
    }
    assert!(receipt("stat:DELIVRD text:id:5").is_err(), "what stands after text: is the sender's");
}

#[test]
fn dates_with_century_or_seconds_are_told_apart() {
    for (text, shown) in [
        ("261121113045", "2026-11-21T11:30:45.000Z"),
        ("202611211130", "2026-11-21T11:30:00.000Z"),
        ("20240229235959", "2024-02-29T23:59:59.000Z"),
    ] {
        assert_eq!(read_date(text).unwrap().to_string(), shown);
    }
    for bad in ["", "0000000000", "2613211130", "26112111", "never"] {
        assert_eq!(read_date(bad), None, "{bad}");
    }
}

#[test]
fn parameters_win_over_the_text_and_a_contradiction_is_told() {
    let mut tlvs = TlvBuffer::default();
    tlvs.push(tag::RECEIPTED_MESSAGE_ID, b"beef\0").unwrap().push(tag::MESSAGE_STATE, &[5]).unwrap();
    tlvs.push(tag::NETWORK_ERROR_CODE, &[3, 0, 27]).unwrap();
    let message =
        Message { esm_class: 0x04, short_message: b"id:beef stat:DELIVRD", tlvs: tlvs.as_tlvs(), ..Message::default() };
    let read = Receipt::read(&message).unwrap();
    assert_eq!((read.id.as_str(), read.state), ("beef", MessageState::Undeliverable));
    assert_eq!((read.error.as_str(), read.consistent), ("3:27", false));
    let without_text = Message { short_message: b"", ..message };
    assert!(Receipt::read(&without_text).unwrap().consistent);
}

#[test]
fn a_text_that_looks_like_a_receipt_is_a_text() {
    let text = b"id:1 sub:001 dlvrd:001 stat:DELIVRD err:000 text:";
    let message = Message { short_message: text, ..Message::default() };
    assert!(!Receipt::is_receipt(&message));
    assert!(Receipt::is_receipt(&Message { esm_class: 0x04, ..message }));
    assert!(Receipt::is_receipt(&Message { esm_class: 0x20, ..message }));
    let mut tlvs = TlvBuffer::default();
    tlvs.push(tag::RECEIPTED_MESSAGE_ID, b"1\0").unwrap();
    assert!(Receipt::is_receipt(&Message { tlvs: tlvs.as_tlvs(), ..message }));
}

#[test]
fn an_id_matches_whatever_the_carrier_did_to_it() {
    let stored = |response: &str| ReceiptId::new(response).canonical();
    for (response, receipt) in [
        ("0000001A", "26"),
        ("1a", "0000026"),
        ("26", "1A"),
        ("0000026", "0x1a".trim_start_matches("0x")),
        ("ABCDEF-01", "abcdef-01"),
        ("007", "7"),
        ("7", "000000007"),
        ("ffffffffffffffffffffffffffffffff", "340282366920938463463374607431768211455"),
    ] {
        let candidates = ReceiptId::new(receipt).candidates(ReceiptIdForm::Auto);
        assert!(candidates.contains(&stored(response)), "{response} {receipt} {candidates:?}");
        assert!(candidates.len() <= 3);
    }
}

#[test]
fn the_same_id_is_tried_first_and_a_known_form_leaves_no_choice() {
    let id = ReceiptId::new("10");
    assert_eq!(id.candidates(ReceiptIdForm::Auto), ["10", "a", "16"]);
    assert_eq!(id.candidates(ReceiptIdForm::Same), ["10"]);
    assert_eq!(id.candidates(ReceiptIdForm::HexThenDecimal), ["a"]);
    assert_eq!(id.candidates(ReceiptIdForm::DecimalThenHex), ["16"]);
    assert_eq!(ReceiptId::new("7").candidates(ReceiptIdForm::Auto), ["7"]);
    assert_eq!(ReceiptId::new("000").candidates(ReceiptIdForm::Auto), ["0"]);
    assert!(ReceiptId::new(" ").candidates(ReceiptIdForm::Auto).is_empty());
}
