//! Keeping secrets out of what settings print.

use base::Secret;
use serde::Serializer;

/// What stands for a secret that is set.
const MASK: &str = "<secret>";

/// Serialises a secret as `""` when empty, else as a mask; for `#[serde(serialize_with = "settings::redacted")]`.
pub fn redacted<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(if secret.is_empty() { "" } else { MASK })
}

/// Whether a key's value must not be repeated in an error.
pub(crate) fn is_secret_key(key: &str) -> bool {
    ["secret", "password", "passphrase", "token", "private", "credential", "url"].iter().any(|word| key.contains(word))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_secret_is_written_as_a_mask() {
        #[derive(serde::Serialize)]
        struct Holder(#[serde(serialize_with = "redacted")] Secret);
        assert_eq!(toml::Value::try_from(Holder(Secret::new("hush"))).unwrap().as_str(), Some(MASK));
        assert_eq!(toml::Value::try_from(Holder(Secret::default())).unwrap().as_str(), Some(""));
    }
}
