//! What must hold for any octets whatever. Shared by the fuzz target and by the replay of its corpus.

use std::time::{Duration, Instant};

use smpp_proto::receipt::ReceiptIdForm;
use smpp_proto::session::{BindRequest, CloseReason, Role};
use smpp_proto::udh::Udh;
use smpp_proto::*;

/// Runs every parser of the crate over `octets`.
pub(crate) fn all(octets: &[u8]) {
    pdu(octets);
    stream(octets);
    text(octets);
    session(octets);
}

/// A PDU that can be written again reads back the same, and its parts can be looked at.
fn pdu(octets: &[u8]) {
    let Ok(read) = Pdu::decode(octets) else { return };
    if let Ok(written) = read.to_vec() {
        assert_eq!(Pdu::decode(&written).as_ref(), Ok(&read));
    }
    if let Body::SubmitSm(message) | Body::DeliverSm(message) = read.body {
        message_parts(&message);
    }
    if let Body::DataSm(data) = read.body {
        message_parts(&data.as_message());
    }
}

fn message_parts(message: &Message<'_>) {
    if let Ok(data) = message.user_data() {
        assert!(data.octets.len() <= message.payload().len());
        if let Some(text) = DataCoding(message.data_coding).alphabet(Alphabet::Gsm7).decode(data.octets) {
            assert!(text.chars().count() <= data.octets.len());
        }
    }
    if let Ok(receipt) = Receipt::read(message) {
        let candidates = receipt.id.candidates(ReceiptIdForm::Auto);
        assert!(candidates.len() <= 3 && candidates.iter().all(|id| !id.is_empty()));
    }
}

/// However the stream is cut, the same PDUs come out.
fn stream(octets: &[u8]) {
    let read = |piece: usize| {
        let mut reader = PduReader::default();
        let mut pdus = vec![];
        for piece in octets.chunks(piece) {
            reader.feed(piece);
            loop {
                match reader.next_pdu() {
                    Ok(Some(pdu)) => pdus.push(pdu),
                    Ok(None) => break,
                    Err(_) => return pdus,
                }
            }
        }
        pdus
    };
    assert_eq!(read(1), read(octets.len().max(1)));
}

fn text(octets: &[u8]) {
    let message = Message { esm_class: 0x04, short_message: octets, ..Message::default() };
    let _ = Receipt::read(&message);
    if let Ok((udh, rest)) = Udh::parse(octets) {
        assert!(udh.elements().map(|(_, value)| value.len() + 2).sum::<usize>() + 1 + rest.len() == octets.len());
    }
    let septets = coding::gsm7::unpack(octets, 0, octets.len() * 8 / 7);
    assert_eq!(coding::gsm7::unpack(&coding::gsm7::pack(&septets, 0), 0, septets.len()), septets);
}

/// Both sides survive any octets, give every request back, and fall silent once closed.
fn session(octets: &[u8]) {
    let now = Instant::now();
    let esme = Role::Esme(BindRequest::new(BindMode::Transceiver, "us", base::Secret::new("secret")));
    for role in [esme, Role::Smsc { system_id: "us".into() }] {
        let Ok(mut session) = Session::start(now, role.clone(), SessionConfig::default()) else { return };
        let bind = match role {
            Role::Esme(_) => &b"\0\0\0\x15\x80\0\0\x09\0\0\0\0\0\0\0\x01them\0"[..],
            Role::Smsc { .. } => &b"\0\0\0\x1d\0\0\0\x09\0\0\0\0\0\0\0\x01them\0pw\0\0\x34\0\0\0"[..],
        };
        session.handle(now, Input::Received(bind));
        let _ = session.accept_bind(now);
        let open = (0..4).filter(|key| session.submit(now, *key, &Body::EnquireLink).is_ok()).count();
        session.handle(now, Input::Received(octets));
        session.handle(now + Duration::from_secs(29), Input::Timeout);
        session.handle(now + Duration::from_secs(29), Input::Disconnected);
        let mut back = 0;
        let mut closed = None;
        while let Some(output) = session.poll_output() {
            assert_eq!(closed, None, "something follows the end");
            match output {
                Output::Close(reason) => closed = Some(reason),
                Output::Event(Event::Answered(_) | Event::Unsent { .. } | Event::Unanswered { .. }) => back += 1,
                Output::Event(_) | Output::Transmit(_) => {}
            }
        }
        assert_eq!((back, session.poll_timeout()), (open, None));
        assert_ne!(closed, None::<CloseReason>);
    }
}
