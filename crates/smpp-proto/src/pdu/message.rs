//! submit_sm, deliver_sm, data_sm and their responses (SMPP 3.4 §4.4, §4.6, §4.7).

use std::fmt;

use super::codec::{Reader, Writer};
use super::tlv::{Tlvs, tag};
use crate::error::SmppError;
use crate::udh::{Concat, Udh};

/// Longest address that we send, octets (§5.2.8).
pub(super) const ADDRESS_OCTETS_MAX: usize = 20;
/// Longest address in data_sm and alert_notification, octets (§4.7.1).
pub(super) const LONG_ADDRESS_OCTETS_MAX: usize = 64;
/// Longest service_type that we send, octets (§5.2.11).
const SERVICE_TYPE_OCTETS_MAX: usize = 5;
/// Length of a time that is not empty, octets (§7.1.1).
const TIME_OCTETS_MAX: usize = 16;
/// Longest short_message, octets (§5.2.22); more goes into message_payload.
const SHORT_MESSAGE_OCTETS_MAX: usize = 254;
/// Longest message id that we send, octets: a carrier's own over-long id must go back as it came.
pub(super) const MESSAGE_ID_OCTETS_MAX: usize = 255;

/// A sender or receiver.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Address<'a> {
    /// Type of number (§5.2.5): 0 unknown, 1 international, 2 national, 3 network, 5 alphanumeric.
    pub ton: u8,
    /// Numbering plan (§5.2.6): 0 unknown, 1 E.164.
    pub npi: u8,
    /// Digits or letters without NUL.
    pub octets: &'a [u8],
}

impl<'a> Address<'a> {
    /// An international E.164 number, without `+`.
    pub const fn international(digits: &'a [u8]) -> Self {
        Self { ton: 1, npi: 1, octets: digits }
    }

    pub(super) fn decode(reader: &mut Reader<'a>, fields: [&'static str; 3]) -> Result<Self, SmppError> {
        Ok(Self { ton: reader.u8(fields[0])?, npi: reader.u8(fields[1])?, octets: reader.c_octets(fields[2])? })
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>, field: &'static str, max: usize) -> Result<(), SmppError> {
        writer.u8(self.ton);
        writer.u8(self.npi);
        writer.c_octets(field, self.octets, max)
    }
}
impl fmt::Debug for Address<'_> {
    /// Masked: a number is personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.octets[..self.octets.len().min(3)];
        write!(f, "{}/{}/{}…", self.ton, self.npi, String::from_utf8_lossy(shown))
    }
}

/// submit_sm or deliver_sm; both have the same body.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Message<'a> {
    /// Empty for the default.
    pub service_type: &'a [u8],
    /// From.
    pub source: Address<'a>,
    /// To.
    pub destination: Address<'a>,
    /// Mode, type and features (§5.2.12).
    pub esm_class: u8,
    /// GSM TP-PID.
    pub protocol_id: u8,
    /// 0..=3.
    pub priority_flag: u8,
    /// Empty or 16 characters (§7.1.1).
    pub schedule_delivery_time: &'a [u8],
    /// Empty or 16 characters (§7.1.1).
    pub validity_period: &'a [u8],
    /// Which receipts are wanted (§5.2.17).
    pub registered_delivery: u8,
    /// 0 or 1.
    pub replace_if_present_flag: u8,
    /// See [`crate::DataCoding`].
    pub data_coding: u8,
    /// A canned message of the SMSC; 0 is none.
    pub sm_default_msg_id: u8,
    /// The user data with its header, up to 254 octets; empty when message_payload carries it.
    pub short_message: &'a [u8],
    /// Optional parameters.
    pub tlvs: Tlvs<'a>,
}

/// The kind of a deliver_sm, from esm_class (§5.2.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageType {
    /// A text of somebody.
    Default,
    /// The SMSC says what became of a message of ours.
    DeliveryReceipt,
    /// The receiving application acknowledges delivery.
    DeliveryAcknowledgement,
    /// The person acknowledges.
    ManualAcknowledgement,
    /// The SMSC says what is happening on the way.
    IntermediateNotification,
    /// A value that the specification reserves.
    Reserved(u8),
}

