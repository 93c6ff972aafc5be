//! What carriers send although SMPP 3.4 forbids it, and what we never send.
#![allow(clippy::unwrap_used)]

use smpp_proto::pdu::*;
use smpp_proto::*;

fn frame(command: CommandId, status: u32, body: &[u8]) -> Vec<u8> {
    let words = [16 + body.len() as u32, command.0, status, 1];
    words.iter().flat_map(|word| word.to_be_bytes()).chain(body.iter().copied()).collect()
}

#[test]
fn smpp34_4_4_2_a_response_without_a_body_reads_as_empty() {
    for command in [CommandId::SUBMIT_SM_RESP, CommandId::DELIVER_SM_RESP, CommandId::DATA_SM_RESP] {
        for status in [0, 0x58] {
            let octets = frame(command, status, &[]);
            let pdu = Pdu::decode(&octets).unwrap();
            assert_eq!((pdu.body.message_id(), pdu.status.0), (Some(&b""[..]), status));
        }
    }
    for command in [CommandId::BIND_TRANSCEIVER_RESP, CommandId::QUERY_SM_RESP] {
        assert!(Pdu::decode(&frame(command, 0x0d, &[])).is_ok());
    }
}

#[test]
fn a_last_string_without_its_nul_reads_whole() {
    let octets = frame(CommandId::SUBMIT_SM_RESP, 0, b"12345");
    assert_eq!(Pdu::decode(&octets).unwrap().body.message_id(), Some(&b"12345"[..]));
}

#[test]
fn an_id_of_255_octets_passes_and_a_longer_one_does_not() {
    for (octets, good) in [(65, true), (255, true), (256, false), (4_000, false)] {
        let body = [vec![b'a'; octets], vec![0]].concat();
        assert_eq!(Pdu::decode(&frame(CommandId::SUBMIT_SM_RESP, 0, &body)).is_ok(), good, "{octets}");
    }
}

#[test]
fn smpp34_5_2_21_a_text_longer_than_its_pdu_is_malformed() {
    let message = Message { short_message: b"hello", ..Message::default() };
    let octets = Pdu::new(1, Body::DeliverSm(message)).to_vec().unwrap();
    for cut in 17..octets.len() {
        let mut short = octets[..cut].to_vec();
        short[..4].copy_from_slice(&(cut as u32).to_be_bytes());
        assert!(matches!(Pdu::decode(&short), Err(SmppError::Malformed { .. })), "{cut}");
    }
}

#[test]
fn fields_that_do_not_fit_are_refused_and_leave_nothing_behind() {
    let long = [b'1'; 255];
    let too_long = [
        Message { destination: Address::international(&long[..21]), ..Message::default() },
        Message { short_message: &long, ..Message::default() },
        Message { service_type: b"abcdef", ..Message::default() },
        Message { source: Address::international(b"1\x005"), ..Message::default() },
    ];
    for message in too_long {
        let mut out = b"before".to_vec();
        let refused = Pdu::new(1, Body::SubmitSm(message)).encode(&mut out);
        assert!(matches!(refused, Err(SmppError::RefusedLength { .. } | SmppError::RefusedNul { .. })));
        assert_eq!(out, b"before");
    }
}

#[test]
fn smpp34_5_3_2_32_the_payload_parameter_counts_when_there_is_no_short_message() {
    let mut tlvs = TlvBuffer::default();
    tlvs.push(tag::MESSAGE_PAYLOAD, &[5, 0, 3, 9, 2, 1, b'a', b'b']).unwrap();
    let message = Message { esm_class: 0x40, tlvs: tlvs.as_tlvs(), ..Message::default() };
    let data = message.user_data().unwrap();
    assert_eq!((data.octets, data.concat.map(|c| (c.reference, c.total, c.part))), (&b"ab"[..], Some((9, 2, 1))));
    let both = Message { short_message: &[5, 0, 3, 7, 2, 2, b'c'], ..message };
    assert_eq!(both.user_data().unwrap().octets, b"c");
}

#[test]
fn neither_passwords_nor_numbers_nor_texts_show_in_debug_output() {
    let message = Message {
        source: Address::international(b"15551234567"),
        short_message: b"my secret plan",
        ..Message::default()
    };
    let shown = format!("{:?}", Body::SubmitSm(message));
    assert!(!shown.contains("1234567") && !shown.contains("plan"), "{shown}");
    let outbind = Outbind { system_id: b"x", password: b"hunter2" };
    assert!(!format!("{outbind:?}").contains("hunter2"));
}
