//! A queued part as a submit_sm, and a carrier's answer as a decision. Pure functions; nothing is sent here.

use std::time::Duration;

use base::Timestamp;
use domain::sms::{Encoding, QueuedPart, SubmitResult};
use smpp_proto::status::StatusClass;
use smpp_proto::udh::{Concat, ConcatKind};
use smpp_proto::{Address, Alphabet, CommandStatus, DataCoding, Message, SmppError};

use crate::config::Config;

/// esm_class: the user data begins with a header (SMPP 3.4 §5.2.12).
const ESM_UDHI: u8 = 0x40;
/// registered_delivery: a receipt about success and failure (§5.2.17).
const RECEIPT_WANTED: u8 = 1;
/// What is noted when no answer came; the carrier may have the text.
pub(crate) const NO_ANSWER: CommandStatus = CommandStatus::ESME_RUNKNOWNERR;

/// The octets of a submit_sm that its fields borrow from.
#[derive(Debug)]
pub(crate) struct Submit {
    user_data: Vec<u8>,
    data_coding: DataCoding,
    esm_class: u8,
    validity: String,
    from: String,
    to: String,
}

impl Submit {
    /// Encodes a part.
    ///
    /// # Errors
    /// [`SmppError::UnsupportedCharacter`] when the carrier's default alphabet lacks a character of the text.
    pub(crate) fn new(part: &QueuedPart, now: Timestamp, config: &Config) -> Result<Self, SmppError> {
        let mut user_data = Vec::with_capacity(160);
        let mut esm_class = 0;
        if part.parts > 1 {
            let reference = u16::from(part.reference);
            Concat { kind: ConcatKind::Udh8, reference, total: part.parts, part: part.part }.push_udh(&mut user_data);
            esm_class = ESM_UDHI;
        }
        let (alphabet, data_coding) = match part.encoding {
            Encoding::Gsm7 => (config.default_alphabet, DataCoding::DEFAULT),
            Encoding::Ucs2 => (Alphabet::Ucs2, DataCoding::UCS2),
        };
        alphabet.encode(&part.text, &mut user_data)?;
        let left = part.valid_until.since(now);
        Ok(Self {
            user_data,
            data_coding,
            esm_class,
            validity: if config.send_validity_period { relative_time(left) } else { String::new() },
            from: part.from.digits().to_owned(),
            to: part.to.digits().to_owned(),
        })
    }

    /// The PDU's fields.
    pub(crate) fn message(&self) -> Message<'_> {
        Message {
            source: Address::international(self.from.as_bytes()),
            destination: Address::international(self.to.as_bytes()),
            esm_class: self.esm_class,
            validity_period: self.validity.as_bytes(),
            registered_delivery: RECEIPT_WANTED,
            data_coding: self.data_coding.0,
            short_message: &self.user_data,
            ..Message::default()
        }
    }
}

/// A relative time of at most 30 days, `YYMMDDhhmmss000R` (§7.1.1.2).
fn relative_time(left: Duration) -> String {
    let seconds = left.as_secs().clamp(1, 30 * 86_400);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    format!("0000{days:02}{hours:02}{minutes:02}{:02}000R", seconds % 60)
}

/// What becomes of a part after the carrier's answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// This is noted.
    Note(SubmitResult),
    /// The carrier took nothing and is only too busy: the part goes back to its old place in the queue, where another
    /// carrier of its plan may have it at once. The pause is kept by the bind.
    GiveBack,
}

