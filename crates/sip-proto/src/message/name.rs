//! Header names: the registered ones that we treat by name, their compact forms, and a look-up that does not allocate.

/// Declares the names, their canonical spelling and their compact forms.
macro_rules! header_names {
    ($($(#[$doc:meta])* $variant:ident = $text:literal $(/ $compact:literal)?),+ $(,)?) => {
        /// A header that is known by name, or [`HeaderName::Other`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum HeaderName {
            $($(#[$doc])* #[doc = concat!("`", $text, "`.")] $variant,)+
            /// Any other; ask for it by its text.
            Other,
        }

        impl HeaderName {
            /// The canonical spelling; empty for [`HeaderName::Other`].
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ Self::Other => "" }
            }
        }

        const NAMES: &[(&str, HeaderName)] = &[
            $(($text, HeaderName::$variant), $(($compact, HeaderName::$variant),)?)+
        ];
    };
}

header_names! {
    Accept = "Accept",
    AcceptContact = "Accept-Contact" / "a",
    AcceptEncoding = "Accept-Encoding",
    AcceptLanguage = "Accept-Language",
    AlertInfo = "Alert-Info",
    Allow = "Allow",
    AllowEvents = "Allow-Events" / "u",
    AnswerMode = "Answer-Mode",
    AuthenticationInfo = "Authentication-Info",
    Authorization = "Authorization",
    CallId = "Call-ID" / "i",
    CallInfo = "Call-Info",
    Contact = "Contact" / "m",
    ContentDisposition = "Content-Disposition",
    ContentEncoding = "Content-Encoding" / "e",
    ContentLanguage = "Content-Language",
    ContentLength = "Content-Length" / "l",
    ContentType = "Content-Type" / "c",
    CSeq = "CSeq",
    Date = "Date",
    Diversion = "Diversion",
    ErrorInfo = "Error-Info",
    Event = "Event" / "o",
    Expires = "Expires",
    FlowTimer = "Flow-Timer",
    From = "From" / "f",
    HistoryInfo = "History-Info",
    Identity = "Identity" / "y",
    InReplyTo = "In-Reply-To",
    Join = "Join",
    MaxForwards = "Max-Forwards",
    MimeVersion = "MIME-Version",
    MinExpires = "Min-Expires",
    MinSe = "Min-SE",
    Organization = "Organization",
    PAccessNetworkInfo = "P-Access-Network-Info",
    PAssertedIdentity = "P-Asserted-Identity",
    PChargingVector = "P-Charging-Vector",
    PEarlyMedia = "P-Early-Media",
    PPreferredIdentity = "P-Preferred-Identity",
    Path = "Path",
    Priority = "Priority",
    Privacy = "Privacy",
    ProxyAuthenticate = "Proxy-Authenticate",
    ProxyAuthorization = "Proxy-Authorization",
    ProxyRequire = "Proxy-Require",
    RAck = "RAck",
    Reason = "Reason",
    RecordRoute = "Record-Route",
    ReferSub = "Refer-Sub",
    ReferTo = "Refer-To" / "r",
    ReferredBy = "Referred-By" / "b",
    RejectContact = "Reject-Contact" / "j",
    RemotePartyId = "Remote-Party-ID",
    Replaces = "Replaces",
    ReplyTo = "Reply-To",
    RequestDisposition = "Request-Disposition" / "d",
    Require = "Require",
    RetryAfter = "Retry-After",
    Route = "Route",
    RSeq = "RSeq",
    Server = "Server",
    ServiceRoute = "Service-Route",
    SessionExpires = "Session-Expires" / "x",
    SessionId = "Session-ID",
    SipETag = "SIP-ETag",
    SipIfMatch = "SIP-If-Match",
    Subject = "Subject" / "s",
    SubscriptionState = "Subscription-State",
    Supported = "Supported" / "k",
    TargetDialog = "Target-Dialog",
    Timestamp = "Timestamp",
    To = "To" / "t",
    Unsupported = "Unsupported",
    UserAgent = "User-Agent",
    UserToUser = "User-to-User",
    Via = "Via" / "v",
    Warning = "Warning",
    WwwAuthenticate = "WWW-Authenticate",
}

impl HeaderName {
    /// The header named by `text`, in any case, long or compact.
    pub fn lookup(text: &str) -> Self {
        let mut slot = hash(text.as_bytes());
        loop {
            let index = SLOTS[slot];
            if index == EMPTY {
                return Self::Other;
            }
            let (name, header) = NAMES[index as usize];
            if name.eq_ignore_ascii_case(text) {
                return header;
            }
            slot = (slot + 1) % SLOT_COUNT;
        }
    }

    /// Whether a message may have this header only once (RFC 3261 §7.3.1); a second one is a 400.
    pub(crate) const fn is_single(self) -> bool {
        matches!(self, Self::From | Self::To | Self::CallId | Self::CSeq | Self::MaxForwards)
    }
}

const SLOT_COUNT: usize = 256;
const EMPTY: u8 = u8::MAX;

/// Mixes length, first, middle and last letter; collisions go to the next slot.
const fn hash(text: &[u8]) -> usize {
    if text.is_empty() {
        return 0;
    }
    let first = text[0].to_ascii_lowercase() as usize;
    let middle = text[text.len() / 2].to_ascii_lowercase() as usize;
    let last = text[text.len() - 1].to_ascii_lowercase() as usize;
    (text.len() * 7 + first * 31 + middle * 13 + last * 17) % SLOT_COUNT
}

static SLOTS: [u8; SLOT_COUNT] = {
    let mut slots = [EMPTY; SLOT_COUNT];
    let mut index = 0;
    while index < NAMES.len() {
        let mut slot = hash(NAMES[index].0.as_bytes());
        while slots[slot] != EMPTY {
            slot = (slot + 1) % SLOT_COUNT;
        }
        slots[slot] = index as u8;
        index += 1;
    }
    slots
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case_and_unknown_ones_are_other() {
        for (text, header) in NAMES {
            assert_eq!(HeaderName::lookup(text), *header);
            assert_eq!(HeaderName::lookup(&text.to_ascii_uppercase()), *header);
            assert_eq!(HeaderName::lookup(&text.to_ascii_lowercase()), *header);
        }
        for text in ["", "X-Caller-Id", "Vi", "Viaa", "z"] {
            assert_eq!(HeaderName::lookup(text), HeaderName::Other, "{text}");
        }
    }
}
