//! The master key and what it seals: secrets that must be read back (carrier passwords, named secrets), AES-256-GCM.
//!
//! Passwords of people are not sealed but hashed (`password`), those of devices are kept as digest verifiers.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use base::{Random, Secret};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::error::{Error, Result};

/// Octets of the key.
const KEY_LEN: usize = 32;

/// The key that seals what is kept; made once, kept beside the database with permissions 0600.
pub struct MasterKey {
    aead: LessSafeKey,
    tags: hmac::Key,
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<master key>")
    }
}

impl MasterKey {
    /// The key with these octets.
    pub fn from_bytes(bytes: &[u8; KEY_LEN]) -> Result<Self> {
        let unusable = |_| Error::Unsupported("AES-256-GCM".into());
        let aead = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).map_err(unusable)?);
        // The tag key is derived, so that no octet string serves two purposes.
        let root = hmac::Key::new(hmac::HMAC_SHA256, bytes);
        let derived = hmac::sign(&root, b"tandem password tags");
        Ok(Self { aead, tags: hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()) })
    }

    /// Reads the key from `path`, or makes it when there is none and `database_exists` is false. A key that others may
    /// read, one of the wrong length, and a database without its key are refused: each message says what to do.
    pub fn load_or_create(path: &Path, database_exists: bool) -> Result<Self> {
        match fs::metadata(path) {
            Ok(found) => {
                if found.permissions().mode() & 0o077 != 0 {
                    let why = format!("{} may be read by others: chmod 600 it", path.display());
                    return Err(Error::malformed("master key", why));
                }
                let bytes = fs::read(path).map_err(|e| io_error(path, &e))?;
                let bytes: [u8; KEY_LEN] = bytes.as_slice().try_into().map_err(|_| {
                    Error::malformed("master key", format!("{} does not hold {KEY_LEN} octets", path.display()))
                })?;
                Self::from_bytes(&bytes)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound && database_exists => {
                let why = format!("{} is missing, and the database was made with one: restore it", path.display());
                Err(Error::malformed("master key", why))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Self::create(path),
            Err(e) => Err(io_error(path, &e)),
        }
    }

    fn create(path: &Path) -> Result<Self> {
        let mut bytes = [0u8; KEY_LEN];
        Random::from_entropy().fill(&mut bytes);
        let mut open = fs::OpenOptions::new();
        let mut file = open.write(true).create_new(true).mode(0o600).open(path).map_err(|e| io_error(path, &e))?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(|e| io_error(path, &e))?;
        Self::from_bytes(&bytes)
    }

    /// Seals `secret`, bound to `purpose` (where it is kept), as base64 text.
    pub fn seal(&self, purpose: &str, secret: &Secret) -> Result<String> {
        let mut nonce = [0u8; NONCE_LEN];
        Random::from_entropy().fill(&mut nonce);
        let mut sealed = secret.expose().as_bytes().to_vec();
        self.aead
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(purpose.as_bytes()), &mut sealed)
            .map_err(|_| Error::Unsupported("sealing failed".into()))?;
        Ok(BASE64.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// Opens what [`Self::seal`] made for the same purpose.
    pub fn open(&self, purpose: &str, sealed: &str) -> Result<Secret> {
        let bad = || Error::Misbehaved(format!("the sealed {purpose} does not open: is this the right master key?"));
        let mut bytes = BASE64.decode(sealed).map_err(|_| bad())?;
        if bytes.len() < NONCE_LEN {
            return Err(bad());
        }
        let (nonce, text) = bytes.split_at_mut(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| bad())?;
        let plain = self.aead.open_in_place(nonce, Aad::from(purpose.as_bytes()), text).map_err(|_| bad())?;
        Ok(Secret::new(std::str::from_utf8(plain).map_err(|_| bad())?))
    }

    /// A keyed tag of `text`: equal texts have equal tags, and without the key nothing can be told from it.
    pub(crate) fn tag(&self, text: &str) -> String {
        BASE64.encode(hmac::sign(&self.tags, text.as_bytes()))
    }
}

fn io_error(path: &Path, error: &io::Error) -> Error {
    Error::Unavailable(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_sealed_secret_opens_only_with_its_key_and_purpose() {
        let key = MasterKey::from_bytes(&[7; 32]).unwrap();
        let sealed = key.seal("carrier 1", &Secret::new("open sesame")).unwrap();
        assert!(!sealed.contains("sesame"));
        assert_eq!(key.open("carrier 1", &sealed).unwrap().expose(), "open sesame");
        assert!(key.open("carrier 2", &sealed).is_err());
        assert!(MasterKey::from_bytes(&[8; 32]).unwrap().open("carrier 1", &sealed).is_err());
        assert!(key.open("carrier 1", "AAAA").is_err() && key.open("carrier 1", "?").is_err());
        assert_ne!(sealed, key.seal("carrier 1", &Secret::new("open sesame")).unwrap());
    }

    #[test]
    fn a_key_is_made_once_and_a_lost_or_open_one_is_refused() {
        let folder = std::env::temp_dir().join(format!("tandem-key-{}", Random::from_entropy().token(12)));
        fs::create_dir(&folder).unwrap();
        let path = folder.join("master.key");
        assert!(MasterKey::load_or_create(&path, true).unwrap_err().to_string().contains("missing"));
        let made = MasterKey::load_or_create(&path, false).unwrap();
        let sealed = made.seal("x", &Secret::new("y")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(MasterKey::load_or_create(&path, true).unwrap().open("x", &sealed).unwrap().expose(), "y");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(MasterKey::load_or_create(&path, true).unwrap_err().to_string().contains("chmod 600"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, b"short").unwrap();
        assert!(MasterKey::load_or_create(&path, true).is_err());
        fs::remove_dir_all(&folder).unwrap();
    }
}
