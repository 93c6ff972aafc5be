//! Whatever fits a PDU or an alphabet comes back as it was.
#![allow(clippy::unwrap_used)]

use proptest::collection::vec;
use proptest::prelude::*;
use smpp_proto::pdu::*;
use smpp_proto::receipt::ReceiptIdForm;
use smpp_proto::*;

fn c_octets(max: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(1u8..=255, 0..=max)
}

fn tlvs() -> impl Strategy<Value = TlvBuffer> {
    vec((any::<u16>(), vec(any::<u8>(), 0..40)), 0..6).prop_map(|all| {
        let mut buffer = TlvBuffer::default();
        for (tag, value) in all {
            buffer.push(tag, &value).unwrap();
        }
        buffer
    })
}

proptest! {
    #[test]
    fn a_message_reads_back_as_written(
        strings in (c_octets(5), c_octets(20), c_octets(20), c_octets(16), c_octets(16)),
        octets in any::<[u8; 11]>(),
        text in vec(any::<u8>(), 0..=254),
        tlvs in tlvs(),
        sequence in any::<u32>(),
        status in any::<u32>(),
    ) {
        let message = Message {
            service_type: &strings.0,
            source: Address { ton: octets[0], npi: octets[1], octets: &strings.1 },
            destination: Address { ton: octets[2], npi: octets[3], octets: &strings.2 },
            esm_class: octets[4],
            protocol_id: octets[5],
            priority_flag: octets[6],
            schedule_delivery_time: &strings.3,
            validity_period: &strings.4,
            registered_delivery: octets[7],
            replace_if_present_flag: octets[8],
            data_coding: octets[9],
            sm_default_msg_id: octets[10],
            short_message: &text,
            tlvs: tlvs.as_tlvs(),
        };
        for body in [Body::SubmitSm(message), Body::DeliverSm(message)] {
            let pdu = Pdu { status: CommandStatus(status), sequence, body };
            let written = pdu.to_vec().unwrap();
            prop_assert_eq!(Pdu::decode(&written).unwrap(), pdu);
        }
    }

    #[test]
    fn any_text_passes_ucs2_and_what_gsm7_takes_it_gives_back(text in any::<String>()) {
        let mut octets = vec![];
        Alphabet::Ucs2.encode(&text, &mut octets).unwrap();
        // A leading byte order mark is obeyed and so does not come back.
        if !text.starts_with(['\u{feff}', '\u{fffe}']) {
            prop_assert_eq!(Alphabet::Ucs2.decode(&octets).unwrap(), text.clone());
        }
        octets.clear();
        if Alphabet::Gsm7.encode(&text, &mut octets).is_ok() {
            prop_assert_eq!(Alphabet::Gsm7.decode(&octets).unwrap(), text);
        }
    }

    #[test]
    fn gsm7_text_passes(text in "[ -_a-~£€ÄÖÜäöüßñΔΩ\n\r]*") {
        let text = text.replace('`', "");
        let mut octets = vec![];
        Alphabet::Gsm7.encode(&text, &mut octets).unwrap();
        prop_assert!(octets.iter().all(|octet| *octet < 128));
        prop_assert_eq!(Alphabet::Gsm7.decode(&octets).unwrap(), text);
    }

    #[test]
    fn an_id_in_any_form_finds_itself(number in any::<u64>(), zeros in 0usize..8, upper in any::<bool>()) {
        let hex = if upper { format!("{number:X}") } else { format!("{number:x}") };
        let forms = [number.to_string(), hex.clone(), format!("{}{number}", "0".repeat(zeros)), format!("{}{hex}", "0".repeat(zeros))];
        for response in &forms {
            for receipt in &forms {
                let stored = ReceiptId::new(response).canonical();
                let found = ReceiptId::new(receipt).candidates(ReceiptIdForm::Auto);
                prop_assert!(found.contains(&stored), "{} {}", response, receipt);
            }
        }
    }
}
