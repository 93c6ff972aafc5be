//! `command_status`: the names of SMPP 3.4 §5.1.3 (and the additions of 5.0), and what a sender should do about each.
//!
//! Carriers use codes of their own from 0x400 on; those pass through unnamed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A `command_status`; any 32-bit value may come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommandStatus(pub u32);

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $code:literal),+ $(,)?) => {
        impl CommandStatus {
            $($(#[$doc])* pub const $name: Self = Self($code);)+

            /// The name in the specification; none for a carrier's own code.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 { $($code => Some(stringify!($name)),)+ _ => None }
            }
        }
    };
}
statuses! {
    /// No error.
    ESME_ROK = 0x00,
    /// Message too long.
    ESME_RINVMSGLEN = 0x01,
    /// Command length is invalid.
    ESME_RINVCMDLEN = 0x02,
    /// Invalid command id.
    ESME_RINVCMDID = 0x03,
    /// Wrong bind state for this command.
    ESME_RINVBNDSTS = 0x04,
    /// Already bound.
    ESME_RALYBND = 0x05,
    /// Invalid priority flag.
    ESME_RINVPRTFLG = 0x06,
    /// Invalid registered_delivery flag.
    ESME_RINVREGDLVFLG = 0x07,
    /// System error.
    ESME_RSYSERR = 0x08,
    /// Invalid source address.
    ESME_RINVSRCADR = 0x0a,
    /// Invalid destination address.
    ESME_RINVDSTADR = 0x0b,
    /// Message id is invalid.
    ESME_RINVMSGID = 0x0c,
    /// Bind failed.
    ESME_RBINDFAIL = 0x0d,
    /// Invalid password.
    ESME_RINVPASWD = 0x0e,
    /// Invalid system id.
    ESME_RINVSYSID = 0x0f,
    /// cancel_sm failed.
    ESME_RCANCELFAIL = 0x11,
    /// replace_sm failed.
    ESME_RREPLACEFAIL = 0x13,
    /// Message queue full.
    ESME_RMSGQFUL = 0x14,
    /// Invalid service type.
    ESME_RINVSERTYP = 0x15,
    /// Invalid number of destinations.
    ESME_RINVNUMDESTS = 0x33,
    /// Invalid distribution list name.
    ESME_RINVDLNAME = 0x34,
    /// Invalid destination flag.
    ESME_RINVDESTFLAG = 0x40,
    /// Invalid "submit with replace".
    ESME_RINVSUBREP = 0x42,
    /// Invalid esm_class.
    ESME_RINVESMCLASS = 0x43,
    /// Cannot submit to the distribution list.
    ESME_RCNTSUBDL = 0x44,
    /// submit_sm or submit_multi failed.
    ESME_RSUBMITFAIL = 0x45,
    /// Invalid source TON.
    ESME_RINVSRCTON = 0x48,
    /// Invalid source NPI.
    ESME_RINVSRCNPI = 0x49,
    /// Invalid destination TON.
    ESME_RINVDSTTON = 0x50,
    /// Invalid destination NPI.
    ESME_RINVDSTNPI = 0x51,
    /// Invalid system type.
    ESME_RINVSYSTYP = 0x53,
    /// Invalid replace_if_present flag.
    ESME_RINVREPFLAG = 0x54,
    /// Invalid number of messages.
    ESME_RINVNUMMSGS = 0x55,
    /// Over the allowed rate.
    ESME_RTHROTTLED = 0x58,
    /// Invalid scheduled delivery time.
    ESME_RINVSCHED = 0x61,
    /// Invalid validity period.
    ESME_RINVEXPIRY = 0x62,
    /// Predefined message invalid or not found.
    ESME_RINVDFTMSGID = 0x63,
    /// The receiver has a temporary error.
    ESME_RX_T_APPN = 0x64,
    /// The receiver has a permanent error.
    ESME_RX_P_APPN = 0x65,
    /// The receiver rejects the message.
    ESME_RX_R_APPN = 0x66,
    /// query_sm failed.
    ESME_RQUERYFAIL = 0x67,
    /// Error in the optional part of the PDU.
    ESME_RINVOPTPARSTREAM = 0xc0,
    /// Optional parameter not allowed.
    ESME_ROPTPARNOTALLWD = 0xc1,
    /// Invalid parameter length.
    ESME_RINVPARLEN = 0xc2,
    /// Expected optional parameter missing.
    ESME_RMISSINGOPTPARAM = 0xc3,
    /// Invalid value of an optional parameter.
    ESME_RINVOPTPARAMVAL = 0xc4,
    /// Delivery failure, used in data_sm_resp.
    ESME_RDELIVERYFAILURE = 0xfe,
    /// Unknown error.
    ESME_RUNKNOWNERR = 0xff,
    /// Not authorised for this service type (5.0).
    ESME_RSERTYPUNAUTH = 0x100,
    /// Prohibited operation (5.0).
    ESME_RPROHIBITED = 0x101,
    /// Service type unavailable (5.0).
    ESME_RSERTYPUNAVAIL = 0x102,
    /// Service type denied (5.0).
    ESME_RSERTYPDENIED = 0x103,
}

/// What a sender should do about a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusClass {
    /// Taken.
    Accepted,
    /// We are too fast or the peer's queue is full: pause, then the same again.
    Throttled,
    /// The peer's own trouble: the same again later, or by another carrier.
    Temporary,
    /// The link is not in the right state: the same again when it is bound anew.
    Link,
    /// This message will never pass here.
    Permanent,
}

impl CommandStatus {
    /// What to do about it. Codes of the carrier's own count as permanent.
    pub const fn class(self) -> StatusClass {
        match self {
            Self::ESME_ROK => StatusClass::Accepted,
            Self::ESME_RTHROTTLED | Self::ESME_RMSGQFUL => StatusClass::Throttled,
            Self::ESME_RSYSERR | Self::ESME_RX_T_APPN | Self::ESME_RUNKNOWNERR | Self::ESME_RSERTYPUNAVAIL => {
                StatusClass::Temporary
            }
            Self::ESME_RINVBNDSTS | Self::ESME_RALYBND | Self::ESME_RBINDFAIL => StatusClass::Link,
            _ => StatusClass::Permanent,
        }
    }

    /// Whether it is ESME_ROK.
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for CommandStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "0x{:08x}", self.0),
        }
    }
}
impl fmt::Debug for CommandStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_its_name_and_a_carriers_own_code_prints_as_hex() {
        assert_eq!(CommandStatus(0x58).to_string(), "ESME_RTHROTTLED");
        assert_eq!(CommandStatus(0x0401).to_string(), "0x00000401");
        assert_eq!(CommandStatus::ESME_RMSGQFUL.class(), StatusClass::Throttled);
        assert_eq!(CommandStatus(0x0401).class(), StatusClass::Permanent);
    }
}
