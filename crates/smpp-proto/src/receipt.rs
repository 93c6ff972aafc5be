//! Delivery receipts (SMPP 3.4 appendix B and §5.3.2.12, §5.3.2.35): what became of a message of ours.
//!
//! The text format is not standardised: fields come in any order, case and spacing, some are missing. What is read
//! here is what can be read; matching a receipt with its message is done with [`ReceiptId::candidates`].

use base::Timestamp;
use serde::{Deserialize, Serialize};

use crate::coding::{DataCoding, latin1, ucs2};
use crate::error::SmppError;
use crate::pdu::{Message, MessageType, tag};

/// What became of a message (§5.2.28).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// Not due yet (5.0).
    Scheduled,
    /// On its way.
    Enroute,
    /// The handset has it.
    Delivered,
    /// Its validity is over.
    Expired,
    /// Somebody took it back.
    Deleted,
    /// The network gave up.
    Undeliverable,
    /// The SMSC has it; final by the specification, a station on the way at most carriers.
    Accepted,
    /// The SMSC does not know.
    Unknown,
    /// The SMSC or network refused it.
    Rejected,
    /// Skipped (5.0).
    Skipped,
}

/// An id as the carrier writes it in a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReceiptId(String);

/// How a carrier writes one id in the response and in the receipt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptIdForm {
    /// Not known: all are tried, the same first.
    #[default]
    Auto,
    /// The same in both.
    Same,
    /// Hexadecimal in the response, decimal in the receipt.
    HexThenDecimal,
    /// Decimal in the response, hexadecimal in the receipt.
    DecimalThenHex,
}

/// A receipt, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Which message.
    pub id: ReceiptId,
    /// What became of it.
    pub state: MessageState,
    /// The carrier's own code, from `err:` or network_error_code (as `type:code`); empty when none came.
    pub error: String,
    /// When the carrier got the message, by its own clock and zone, which the receipt does not tell.
    pub submitted_at: Option<Timestamp>,
    /// When it came to its end, likewise.
    pub done_at: Option<Timestamp>,
    /// The parameters agree with the text, or only one of them came; false is worth a log line.
    pub consistent: bool,
}

impl MessageState {
    /// From message_state or query_sm_resp; a value that the specification does not know is [`Self::Unknown`].
    pub const fn from_code(code: u32) -> Self {
        match code {
            0 => Self::Scheduled,
            1 => Self::Enroute,
            2 => Self::Delivered,
            3 => Self::Expired,
            4 => Self::Deleted,
            5 => Self::Undeliverable,
            6 => Self::Accepted,
            8 => Self::Rejected,
            9 => Self::Skipped,
            _ => Self::Unknown,
        }
    }

    /// For message_state.
    pub const fn code(self) -> u8 {
        match self {
            Self::Scheduled => 0,
            Self::Enroute => 1,
            Self::Delivered => 2,
            Self::Expired => 3,
            Self::Deleted => 4,
            Self::Undeliverable => 5,
            Self::Accepted => 6,
            Self::Unknown => 7,
            Self::Rejected => 8,
            Self::Skipped => 9,
        }
    }

    /// From `stat:`, by its beginning and in any case: carriers write DELIVRD, DELIVERED, UNDELIV, FAILED ...
    pub fn from_text(stat: &str) -> Self {
        let stat = stat.to_ascii_uppercase();
        let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| stat.starts_with(prefix));
        match stat.as_str() {
            _ if begins(&["DELIV"]) => Self::Delivered,
            _ if begins(&["EXPIR"]) => Self::Expired,
            _ if begins(&["DELET", "CANCEL"]) => Self::Deleted,
            _ if begins(&["UNDEL", "FAIL", "NOTDELI"]) => Self::Undeliverable,
            _ if begins(&["ACCEP", "ACKED"]) => Self::Accepted,
            _ if begins(&["REJEC", "BLOCK"]) => Self::Rejected,
            _ if begins(&["ENROU", "BUFFER", "QUEUE"]) => Self::Enroute,
            _ if begins(&["SCHED"]) => Self::Scheduled,
            _ if begins(&["SKIP"]) => Self::Skipped,
            _ => Self::Unknown,
        }
    }

    /// The seven letters of appendix B.
    pub const fn as_stat(self) -> &'static str {
        match self {
            Self::Scheduled => "SCHEDLD",
            Self::Enroute => "ENROUTE",
            Self::Delivered => "DELIVRD",
            Self::Expired => "EXPIRED",
            Self::Deleted => "DELETED",
            Self::Undeliverable => "UNDELIV",
            Self::Accepted => "ACCEPTD",
            Self::Unknown => "UNKNOWN",
            Self::Rejected => "REJECTD",
            Self::Skipped => "SKIPPED",
        }
    }

    /// Whether nothing more will come. Accepted and unknown may be followed by an end.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Delivered | Self::Expired | Self::Deleted | Self::Undeliverable | Self::Rejected | Self::Skipped
        )
    }
}

