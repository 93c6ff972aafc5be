//! Against random text and against an independent reader (`sdp-types`).
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use sdp_proto::Sdp;

fn value() -> impl Strategy<Value = String> {
    "[ -~]{1,40}".prop_filter("no leading space", |s| !s.starts_with(' '))
}

prop_compose! {
    fn section()(kind in "audio|video|image", port in any::<u16>(), proto in "RTP/AVP|RTP/SAVPF|udptl|TCP/MSRP", formats in "[0-9]{1,3}( [0-9]{1,3}){0,4}", lines in proptest::collection::vec(value(), 0..6)) -> String {
        let lines: String = lines.iter().map(|v| format!("a={v}\r\n")).collect();
        format!("m={kind} {port} {proto} {formats}\r\n{lines}")
    }
}

prop_compose! {
    fn description()(id in any::<u32>(), name in value(), session in proptest::collection::vec(value(), 0..4), sections in proptest::collection::vec(section(), 0..5)) -> String {
        let session: String = session.iter().map(|v| format!("a={v}\r\n")).collect();
        format!("v=0\r\no=- {id} 1 IN IP4 192.0.2.1\r\ns={name}\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{session}{}", sections.concat())
    }
}

proptest! {
    #[test]
    fn a_well_formed_description_is_written_as_it_came(text in description()) {
        prop_assert_eq!(Sdp::parse(&text).unwrap().to_string(), text);
    }

    #[test]
    fn an_independent_reader_sees_the_same_sections(text in description()) {
        let ours = Sdp::parse(&text).unwrap();
        let theirs = sdp_types::Session::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(ours.media.len(), theirs.medias.len());
        for (a, b) in ours.media.iter().zip(&theirs.medias) {
            prop_assert_eq!((&a.kind, a.port, a.protocol.to_string(), a.formats.join(" ")), (&b.media, b.port, b.proto.clone(), b.fmt.clone()));
            prop_assert_eq!(a.lines.len(), b.attributes.len());
        }
        prop_assert_eq!(ours.origin().unwrap().session_id, theirs.origin.sess_id);
    }

    #[test]
    fn no_text_makes_it_panic_and_what_is_read_is_stable(text in "(v=0\n)?(o=- 1 1 IN IP4 1.2.3.4\n)?([a-z]=[ -~\r\n]{0,30}\n){0,12}") {
        if let Ok(sdp) = Sdp::parse(&text) {
            let again = Sdp::parse(&sdp.to_string()).unwrap();
            prop_assert_eq!(&again, &sdp);
            for n in 0..sdp.media.len() {
                let _ = (sdp.rtp_address(n), sdp.rtcp_address(n), sdp.media[n].codecs(), sdp.media[n].crypto(), sdp.is_hold(n));
            }
        }
    }
}
