//! Our codec against an independent one: what we write it reads, and what it writes back is octet for octet ours.
#![allow(clippy::unwrap_used)]

use bytes::BytesMut;
use rusmpp::tokio_codec::CommandCodec;
use smpp_proto::pdu::*;
use smpp_proto::udh::{Concat, ConcatKind};
use smpp_proto::*;
use tokio_util::codec::{Decoder, Encoder};

/// Through the other codec and back.
fn there_and_back(octets: &[u8]) -> (rusmpp::Command, Vec<u8>) {
    let mut codec = CommandCodec::new();
    let command = codec.decode(&mut BytesMut::from(octets)).unwrap().unwrap();
    let mut back = BytesMut::new();
    codec.encode(command.clone(), &mut back).unwrap();
    (command, back.to_vec())
}

fn agree(pdu: Pdu<'_>) -> rusmpp::Command {
    let ours = pdu.to_vec().unwrap();
    let (command, theirs) = there_and_back(&ours);
    assert_eq!(theirs, ours, "{pdu:?}");
    assert_eq!(Pdu::decode(&theirs).unwrap(), pdu);
    command
}

fn message<'a>(text: &'a [u8], tlvs: Tlvs<'a>) -> Message<'a> {
    Message {
        service_type: b"CMT",
        source: Address { ton: 5, npi: 0, octets: b"Tandem" },
        destination: Address::international(b"15551234567"),
        validity_period: b"000001000000000R",
        registered_delivery: 1,
        short_message: text,
        tlvs,
        ..Message::default()
    }
}

#[test]
fn sessions_read_the_same() {
    for mode in [BindMode::Receiver, BindMode::Transmitter, BindMode::Transceiver] {
        let (system_id, password, system_type) = (&b"carrier"[..], &b"secret08"[..], &b"VMS"[..]);
        let (addr_ton, addr_npi, address_range) = (1, 1, &b"1555"[..]);
        let interface_version = 0x34;
        let bind =
            Bind { mode, system_id, password, system_type, interface_version, addr_ton, addr_npi, address_range };
        let command = agree(Pdu::new(1, Body::Bind(bind)));
        assert_eq!(u32::from(command.id()), mode.command().0);
        let mut tlvs = TlvBuffer::default();
        tlvs.push(tag::SC_INTERFACE_VERSION, &[0x34]).unwrap();
        agree(Pdu::new(1, Body::BindResp(BindResp { mode, system_id: b"smsc", tlvs: tlvs.as_tlvs() })));
    }
    agree(Pdu::new(2, Body::Outbind(Outbind { system_id: b"smsc", password: b"pw" })));
    for body in [Body::Unbind, Body::UnbindResp, Body::EnquireLink, Body::EnquireLinkResp] {
        agree(Pdu::new(0x7fff_ffff, body));
    }
    let nack = Pdu { status: CommandStatus::ESME_RINVCMDID, sequence: 4, body: Body::GenericNack };
    assert_eq!(agree(nack).status(), rusmpp::CommandStatus::EsmeRinvcmdid);
}

#[test]
fn messages_read_the_same() {
    let mut tlvs = TlvBuffer::default();
    Concat { kind: ConcatKind::Sar, reference: 513, total: 3, part: 2 }.push_sar(&mut tlvs).unwrap();
    tlvs.push(tag::USER_MESSAGE_REFERENCE, &[0x12, 0x34]).unwrap();
    let command = agree(Pdu::new(3, Body::SubmitSm(message(b"hello", tlvs.as_tlvs()))));
    let Some(rusmpp::Pdu::SubmitSm(read)) = command.pdu() else { panic!("{command:?}") };
    assert_eq!(read.short_message().clone().into_bytes().as_ref(), b"hello");
    assert_eq!(read.destination_addr.to_string(), "15551234567");

    let mut tlvs = TlvBuffer::default();
    tlvs.push(tag::MESSAGE_PAYLOAD, &[b'x'; 3_000]).unwrap();
    agree(Pdu::new(4, Body::SubmitSm(message(b"", tlvs.as_tlvs()))));
    let mut tlvs = TlvBuffer::default();
    tlvs.push(tag::RECEIPTED_MESSAGE_ID, b"0abc\0").unwrap().push(tag::MESSAGE_STATE, &[2]).unwrap();
    tlvs.push(tag::NETWORK_ERROR_CODE, &[3, 0, 1]).unwrap();
    agree(Pdu::new(5, Body::DeliverSm(message(b"id:0abc stat:DELIVRD", tlvs.as_tlvs()))));
    let mut tlvs = TlvBuffer::default();
    tlvs.push(tag::MESSAGE_PAYLOAD, b"data").unwrap();
    let data = DataSm {
        source: Address::international(b"15550001"),
        destination: Address::international(b"15550002"),
        data_coding: 8,
        tlvs: tlvs.as_tlvs(),
        ..DataSm::default()
    };
    agree(Pdu::new(6, Body::DataSm(data)));
    let resp = MessageResp { message_id: b"0000001A-beef", tlvs: Tlvs::EMPTY };
    for body in [Body::SubmitSmResp(resp), Body::DeliverSmResp(NOTHING), Body::DataSmResp(resp)] {
        agree(Pdu::new(7, body));
    }
}

#[test]
fn operations_read_the_same() {
    let source = Address::international(b"15550001");
    let destination = Address::international(b"15550002");
    agree(Pdu::new(8, Body::QuerySm(QuerySm { message_id: b"17", source })));
    let resp = QuerySmResp { message_id: b"17", final_date: b"261121113000000+", message_state: 2, error_code: 0 };
    agree(Pdu::new(8, Body::QuerySmResp(resp)));
    agree(Pdu::new(9, Body::CancelSm(CancelSm { service_type: b"", message_id: b"17", source, destination })));
    agree(Pdu::new(9, Body::CancelSmResp));
    let replace = ReplaceSm {
        message_id: b"17",
        source,
        schedule_delivery_time: b"",
        validity_period: b"",
        registered_delivery: 1,
        sm_default_msg_id: 0,
        short_message: b"instead",
    };
    agree(Pdu::new(10, Body::ReplaceSm(replace)));
    agree(Pdu::new(10, Body::ReplaceSmResp));
    let alert = AlertNotification { source, esme: destination, tlvs: Tlvs::EMPTY };
    agree(Pdu::new(11, Body::AlertNotification(alert)));
}

#[test]
fn we_take_what_the_strict_codec_refuses() {
    let id = [b'9'; 100];
    let long = MessageResp { message_id: &id, tlvs: Tlvs::EMPTY };
    let octets = Pdu::new(1, Body::SubmitSmResp(long)).to_vec().unwrap();
    assert!(CommandCodec::new().decode(&mut BytesMut::from(&octets[..])).is_err(), "or this test has lost its point");
    assert_eq!(Pdu::decode(&octets).unwrap().body.message_id(), Some(&id[..]));
}