impl ReceiptId {
    /// As the carrier wrote it, without blanks around it.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self(text.as_ref().trim().to_owned())
    }

    /// As the carrier wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form under which an id is to be stored and looked up: lower case, no leading zeros, at least one character.
    pub fn canonical(&self) -> String {
        let lower = self.0.to_ascii_lowercase();
        let cut = lower.trim_start_matches('0');
        if cut.is_empty() && !lower.is_empty() { "0".to_owned() } else { cut.to_owned() }
    }

    /// Canonical ids of the response that this id of a receipt may stand for, most likely first, at most three.
    ///
    /// With [`ReceiptIdForm::Auto`] that is the same id, then the id that the response wrote in hexadecimal and the
    /// receipt in decimal, then the other way round. Ids over 128 bits only match themselves.
    pub fn candidates(&self, form: ReceiptIdForm) -> Vec<String> {
        let canonical = self.canonical();
        let hex = || canonical.parse::<u128>().ok().map(|number| format!("{number:x}"));
        let decimal = || u128::from_str_radix(&canonical, 16).ok().map(|number| number.to_string());
        let mut found = match form {
            ReceiptIdForm::Auto => [Some(canonical.clone()), hex(), decimal()].into_iter().flatten().collect(),
            ReceiptIdForm::Same => vec![canonical],
            ReceiptIdForm::HexThenDecimal => hex().into_iter().collect::<Vec<_>>(),
            ReceiptIdForm::DecimalThenHex => decimal().into_iter().collect(),
        };
        let mut at = 0;
        while at < found.len() {
            if found[..at].contains(&found[at]) || found[at].is_empty() {
                found.remove(at);
            } else {
                at += 1;
            }
        }
        found
    }
}

impl Receipt {
    /// Whether `message` reports on a message of ours rather than carrying a text of somebody.
    ///
    /// Its text alone does not count: anybody can send a text that looks like a receipt.
    pub fn is_receipt(message: &Message<'_>) -> bool {
        match message.message_type() {
            MessageType::DeliveryReceipt | MessageType::IntermediateNotification => true,
            MessageType::Default | MessageType::Reserved(_) => message.tlvs.find(tag::RECEIPTED_MESSAGE_ID).is_some(),
            MessageType::DeliveryAcknowledgement | MessageType::ManualAcknowledgement => false,
        }
    }

    /// Reads a receipt from parameters and text; parameters win where both speak.
    ///
    /// # Errors
    /// [`SmppError::Malformed`] when neither tells an id.
    pub fn read(message: &Message<'_>) -> Result<Self, SmppError> {
        let payload = message.user_data().map_or(message.payload(), |data| data.octets);
        let text = match DataCoding(message.data_coding) {
            DataCoding::UCS2 => ucs2::decode(payload),
            _ => latin1::decode(payload),
        };
        let fields = Fields::of(&text);
        let said = |wanted: Option<&str>| wanted.map(str::to_owned);
        let id_in_text = fields.word(Key::Id);
        let id_in_tlv =
            message.tlvs.find_text(tag::RECEIPTED_MESSAGE_ID).map(latin1::decode).filter(|id| !id.is_empty());
        let malformed = SmppError::Malformed { field: "receipted_message_id", offset: 0 };
        let id = ReceiptId::new(id_in_tlv.clone().or(said(id_in_text)).ok_or(malformed)?);
        let state_in_text = fields.word(Key::Stat).map(MessageState::from_text);
        let state_in_tlv = message.tlvs.find_number(tag::MESSAGE_STATE).map(MessageState::from_code);
        let error_in_tlv = || match message.tlvs.find(tag::NETWORK_ERROR_CODE) {
            Some([kind, high, low]) => format!("{kind}:{}", u16::from_be_bytes([*high, *low])),
            _ => String::new(),
        };
        Ok(Self {
            consistent: agree(&id_in_tlv.as_deref().map(str::trim), &id_in_text)
                && agree(&state_in_tlv, &state_in_text),
            id,
            state: state_in_tlv.or(state_in_text).unwrap_or(MessageState::Unknown),
            error: said(fields.word(Key::Err)).unwrap_or_else(error_in_tlv),
            submitted_at: fields.value(Key::SubmitDate).and_then(read_date),
            done_at: fields.value(Key::DoneDate).and_then(read_date),
        })
    }
}