/// What a message carries, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserData<'a> {
    /// The header, when there is one.
    pub udh: Option<Udh<'a>>,
    /// The text or data after it.
    pub octets: &'a [u8],
    /// Its place in a longer message, from the header or the SAR parameters.
    pub concat: Option<Concat>,
}

/// esm_class: the user data begins with a header.
const ESM_UDHI: u8 = 0x40;

impl MessageType {
    /// From an esm_class.
    pub const fn from_esm_class(esm_class: u8) -> Self {
        match esm_class & 0x3c {
            0x00 => Self::Default,
            0x04 => Self::DeliveryReceipt,
            0x08 => Self::DeliveryAcknowledgement,
            0x10 => Self::ManualAcknowledgement,
            0x20 => Self::IntermediateNotification,
            other => Self::Reserved(other),
        }
    }
}

impl<'a> Message<'a> {
    /// What kind of message it is.
    pub const fn message_type(&self) -> MessageType {
        MessageType::from_esm_class(self.esm_class)
    }

    /// short_message, or message_payload when that is empty (§5.3.2.32).
    pub fn payload(&self) -> &'a [u8] {
        if self.short_message.is_empty() {
            self.tlvs.find(tag::MESSAGE_PAYLOAD).unwrap_or_default()
        } else {
            self.short_message
        }
    }

    /// The payload without its header, and its place in a longer message.
    ///
    /// # Errors
    /// [`SmppError::Malformed`] when esm_class promises a header that does not hold together.
    pub fn user_data(&self) -> Result<UserData<'a>, SmppError> {
        user_data(self.esm_class, self.payload(), self.tlvs)
    }

    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, SmppError> {
        let service_type = reader.c_octets("service_type")?;
        let source = Address::decode(reader, ["source_addr_ton", "source_addr_npi", "source_addr"])?;
        let destination = Address::decode(reader, ["dest_addr_ton", "dest_addr_npi", "destination_addr"])?;
        Ok(Self {
            service_type,
            source,
            destination,
            esm_class: reader.u8("esm_class")?,
            protocol_id: reader.u8("protocol_id")?,
            priority_flag: reader.u8("priority_flag")?,
            schedule_delivery_time: reader.c_octets("schedule_delivery_time")?,
            validity_period: reader.c_octets("validity_period")?,
            registered_delivery: reader.u8("registered_delivery")?,
            replace_if_present_flag: reader.u8("replace_if_present_flag")?,
            data_coding: reader.u8("data_coding")?,
            sm_default_msg_id: reader.u8("sm_default_msg_id")?,
            short_message: {
                let length = usize::from(reader.u8("sm_length")?);
                reader.take("short_message", length)?
            },
            tlvs: Tlvs::parse(reader.rest()),
        })
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) -> Result<(), SmppError> {
        writer.c_octets("service_type", self.service_type, SERVICE_TYPE_OCTETS_MAX)?;
        self.source.encode(writer, "source_addr", ADDRESS_OCTETS_MAX)?;
        self.destination.encode(writer, "destination_addr", ADDRESS_OCTETS_MAX)?;
        writer.u8(self.esm_class);
        writer.u8(self.protocol_id);
        writer.u8(self.priority_flag);
        writer.c_octets("schedule_delivery_time", self.schedule_delivery_time, TIME_OCTETS_MAX)?;
        writer.c_octets("validity_period", self.validity_period, TIME_OCTETS_MAX)?;
        writer.u8(self.registered_delivery);
        writer.u8(self.replace_if_present_flag);
        writer.u8(self.data_coding);
        writer.u8(self.sm_default_msg_id);
        short_message(writer, self.short_message)?;
        writer.octets(self.tlvs.as_octets());
        Ok(())
    }
}

impl fmt::Debug for Message<'_> {
    /// Without the text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Message({:?} -> {:?}, esm {:#04x}, dcs {:#04x}, {} octets, {:?})",
            self.source,
            self.destination,
            self.esm_class,
            self.data_coding,
            self.payload().len(),
            self.tlvs
        )
    }
}

