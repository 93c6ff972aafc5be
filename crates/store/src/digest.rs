//! Digest verifiers `H(username:realm:password)` (RFC 7616 §3.4.2): what is kept instead of a device's password.

use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, SHA512_256, digest};
use base::Secret;
use domain::account::Verifiers;
use md5::{Digest, Md5};

use crate::error::{Error, Result};

/// The verifiers of a password, for every algorithm.
pub fn verifiers(username: &str, realm: &str, password: &Secret) -> Verifiers {
    let text = Secret::new(format!("{username}:{realm}:{}", password.expose()));
    let bytes = text.expose().as_bytes();
    Verifiers {
        md5: Some(hexadecimal(&Md5::digest(bytes))),
        sha256: Some(hexadecimal(digest(&SHA256, bytes).as_ref())),
        sha512_256: Some(hexadecimal(digest(&SHA512_256, bytes).as_ref())),
    }
}

/// Verifiers as somebody gave them: at least one, each of the right length, in lower case.
pub(crate) fn checked(given: &Verifiers) -> Result<Verifiers> {
    let one = |what, value: &Option<String>, digits: usize| match value {
        None => Ok(None),
        Some(v) if v.len() == digits && v.bytes().all(|b| b.is_ascii_hexdigit()) => Ok(Some(v.to_ascii_lowercase())),
        Some(_) => Err(Error::malformed(what, format!("not {digits} hexadecimal digits"))),
    };
    let checked = Verifiers {
        md5: one("ha1_md5", &given.md5, 32)?,
        sha256: one("ha1_sha256", &given.sha256, 64)?,
        sha512_256: one("ha1_sha512_256", &given.sha512_256, 64)?,
    };
    if checked == Verifiers::default() {
        return Err(Error::malformed("password", "neither a password nor a verifier"));
    }
    Ok(checked)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a string cannot fail.
        _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The A1 of the examples in RFC 7616 §3.9.1 (user Mufasa) hashed with other tools.
    #[test]
    fn rfc7616_3_9_1_verifiers_are_those_of_the_example() {
        let v = verifiers("Mufasa", "http-auth@example.org", &Secret::new("Circle of Life"));
        assert_eq!(v.md5.as_deref(), Some("3d78807defe7de2157e2b0b6573a855f"));
        assert_eq!(v.sha256.as_deref(), Some("7987c64c30e25f1b74be53f966b49b90f2808aa92faf9a00262392d7b4794232"));
        assert_eq!(v.sha512_256.as_deref(), Some("fb174f5c3c7802721517cae13b98e2b8dae2e0118cb705d94ee29946319204ce"));
    }

    #[test]
    fn verifiers_of_the_wrong_length_are_refused() {
        let given = Verifiers { md5: Some("AB".repeat(16)), ..Verifiers::default() };
        assert_eq!(checked(&given).map(|v| v.md5), Ok(Some("ab".repeat(16))));
        assert!(checked(&Verifiers { sha256: Some("ab".repeat(16)), ..given }).is_err());
        assert!(checked(&Verifiers::default()).is_err());
    }
}