fn agree<T: PartialEq>(a: &Option<T>, b: &Option<T>) -> bool {
    a.is_none() || b.is_none() || a == b
}

/// The fields of the text; a blank in a name may be an underscore or nothing on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Id,
    Sub,
    Dlvrd,
    SubmitDate,
    DoneDate,
    Stat,
    Err,
    Text,
}

const KEYS: [(Key, &str); 8] = [
    (Key::Id, "id"),
    (Key::SubmitDate, "submit date"),
    (Key::Sub, "sub"),
    (Key::Dlvrd, "dlvrd"),
    (Key::DoneDate, "done date"),
    (Key::Stat, "stat"),
    (Key::Err, "err"),
    (Key::Text, "text"),
];

struct Fields<'a> {
    found: Vec<(Key, &'a str)>,
}

impl<'a> Fields<'a> {
    /// Everything from one name to the next is a value; from `text:` on nothing is a name any more.
    fn of(text: &'a str) -> Self {
        let mut marks: Vec<(Key, usize, usize)> = Vec::new();
        let mut boundary = true;
        for (at, character) in text.char_indices() {
            if boundary && let Some((key, length)) = key_at(&text[at..]) {
                marks.push((key, at, at + length));
                if key == Key::Text || marks.len() >= 2 * KEYS.len() {
                    break;
                }
            }
            boundary = !character.is_ascii_alphanumeric() && character != '_';
        }
        let ends = marks.iter().skip(1).map(|(_, start, _)| *start).chain([text.len()]);
        let found = marks.iter().zip(ends).map(|((key, _, from), to)| (*key, text[*from..to].trim())).collect();
        Self { found }
    }

    fn value(&self, wanted: Key) -> Option<&'a str> {
        self.found.iter().find(|(key, value)| *key == wanted && !value.is_empty()).map(|(_, value)| *value)
    }

    fn word(&self, wanted: Key) -> Option<&'a str> {
        self.value(wanted)?.split([' ', '\t', '\r', '\n', ',', ';']).next().filter(|word| !word.is_empty())
    }
}

/// The name that `text` begins with, and its length with the colon.
fn key_at(text: &str) -> Option<(Key, usize)> {
    KEYS.iter().find_map(|(key, name)| {
        let octets = text.as_bytes();
        let mut at = 0;
        for wanted in name.bytes() {
            match octets.get(at) {
                Some(octet) if octet.eq_ignore_ascii_case(&wanted) => at += 1,
                Some(b'_') if wanted == b' ' => at += 1,
                Some(_) if wanted == b' ' => {}
                _ => return None,
            }
        }
        while octets.get(at) == Some(&b' ') {
            at += 1;
        }
        matches!(octets.get(at), Some(b':' | b'=')).then_some((*key, at + 1))
    })
}

/// YYMMDDhhmm with or without seconds, or with the century.
fn read_date(text: &str) -> Option<Timestamp> {
    let digits: Vec<i64> = text.bytes().take_while(u8::is_ascii_digit).map(|digit| i64::from(digit - b'0')).collect();
    let short = |digits: &[i64]| civil(&[&[2, 0], digits].concat());
    match digits.len() {
        10 => short(&digits),
        12 => short(&digits).or_else(|| civil(&digits)),
        14 => civil(&digits),
        _ => None,
    }
}

/// YYYYMMDDhhmm[ss], taken as UTC.
fn civil(digits: &[i64]) -> Option<Timestamp> {
    let number = |range: std::ops::Range<usize>| digits.get(range).map(|part| part.iter().fold(0, |n, d| n * 10 + d));
    let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
    let (hour, minute, second) = (number(8..10)?, number(10..12)?, number(12..14).unwrap_or(0));
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days since 1970 with years that begin in March, so that a leap day comes last.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    Some(Timestamp::from_millis((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000))
}

#[cfg(test)]
#[path = "receipt_tests.rs"]
mod tests;
