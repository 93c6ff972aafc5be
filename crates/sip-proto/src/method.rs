//! Methods: those with a name of their own here, and any other token (RFC 3261 §7.1).

use std::fmt;

use crate::scan::is_token;

/// Longest method that is not one of the known ones, bytes. Registered methods have at most 9; 47 keeps the type small.
pub const METHOD_BYTES_MAX: usize = 47;

/// A method. Case matters: `invite` is another method than `INVITE`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// RFC 3261 §13.
    Invite,
    /// RFC 3261 §13, §17.
    Ack,
    /// RFC 3261 §15.
    Bye,
    /// RFC 3261 §9.
    Cancel,
    /// RFC 3261 §10.
    Register,
    /// RFC 3261 §11.
    Options,
    /// RFC 3262.
    Prack,
    /// RFC 6665.
    Subscribe,
    /// RFC 6665.
    Notify,
    /// RFC 3903.
    Publish,
    /// RFC 6086.
    Info,
    /// RFC 3515.
    Refer,
    /// RFC 3428.
    Message,
    /// RFC 3311.
    Update,
    /// Any other token.
    Other(OtherMethod),
}

/// A method without a name of its own here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OtherMethod {
    length: u8,
    bytes: [u8; METHOD_BYTES_MAX],
}

impl Method {
    /// The method named by `text`; nothing when it is not a token or longer than [`METHOD_BYTES_MAX`].
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "INVITE" => Self::Invite,
            "ACK" => Self::Ack,
            "BYE" => Self::Bye,
            "CANCEL" => Self::Cancel,
            "REGISTER" => Self::Register,
            "OPTIONS" => Self::Options,
            "PRACK" => Self::Prack,
            "SUBSCRIBE" => Self::Subscribe,
            "NOTIFY" => Self::Notify,
            "PUBLISH" => Self::Publish,
            "INFO" => Self::Info,
            "REFER" => Self::Refer,
            "MESSAGE" => Self::Message,
            "UPDATE" => Self::Update,
            other if is_token(other) && other.len() <= METHOD_BYTES_MAX => {
                let mut bytes = [0; METHOD_BYTES_MAX];
                bytes[..other.len()].copy_from_slice(other.as_bytes());
                Self::Other(OtherMethod { length: other.len() as u8, bytes })
            }
            _ => return None,
        })
    }

    /// The method as it stands on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Invite => "INVITE",
            Self::Ack => "ACK",
            Self::Bye => "BYE",
            Self::Cancel => "CANCEL",
            Self::Register => "REGISTER",
            Self::Options => "OPTIONS",
            Self::Prack => "PRACK",
            Self::Subscribe => "SUBSCRIBE",
            Self::Notify => "NOTIFY",
            Self::Publish => "PUBLISH",
            Self::Info => "INFO",
            Self::Refer => "REFER",
            Self::Message => "MESSAGE",
            Self::Update => "UPDATE",
            Self::Other(other) => std::str::from_utf8(other.bytes.get(..usize::from(other.length)).unwrap_or_default())
                .unwrap_or_default(),
        }
    }

    /// Whether a request of this method in a dialog moves the remote target (RFC 3261 §12.2, RFC 3311, RFC 6665, RFC 3515).
    pub const fn refreshes_target(&self) -> bool {
        matches!(self, Self::Invite | Self::Update | Self::Subscribe | Self::Notify | Self::Refer)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_case_sensitive_tokens() {
        assert_eq!(Method::parse("INVITE"), Some(Method::Invite));
        let other = Method::parse("invite").expect("a token");
        assert!(other != Method::Invite && other.as_str() == "invite");
        for bad in ["", "IN VITE", "a/b", &"M".repeat(METHOD_BYTES_MAX + 1)] {
            assert_eq!(Method::parse(bad), None, "{bad}");
        }
    }
}
