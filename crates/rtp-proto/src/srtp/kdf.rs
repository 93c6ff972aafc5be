//! Session keys from a master key (RFC 3711 §4.3 with key derivation rate 0; RFC 6188 §3; RFC 7714 §11).

use zeroize::Zeroizing;

use super::MasterKey;
use super::cipher::{Aes, xor_key_stream};

/// What a session key is for (RFC 3711 §4.3.1).
#[derive(Debug, Clone, Copy)]
pub(super) enum Label {
    RtpCipher = 0,
    RtpAuthentication = 1,
    RtpSalt = 2,
    RtcpCipher = 3,
    RtcpAuthentication = 4,
    RtcpSalt = 5,
}

/// The first `N` bytes of the session key for `label`; AES in counter mode, keyed by the master key, whatever the suite.
pub(super) fn derive<const N: usize>(master: &MasterKey, label: Label) -> Zeroizing<[u8; N]> {
    let mut out = Zeroizing::new([0; N]);
    // A 96-bit salt is padded on the right to the 112 bits of the function (RFC 7714 §11).
    let mut start = [0u8; 16];
    start[..master.salt().len()].copy_from_slice(master.salt());
    start[7] ^= label as u8;
    xor_key_stream(&Aes::new(master.key()), start, out.as_mut());
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::srtp::Suite;
    use crate::srtp::tests::hex;

    #[test]
    fn rfc3711_b3_key_derivation() {
        let master = hex("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6");
        let master = MasterKey::new(Suite::AES_CM_128_HMAC_SHA1_80, &master).unwrap();
        assert_eq!(derive::<16>(&master, Label::RtpCipher).to_vec(), hex("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(derive::<14>(&master, Label::RtpSalt).to_vec(), hex("30CBBC08863D8C85D49DB34A9AE1"));
        let auth = derive::<94>(&master, Label::RtpAuthentication);
        assert_eq!(auth[..32], hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCE"));
        assert_eq!(auth[32..64], hex("E049646C43D9327AD175578EF72270986371C10C9A369AC2F94A8C5FBCDDDC25"));
    }

    #[test]
    fn rfc6188_7_2_key_derivation_with_aes_256() {
        let master =
            hex("f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6 3b04803de51ee7c96423ab5b78d2");
        let master = MasterKey::new(Suite::AES_256_CM_HMAC_SHA1_80, &master).unwrap();
        let cipher = hex("5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4");
        assert_eq!(derive::<32>(&master, Label::RtpCipher).to_vec(), cipher);
        assert_eq!(derive::<14>(&master, Label::RtpSalt).to_vec(), hex("fa31791685ca444a9e07c6c64e93"));
        assert_eq!(
            derive::<20>(&master, Label::RtpAuthentication).to_vec(),
            hex("fd9c32d39ed5fbb5a9dc96b30818454d1313dc05")
        );
    }
}
