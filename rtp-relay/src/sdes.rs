//! SDES keys of one medium of one leg (RFC 4568): what we offer, what we take, and when a key stays the same, so that its roll-over
//! counters live on through a re-offer (§7.1.4).

use base::Random;
use rtp_proto::Suite;
use rtp_proto::srtp::MasterKey;
use sdp_proto::{CryptoAttribute, CryptoSuite};

/// The algorithms behind a name.
pub(crate) const fn suite_of(name: CryptoSuite) -> Suite {
    match name {
        CryptoSuite::AES_CM_128_HMAC_SHA1_80 => Suite::AES_CM_128_HMAC_SHA1_80,
        CryptoSuite::AES_CM_128_HMAC_SHA1_32 => Suite::AES_CM_128_HMAC_SHA1_32,
        CryptoSuite::AES_192_CM_HMAC_SHA1_80 => Suite::AES_192_CM_HMAC_SHA1_80,
        CryptoSuite::AES_192_CM_HMAC_SHA1_32 => Suite::AES_192_CM_HMAC_SHA1_32,
        CryptoSuite::AES_256_CM_HMAC_SHA1_80 => Suite::AES_256_CM_HMAC_SHA1_80,
        CryptoSuite::AES_256_CM_HMAC_SHA1_32 => Suite::AES_256_CM_HMAC_SHA1_32,
        CryptoSuite::AEAD_AES_128_GCM => Suite::AEAD_AES_128_GCM,
        CryptoSuite::AEAD_AES_256_GCM => Suite::AEAD_AES_256_GCM,
    }
}

/// The name of algorithms.
const fn name_of(suite: Suite) -> CryptoSuite {
    match suite {
        Suite::AES_CM_128_HMAC_SHA1_80 => CryptoSuite::AES_CM_128_HMAC_SHA1_80,
        Suite::AES_CM_128_HMAC_SHA1_32 => CryptoSuite::AES_CM_128_HMAC_SHA1_32,
        Suite::AES_192_CM_HMAC_SHA1_80 => CryptoSuite::AES_192_CM_HMAC_SHA1_80,
        Suite::AES_192_CM_HMAC_SHA1_32 => CryptoSuite::AES_192_CM_HMAC_SHA1_32,
        Suite::AES_256_CM_HMAC_SHA1_80 => CryptoSuite::AES_256_CM_HMAC_SHA1_80,
        Suite::AES_256_CM_HMAC_SHA1_32 => CryptoSuite::AES_256_CM_HMAC_SHA1_32,
        Suite::AEAD_AES_128_GCM => CryptoSuite::AEAD_AES_128_GCM,
        Suite::AEAD_AES_256_GCM => CryptoSuite::AEAD_AES_256_GCM,
    }
}

/// The keys in use in the two directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    /// The peer's.
    pub(crate) opening: MasterKey,
    /// Bytes of key identifier in its packets.
    pub(crate) mki_bytes: usize,
    /// Ours.
    pub(crate) sealing: MasterKey,
}

/// The keys that we have named on this leg, one per suite.
#[derive(Debug, Default)]
pub(crate) struct OwnKeys(Vec<MasterKey>);

impl OwnKeys {
    fn of(&mut self, suite: Suite, random: &mut Random) -> &MasterKey {
        let known = self.0.iter().position(|key| key.suite() == suite);
        let place = known.unwrap_or_else(|| {
            self.0.push(MasterKey::generate(suite, random));
            self.0.len() - 1
        });
        &self.0[place]
    }

    /// Never uses a key again: its counters are about to be lost, and the key stream would repeat.
    pub(crate) fn forget(&mut self, key: &MasterKey) {
        self.0.retain(|own| own != key);
    }

    /// The lines of an offer of ours: the tag is the place in `suites`, from 1.
    pub(crate) fn offer(&mut self, suites: &[Suite], random: &mut Random) -> Vec<CryptoAttribute> {
        let line = |(n, suite): (usize, &Suite)| line(n as u32 + 1, self.of(*suite, random));
        suites.iter().enumerate().map(line).collect()
    }

    /// What an answer to that offer means; it must repeat tag and suite of a line (RFC 4568 §5.1.3).
    pub(crate) fn accept(&mut self, suites: &[Suite], answer: &[CryptoAttribute], random: &mut Random) -> Option<Keys> {
        let [chosen] = answer else { return None };
        let suite = *suites.get(usize::try_from(chosen.tag).ok()?.checked_sub(1)?)?;
        (suite_of(chosen.suite) == suite).then_some(())?;
        self.keys(chosen, random)
    }

    /// Our answer to an offer: its first line that we can do, our line with the same tag, and what that means.
    pub(crate) fn answer(
        &mut self,
        suites: &[Suite],
        offer: &[CryptoAttribute],
        random: &mut Random,
    ) -> Option<(CryptoAttribute, Keys)> {
        let chosen = offer.iter().find(|line| suites.contains(&suite_of(line.suite)))?;
        let keys = self.keys(chosen, random)?;
        Some((line(chosen.tag, &keys.sealing), keys))
    }

    fn keys(&mut self, theirs: &CryptoAttribute, random: &mut Random) -> Option<Keys> {
        let suite = suite_of(theirs.suite);
        let opening = MasterKey::new(suite, &theirs.key_and_salt).ok()?;
        let sealing = self.of(suite, random).clone();
        // The same key in both directions would use one key stream twice.
        (opening != sealing).then_some(Keys {
            opening,
            mki_bytes: theirs.mki.map_or(0, |mki| usize::from(mki.bytes)),
            sealing,
        })
    }
}

fn line(tag: u32, key: &MasterKey) -> CryptoAttribute {
    let key_and_salt = key.expose().to_vec();
    CryptoAttribute { tag, suite: name_of(key.suite()), key_and_salt, lifetime_packets: None, mki: None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_and_suites_match() {
        for name in CryptoSuite::ALL {
            assert_eq!(name_of(suite_of(name)), name);
            assert_eq!(name.key_and_salt_bytes(), suite_of(name).key_bytes() + suite_of(name).salt_bytes());
        }
    }

    #[test]
    fn rfc4568_5_1_offer_and_answer_end_with_each_others_keys() {
        let (mut random, suites) = (Random::from_seed(1), [Suite::AEAD_AES_128_GCM, Suite::AES_CM_128_HMAC_SHA1_80]);
        let (mut a, mut b) = (OwnKeys::default(), OwnKeys::default());
        let offer = a.offer(&suites, &mut random);
        let (line, b_keys) = b.answer(&suites[1..], &offer, &mut random).unwrap();
        assert_eq!(line.tag, 2);
        let a_keys = a.accept(&suites, std::slice::from_ref(&line), &mut random).unwrap();
        assert_eq!((&a_keys.opening, &a_keys.sealing), (&b_keys.sealing, &b_keys.opening));
        assert_eq!(a.offer(&suites, &mut random), offer, "a re-offer names the same keys");
        let mut wrong_tag = line.clone();
        wrong_tag.tag = 1;
        assert!(a.accept(&suites, &[wrong_tag], &mut random).is_none());
        assert!(a.accept(&suites, &[offer[1].clone()], &mut random).is_none(), "our own key sent back");
        assert!(a.accept(&suites, &[line.clone(), line], &mut random).is_none());
    }
}
