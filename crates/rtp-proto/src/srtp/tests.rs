//! SRTP as a whole: vectors of full packets, every suite there and back, forgery, replay, roll-over, snapshots.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::header::RtpHeader;
use crate::rtcp;
use proptest::prelude::*;

/// Bytes from hexadecimal text with spaces.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.bytes().filter(|b| !b.is_ascii_whitespace()).map(|b| (b as char).to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn key(suite: Suite) -> MasterKey {
    MasterKey::generate(suite, &mut Random::from_seed(suite as u64 + 1))
}

fn pair(suite: Suite) -> (Sealer, Opener) {
    (Sealer::new(key(suite)).unwrap(), Opener::new(key(suite), 0).unwrap())
}

fn packet(sequence: u16, payload: &[u8]) -> Vec<u8> {
    let header = RtpHeader { sequence, ssrc: 0xcafe_babe, timestamp: u32::from(sequence) * 160, ..Default::default() };
    [&header.to_bytes()[..], payload].concat()
}

fn seal(sealer: &mut Sealer, plain: &[u8]) -> Result<Vec<u8>, RtpError> {
    let mut buffer = plain.to_vec();
    buffer.resize(plain.len() + OVERHEAD_BYTES_MAX, 0);
    let length = sealer.protect_rtp(&mut buffer, plain.len())?;
    buffer.truncate(length);
    Ok(buffer)
}

fn open(opener: &mut Opener, sealed: &[u8]) -> Result<Vec<u8>, RtpError> {
    let mut buffer = sealed.to_vec();
    let length = opener.unprotect_rtp(&mut buffer)?;
    buffer.truncate(length);
    Ok(buffer)
}

/// The packet that libsrtp's own self-test uses.
#[test]
fn a_full_packet_equals_that_of_libsrtp() {
    let master = hex("e1f97a0d3e018be0d64fa32c06de4139 0ec675ad498afeebb6960b3aabe6");
    let master = MasterKey::new(Suite::AES_CM_128_HMAC_SHA1_80, &master).unwrap();
    let plain = hex("800f1234 decafbad cafebabe abababab abababab abababab abababab");
    let sealed = hex("800f1234 decafbad cafebabe 4e55dc4c e79978d8 8ca4d215 949d2402 b78d6acc 99ea179b 8dbb");
    assert_eq!(seal(&mut Sealer::new(master.clone()).unwrap(), &plain).unwrap(), sealed);
    assert_eq!(open(&mut Opener::new(master, 0).unwrap(), &sealed).unwrap(), plain);
}

/// Packets that libsrtp 2 made (through pylibsrtp): key bytes 3, 10, 17 …; RTP 65534, 65535, 0, 1 of one source, of which the first
/// and the third are here, and the same RTCP compound twice.
#[test]
fn sealed_packets_equal_those_of_libsrtp_over_a_rollover_and_in_rtcp() {
    let vectors = [
        (
            Suite::AES_CM_128_HMAC_SHA1_80,
            "8000fffe009ffec0cafebabef5ca023e76670b1ae23a7196285f01090d4c229b814a22721a7ca333c3e2",
            "8000000000000000cafebabee8cfa2bbb8be107d193d29be69340fa25b117f851a65dd9c23e7067efdb0",
            "80c90001cafebabeb6815f7e468d0e79e45dd892967e5aa78000000176f860cbef968494398a",
            "80c90001cafebabe039e9d34df621772a5c3a5aba209fb18800000026d5df87c98a89269d4a5",
        ),
        (
            Suite::AES_CM_128_HMAC_SHA1_32,
            "8000fffe009ffec0cafebabef5ca023e76670b1ae23a7196285f01090d4c229b814a2272",
            "8000000000000000cafebabee8cfa2bbb8be107d193d29be69340fa25b117f851a65dd9c",
            "80c90001cafebabeb6815f7e468d0e79e45dd892967e5aa78000000176f860cbef968494398a",
            "80c90001cafebabe039e9d34df621772a5c3a5aba209fb18800000026d5df87c98a89269d4a5",
        ),
        (
            Suite::AEAD_AES_128_GCM,
            "8000fffe009ffec0cafebabee5b7a008b810ceee7c919205aa1db6bfb5f06ba3ebc0567214d19664f44affff43f3f44f",
            "8000000000000000cafebabe4836f077d847b5d94f5b473abe6e98612a3bd075b21b4225e1c00c23ba86b6c0bc18577f",
            "80c90001cafebabe64b28557b7abad63f712ca25901affee081bd59a41a54756ed179c18f7ccd34080000001",
            "80c90001cafebabe8af895fc4441c44aa76d0c4c1567d9a77054964a28e81e47dba0b74f737a9dc980000002",
        ),
        (
            Suite::AEAD_AES_256_GCM,
            "8000fffe009ffec0cafebabefd8ccf5cf75370203e77bd41bb6413842e1f4a398e0bcec8d1af426dd2d9ceffbc203152",
            "8000000000000000cafebabe98e1672d5f2e8ace0bef1d241be075a2848f4f5e9b108c7ae4ad1196525f42a4991167e1",
            "80c90001cafebabe85ba4226db3793315c4acfbedd75e35d40e001d53b285cdd1e75880ac15aff2080000001",
            "80c90001cafebabe0de4ffb2135fa2b1269ae77b2177d14b6a0759345cb32d23c8af3a4c160c3cb580000002",
        ),
    ];
    let report = hex("80c90001cafebabe81ca0003cafebabe0103616263000000");
    for (suite, first, rolled_over, report_one, report_two) in vectors {
        let bytes: Vec<u8> = (0..suite.key_bytes() + suite.salt_bytes()).map(|n| (7 * n + 3) as u8).collect();
        let master = MasterKey::new(suite, &bytes).unwrap();
        let (mut sealer, mut opener) = (Sealer::new(master.clone()).unwrap(), Opener::new(master, 0).unwrap());
        let payload: Vec<u8> = (0..20).collect();
        let plain: Vec<_> = [65_534, 65_535, 0, 1].into_iter().map(|n| packet(n, &payload)).collect();
        let sealed: Vec<_> = plain.iter().map(|plain| seal(&mut sealer, plain).unwrap()).collect();
        assert_eq!((&sealed[0], &sealed[2]), (&hex(first), &hex(rolled_over)), "{suite:?}");
        for (sealed, plain) in sealed.iter().zip(&plain) {
            assert_eq!(open(&mut opener, sealed).as_ref(), Ok(plain));
        }
        for expected in [report_one, report_two] {
            let mut buffer = report.clone();
            buffer.resize(report.len() + OVERHEAD_BYTES_MAX, 0);
            let length = sealer.protect_rtcp(&mut buffer, report.len()).unwrap();
            assert_eq!(buffer[..length], hex(expected), "{suite:?}");
            assert_eq!(opener.unprotect_rtcp(&mut buffer[..length]), Ok(report.len()));
        }
    }
}

