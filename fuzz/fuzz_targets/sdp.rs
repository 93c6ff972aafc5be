//! Fuzzes the session description reader: what is read is written stably, and the typed reads never panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sdp_proto::{Sdp, SectionEdit, rewrite};

fuzz_target!(|data: &[u8]| {
    let Ok(sdp) = Sdp::parse_bytes(data) else { return };
    // Latin-1 grows when it is written as UTF-8, so that a text at the bound may not be read again.
    if let Ok(again) = Sdp::parse(&sdp.to_string()) {
        assert_eq!(again, sdp);
    }
    for n in 0..sdp.media.len() {
        let _ = (sdp.rtp_address(n), sdp.rtcp_address(n), sdp.direction(n), sdp.is_hold(n), sdp.fingerprint(n));
        let _ = (sdp.media[n].codecs(), sdp.media[n].crypto(), sdp.media[n].ptime_ms());
    }
    let edits: Vec<_> = sdp.media.iter().map(|_| SectionEdit::Refuse).collect();
    assert!(rewrite(&sdp, &edits).is_ok());
});
