//! Fuzzes what a media port takes: RTP, RTCP, telephone events, SRTP of every suite. The first byte chooses the suite.
#![no_main]

use base::Random;
use libfuzzer_sys::fuzz_target;
use rtp_proto::srtp::MasterKey;
use rtp_proto::{Opener, RtpHeader, Sealer, Suite, classify, dtmf, rtcp};

fuzz_target!(|data: &[u8]| {
    let Some((choice, packet)) = data.split_first() else { return };
    let _ = classify(packet);
    if let Ok(header) = RtpHeader::parse(packet) {
        let _ = (header.payload(packet), header.extension(packet), header.csrcs(packet).count());
        if let Ok(payload) = header.payload(packet) {
            let _ = dtmf::KeyReceiver::default().push(header.timestamp, payload);
        }
    }
    for part in rtcp::walk(packet).flatten() {
        let _ = (part.sender_info(), part.report_blocks().count(), part.cname(), part.leaving().count());
    }
    let suite = Suite::ALL[usize::from(*choice) % Suite::ALL.len()];
    let key = MasterKey::generate(suite, &mut Random::from_seed(1));
    let (Ok(mut sealer), Ok(mut opener)) = (Sealer::new(key.clone()), Opener::new(key, usize::from(choice >> 4))) else { return };
    let _ = opener.unprotect_rtp(&mut packet.to_vec());
    let _ = opener.unprotect_rtcp(&mut packet.to_vec());
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + 20, 0);
    if let (0..=15, Ok(length)) = (*choice, sealer.protect_rtp(&mut buffer, packet.len())) {
        assert_eq!(opener.unprotect_rtp(&mut buffer[..length]), Ok(packet.len()));
        assert_eq!(&buffer[..packet.len()], packet);
    }
});