#[test]
fn every_suite_opens_what_it_sealed_with_extension_and_csrc_left_readable() {
    for suite in Suite::ALL {
        let (mut sealer, mut opener) = pair(suite);
        let plain = hex("92 00 0001 00000002 00000003 00000004 00000005 bede0001 10ff0000 616263");
        let sealed = seal(&mut sealer, &plain).unwrap();
        assert_eq!(sealed.len(), plain.len() + suite.rtp_tag_bytes());
        assert_eq!(sealed[..28], plain[..28]);
        assert_ne!(sealed[28..31], plain[28..]);
        assert_eq!(open(&mut opener, &sealed).unwrap(), plain, "{suite:?}");
    }
}

#[test]
fn rfc3711_3_4_srtcp_opens_what_it_sealed_once() {
    for suite in Suite::ALL {
        let (mut sealer, mut opener) = pair(suite);
        for round in 1..=3u32 {
            let mut plain = vec![];
            rtcp::write_receiver_report(&mut plain, 7, &[]);
            rtcp::write_cname(&mut plain, 7, b"someone");
            let mut buffer = plain.clone();
            buffer.resize(plain.len() + OVERHEAD_BYTES_MAX, 0);
            let length = sealer.protect_rtcp(&mut buffer, plain.len()).unwrap();
            assert_eq!(length, plain.len() + suite.rtcp_tag_bytes() + 4);
            let (mut first, mut second) = (buffer[..length].to_vec(), buffer[..length].to_vec());
            let opened = opener.unprotect_rtcp(&mut first).unwrap();
            assert_eq!(first[..opened], plain, "{suite:?} {round}");
            assert_eq!(opener.unprotect_rtcp(&mut second), Err(RtpError::Replayed));
        }
    }
}

#[test]
fn a_forged_or_cut_packet_is_refused_and_leaves_no_trace() {
    for suite in Suite::ALL {
        let (mut sealer, mut opener) = pair(suite);
        let plain = packet(1, &[0x55; 20]);
        let sealed = seal(&mut sealer, &plain).unwrap();
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut forged = sealed.clone();
                forged[at] ^= 1 << bit;
                assert!(open(&mut opener, &forged).is_err(), "{suite:?} byte {at} bit {bit}");
            }
            assert!(open(&mut opener, &sealed[..at]).is_err(), "{suite:?} cut at {at}");
        }
        assert_eq!(open(&mut opener, &sealed).unwrap(), plain, "{suite:?}");
        assert_eq!(open(&mut opener, &sealed), Err(RtpError::Replayed), "{suite:?}");
    }
}

