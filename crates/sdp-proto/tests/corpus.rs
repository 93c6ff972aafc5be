//! The fuzzer's committed corpus, run as a test.
#![allow(clippy::unwrap_used)]

use sdp_proto::Sdp;

#[test]
fn every_seed_is_read_and_written_stably() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/sdp");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let Ok(sdp) = Sdp::parse_bytes(&bytes) else { continue };
        assert_eq!(Sdp::parse(&sdp.to_string()).unwrap(), sdp);
        for n in 0..sdp.media.len() {
            let _ = (sdp.rtp_address(n), sdp.rtcp_address(n), sdp.media[n].codecs(), sdp.media[n].crypto());
        }
        count += 1;
    }
    assert!(count >= 5, "the seeds are there and well-formed");
}
