//! The fuzzer's committed corpus, run as a test: whatever a media port takes, under every suite.
#![allow(clippy::unwrap_used)]

use base::Random;
use rtp_proto::srtp::{MasterKey, OVERHEAD_BYTES_MAX};
use rtp_proto::{Opener, RtpHeader, Sealer, Suite, rtcp};

#[test]
fn every_seed_passes_through_all_readers_and_suites() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/rtp");
    let mut headers = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        let packet = bytes.get(1..).unwrap_or_default();
        headers += usize::from(RtpHeader::parse(packet).is_ok_and(|header| header.payload(packet).is_ok()));
        rtcp::walk(packet).flatten().for_each(|part| {
            let _ = (part.sender_info(), part.cname());
        });
        for suite in Suite::ALL {
            let key = MasterKey::generate(suite, &mut Random::from_seed(1));
            let (mut sealer, mut opener) = (Sealer::new(key.clone()).unwrap(), Opener::new(key, 0).unwrap());
            assert!(opener.unprotect_rtp(&mut packet.to_vec()).is_err());
            let mut buffer = packet.to_vec();
            buffer.resize(packet.len() + OVERHEAD_BYTES_MAX, 0);
            if let Ok(length) = sealer.protect_rtp(&mut buffer, packet.len()) {
                assert_eq!(opener.unprotect_rtp(&mut buffer[..length]), Ok(packet.len()));
                assert_eq!(&buffer[..packet.len()], packet);
            }
        }
    }
    assert!(headers >= 4, "the seeds are there");
}