#[test]
fn rfc3711_3_3_1_the_rollover_counter_is_kept_per_source() {
    for suite in [Suite::AES_CM_128_HMAC_SHA1_80, Suite::AEAD_AES_128_GCM] {
        let (mut sealer, mut opener) = pair(suite);
        for n in 0..140_000u32 {
            let plain = packet((n + 40_000) as u16, &n.to_be_bytes());
            assert_eq!(open(&mut opener, &seal(&mut sealer, &plain).unwrap()).unwrap(), plain, "{n}");
        }
    }
}

#[test]
fn a_sender_never_uses_an_index_twice() {
    let (mut sealer, _) = pair(Suite::AEAD_AES_128_GCM);
    seal(&mut sealer, &packet(500, b"a")).unwrap();
    assert_eq!(seal(&mut sealer, &packet(500, b"b")), Err(RtpError::Replayed));
    assert!(seal(&mut sealer, &packet(499, b"late")).is_ok());
    assert_eq!(seal(&mut sealer, &packet(100, b"much too late")), Err(RtpError::Replayed));
}

#[test]
fn sources_are_bounded() {
    let (mut sealer, mut opener) = pair(Suite::AES_CM_128_HMAC_SHA1_80);
    let (mut other, _) = pair(Suite::AES_CM_128_HMAC_SHA1_80);
    for ssrc in 0..=SOURCES_MAX as u32 {
        let mut plain = packet(1, b"x");
        crate::header::set_ssrc(&mut plain, ssrc);
        let sealed = seal(&mut sealer, &plain);
        assert_eq!(sealed.is_ok(), ssrc < SOURCES_MAX as u32);
        let sealed = sealed.or_else(|_| {
            other = Sealer::new(key(Suite::AES_CM_128_HMAC_SHA1_80))?;
            seal(&mut other, &plain)
        });
        assert!(open(&mut opener, &sealed.unwrap()).is_ok(), "a receiver forgets the oldest");
    }
}

#[test]
fn rfc3711_3_1_a_key_identifier_is_skipped() {
    for suite in [Suite::AES_CM_128_HMAC_SHA1_32, Suite::AEAD_AES_256_GCM] {
        let mut sealer = Sealer::new(key(suite)).unwrap();
        let mut opener = Opener::new(key(suite), 4).unwrap();
        let plain = packet(9, b"payload");
        let mut sealed = seal(&mut sealer, &plain).unwrap();
        let at = if suite.is_aead() { sealed.len() } else { sealed.len() - suite.rtp_tag_bytes() };
        sealed.splice(at..at, [0, 0, 0, 1]);
        assert_eq!(open(&mut opener, &sealed).unwrap(), plain, "{suite:?}");
    }
    assert!(Opener::new(key(Suite::AEAD_AES_128_GCM), 17).is_err());
}

#[test]
fn keys_have_the_length_of_their_suite_and_are_not_printed() {
    assert_eq!(
        MasterKey::new(Suite::AES_CM_128_HMAC_SHA1_80, &[0; 28]),
        Err(RtpError::KeyLength { got: 28, needed: 30 })
    );
    assert_eq!(MasterKey::new(Suite::AEAD_AES_256_GCM, &[0; 44]).map(|k| k.expose().len()), Ok(44));
    assert_eq!(format!("{:?}", key(Suite::AEAD_AES_256_GCM)), "MasterKey(AEAD_AES_256_GCM, <secret>)");
}

proptest! {
    /// A run cut anywhere goes on from its snapshots as if nothing had happened.
    #[test]
    fn a_restored_context_behaves_the_same(cut in 0usize..60, suite in 0usize..8, start in any::<u16>(), steps in proptest::collection::vec(0u16..200, 60)) {
        let suite = Suite::ALL[suite];
        let (mut sealer, mut opener) = pair(suite);
        let (mut sealer2, mut opener2) = pair(suite);
        let mut sequence = start;
        for (n, step) in steps.into_iter().enumerate() {
            if n == cut {
                let through_json = |s: &Snapshot| serde_json::from_str(&serde_json::to_string(s).unwrap()).unwrap();
                sealer2 = Sealer::restore(&through_json(&sealer2.snapshot())).unwrap();
                opener2 = Opener::restore(&through_json(&opener2.snapshot())).unwrap();
            }
            sequence = sequence.wrapping_add(step).wrapping_sub(20);
            let plain = packet(sequence, &step.to_be_bytes());
            let (one, two) = (seal(&mut sealer, &plain), seal(&mut sealer2, &plain));
            prop_assert_eq!(&one, &two);
            if let Ok(sealed) = one {
                prop_assert_eq!(open(&mut opener, &sealed), open(&mut opener2, &sealed));
            }
        }
    }

    /// Whatever comes in, nothing panics.
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120), suite in 0usize..8, mki in 0usize..=16) {
        let suite = Suite::ALL[suite];
        let mut opener = Opener::new(key(suite), mki).unwrap();
        let _ = opener.unprotect_rtp(&mut bytes.clone());
        let _ = opener.unprotect_rtcp(&mut bytes.clone());
        let _ = seal(&mut pair(suite).0, &bytes);
    }
}