/// sm_length and short_message.
pub(super) fn short_message(writer: &mut Writer<'_>, octets: &[u8]) -> Result<(), SmppError> {
    if octets.len() > SHORT_MESSAGE_OCTETS_MAX {
        let (field, max) = ("short_message", SHORT_MESSAGE_OCTETS_MAX);
        return Err(SmppError::RefusedLength { field, octets: octets.len(), max });
    }
    writer.u8(octets.len() as u8);
    writer.octets(octets);
    Ok(())
}

fn user_data<'a>(esm_class: u8, payload: &'a [u8], tlvs: Tlvs<'a>) -> Result<UserData<'a>, SmppError> {
    let (udh, octets) = if esm_class & ESM_UDHI != 0 && !payload.is_empty() {
        let (udh, octets) = Udh::parse(payload)?;
        (Some(udh), octets)
    } else {
        (None, payload)
    };
    let concat = udh.as_ref().and_then(Udh::concat).or_else(|| Concat::from_sar(tlvs));
    Ok(UserData { udh, octets, concat })
}

/// data_sm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DataSm<'a> {
    /// Empty for the default.
    pub service_type: &'a [u8],
    /// From.
    pub source: Address<'a>,
    /// To.
    pub destination: Address<'a>,
    /// Mode, type and features (§5.2.12).
    pub esm_class: u8,
    /// Which receipts are wanted (§5.2.17).
    pub registered_delivery: u8,
    /// See [`crate::DataCoding`].
    pub data_coding: u8,
    /// Optional parameters; message_payload is the text.
    pub tlvs: Tlvs<'a>,
}

impl<'a> DataSm<'a> {
    /// The same as a message, so that one path handles both.
    pub fn as_message(&self) -> Message<'a> {
        Message {
            service_type: self.service_type,
            source: self.source,
            destination: self.destination,
            esm_class: self.esm_class,
            registered_delivery: self.registered_delivery,
            data_coding: self.data_coding,
            tlvs: self.tlvs,
            ..Message::default()
        }
    }

    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, SmppError> {
        Ok(Self {
            service_type: reader.c_octets("service_type")?,
            source: Address::decode(reader, ["source_addr_ton", "source_addr_npi", "source_addr"])?,
            destination: Address::decode(reader, ["dest_addr_ton", "dest_addr_npi", "destination_addr"])?,
            esm_class: reader.u8("esm_class")?,
            registered_delivery: reader.u8("registered_delivery")?,
            data_coding: reader.u8("data_coding")?,
            tlvs: Tlvs::parse(reader.rest()),
        })
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) -> Result<(), SmppError> {
        writer.c_octets("service_type", self.service_type, SERVICE_TYPE_OCTETS_MAX)?;
        self.source.encode(writer, "source_addr", LONG_ADDRESS_OCTETS_MAX)?;
        self.destination.encode(writer, "destination_addr", LONG_ADDRESS_OCTETS_MAX)?;
        writer.u8(self.esm_class);
        writer.u8(self.registered_delivery);
        writer.u8(self.data_coding);
        writer.octets(self.tlvs.as_octets());
        Ok(())
    }
}

/// submit_sm_resp, deliver_sm_resp or data_sm_resp.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MessageResp<'a> {
    /// The SMSC's id; empty in deliver_sm_resp and where the carrier sent no body.
    pub message_id: &'a [u8],
    /// Optional parameters.
    pub tlvs: Tlvs<'a>,
}

/// A response that says nothing but its status.
pub const NOTHING: MessageResp<'static> = MessageResp { message_id: &[], tlvs: Tlvs::EMPTY };

impl<'a> MessageResp<'a> {
    /// Whether it says nothing.
    pub const fn is_empty(&self) -> bool {
        self.message_id.is_empty() && self.tlvs.is_empty()
    }

    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, SmppError> {
        Ok(Self { message_id: reader.c_octets("message_id")?, tlvs: Tlvs::parse(reader.rest()) })
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) -> Result<(), SmppError> {
        writer.c_octets("message_id", self.message_id, MESSAGE_ID_OCTETS_MAX)?;
        writer.octets(self.tlvs.as_octets());
        Ok(())
    }
}
