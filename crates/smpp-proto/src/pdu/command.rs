//! `command_id` (SMPP 3.4 §5.1.2.1).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A `command_id`; any 32-bit value may come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommandId(pub u32);

macro_rules! commands {
    ($($name:ident = $code:literal $text:literal),+ $(,)?) => {
        impl CommandId {
            $(#[doc = $text] pub const $name: Self = Self($code);)+

            /// The name in the specification.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 { $($code => Some($text),)+ _ => None }
            }
        }
    };
}
commands! {
    GENERIC_NACK = 0x8000_0000 "generic_nack",
    BIND_RECEIVER = 0x01 "bind_receiver",
    BIND_RECEIVER_RESP = 0x8000_0001 "bind_receiver_resp",
    BIND_TRANSMITTER = 0x02 "bind_transmitter",
    BIND_TRANSMITTER_RESP = 0x8000_0002 "bind_transmitter_resp",
    QUERY_SM = 0x03 "query_sm",
    QUERY_SM_RESP = 0x8000_0003 "query_sm_resp",
    SUBMIT_SM = 0x04 "submit_sm",
    SUBMIT_SM_RESP = 0x8000_0004 "submit_sm_resp",
    DELIVER_SM = 0x05 "deliver_sm",
    DELIVER_SM_RESP = 0x8000_0005 "deliver_sm_resp",
    UNBIND = 0x06 "unbind",
    UNBIND_RESP = 0x8000_0006 "unbind_resp",
    REPLACE_SM = 0x07 "replace_sm",
    REPLACE_SM_RESP = 0x8000_0007 "replace_sm_resp",
    CANCEL_SM = 0x08 "cancel_sm",
    CANCEL_SM_RESP = 0x8000_0008 "cancel_sm_resp",
    BIND_TRANSCEIVER = 0x09 "bind_transceiver",
    BIND_TRANSCEIVER_RESP = 0x8000_0009 "bind_transceiver_resp",
    OUTBIND = 0x0b "outbind",
    ENQUIRE_LINK = 0x15 "enquire_link",
    ENQUIRE_LINK_RESP = 0x8000_0015 "enquire_link_resp",
    SUBMIT_MULTI = 0x21 "submit_multi",
    SUBMIT_MULTI_RESP = 0x8000_0021 "submit_multi_resp",
    ALERT_NOTIFICATION = 0x102 "alert_notification",
    DATA_SM = 0x103 "data_sm",
    DATA_SM_RESP = 0x8000_0103 "data_sm_resp",
}

impl CommandId {
    /// Whether the top bit says response; generic_nack is one.
    pub const fn is_response(self) -> bool {
        self.0 & 0x8000_0000 != 0
    }

    /// The response that belongs to this request.
    #[must_use]
    pub const fn response(self) -> Self {
        Self(self.0 | 0x8000_0000)
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "0x{:08x}", self.0),
        }
    }
}
impl fmt::Debug for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