/// Decides.
pub(crate) fn judge(
    part: &QueuedPart,
    status: CommandStatus,
    message_id: &str,
    now: Timestamp,
    config: &Config,
) -> Verdict {
    let code = status.0;
    Verdict::Note(match status.class() {
        StatusClass::Accepted => SubmitResult::Accepted { carrier_message_id: message_id.to_owned() },
        StatusClass::Throttled => return Verdict::GiveBack,
        StatusClass::Link => SubmitResult::RetryAt { at: now.after(Duration::from_millis(config.retry_min_ms)), code },
        StatusClass::Temporary if part.attempts < config.retries_max => {
            let tripled = config.retry_min_ms.saturating_mul(3u64.saturating_pow(part.attempts));
            SubmitResult::RetryAt { at: now.after(Duration::from_millis(tripled.min(config.retry_max_ms))), code }
        }
        StatusClass::Temporary | StatusClass::Permanent => SubmitResult::NextCarrier { code },
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use base::Id;

    fn part(text: &str, encoding: Encoding, part: u8, parts: u8) -> QueuedPart {
        QueuedPart {
            message: Id::from_i64(1_700_000_000_000 << 21),
            part,
            parts,
            carrier: Id::from_i64(2),
            from: "+15550001".parse().unwrap(),
            to: "+15550002".parse().unwrap(),
            text: text.into(),
            encoding,
            reference: 0x2a,
            attempts: 0,
            valid_until: Timestamp::from_millis(90_061_000),
        }
    }

    #[test]
    fn m4_a_segment_carries_its_place_and_fits_140_octets() {
        let config = Config::default();
        let submit = Submit::new(&part(&"a".repeat(153), Encoding::Gsm7, 2, 3), Timestamp::default(), &config).unwrap();
        let message = submit.message();
        let data = message.user_data().unwrap();
        let concat = data.concat.unwrap();
        assert_eq!((concat.reference, concat.total, concat.part, data.octets.len()), (0x2a, 3, 2, 153));
        let submit = Submit::new(&part(&"я".repeat(67), Encoding::Ucs2, 1, 2), Timestamp::default(), &config).unwrap();
        assert_eq!((submit.message().short_message.len(), submit.message().data_coding), (140, 8));
        let submit = Submit::new(&part("hi €", Encoding::Gsm7, 1, 1), Timestamp::default(), &config).unwrap();
        assert_eq!((submit.message().short_message, submit.message().esm_class), (&b"hi \x1b\x65"[..], 0));
    }

    #[test]
    fn smpp34_7_1_1_the_rest_of_the_validity_is_told_and_a_receipt_is_wanted() {
        let config = Config::default();
        let submit = Submit::new(&part("x", Encoding::Gsm7, 1, 1), Timestamp::default(), &config).unwrap();
        let message = submit.message();
        assert_eq!(message.validity_period, b"000001010101000R");
        assert_eq!((message.registered_delivery, message.source.ton, message.source.npi), (1, 1, 1));
        assert_eq!((message.source.octets, message.destination.octets), (&b"15550001"[..], &b"15550002"[..]));
        assert_eq!(relative_time(Duration::from_secs(1_000 * 86_400)), "000030000000000R");
        assert_eq!(relative_time(Duration::ZERO), "000000000001000R");
        let silent = Config { send_validity_period: false, ..config };
        let submit = Submit::new(&part("x", Encoding::Gsm7, 1, 1), Timestamp::default(), &silent).unwrap();
        assert_eq!(submit.message().validity_period, b"");
    }

    #[test]
    fn answers_decide_between_again_elsewhere_and_sent() {
        let (config, now) = (Config::default(), Timestamp::from_millis(1_800_000_000_000));
        let mut part = part("x", Encoding::Gsm7, 1, 1);
        let accepted = judge(&part, CommandStatus::ESME_ROK, "0A", now, &config);
        assert_eq!(accepted, Verdict::Note(SubmitResult::Accepted { carrier_message_id: "0A".into() }));
        let throttled = judge(&part, CommandStatus::ESME_RTHROTTLED, "", now, &config);
        assert_eq!(throttled, Verdict::GiveBack);
        let mut waits = vec![];
        loop {
            match judge(&part, CommandStatus::ESME_RSYSERR, "", now, &config) {
                Verdict::Note(SubmitResult::RetryAt { at, code: 8 }) => waits.push(at.since(now).as_secs()),
                other => break assert_eq!(other, Verdict::Note(SubmitResult::NextCarrier { code: 8 })),
            }
            part.attempts += 1;
        }
        assert_eq!(waits, [5, 15, 45, 135, 300]);
        let refused = judge(&part, CommandStatus::ESME_RINVDSTADR, "", now, &config);
        assert_eq!(refused, Verdict::Note(SubmitResult::NextCarrier { code: 0x0b }));
    }
}
