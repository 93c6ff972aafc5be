//! query_sm, cancel_sm, replace_sm, alert_notification (SMPP 3.4 §4.8, §4.9, §4.10, §4.12).

use super::codec::{Reader, Writer};
use super::message::{ADDRESS_OCTETS_MAX, Address, LONG_ADDRESS_OCTETS_MAX, MESSAGE_ID_OCTETS_MAX, short_message};
use super::tlv::Tlvs;
use crate::error::SmppError;

const SOURCE: [&str; 3] = ["source_addr_ton", "source_addr_npi", "source_addr"];
const DESTINATION: [&str; 3] = ["dest_addr_ton", "dest_addr_npi", "destination_addr"];
const TIME_OCTETS_MAX: usize = 16;

/// Asks for the state of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuerySm<'a> {
    /// Which message.
    pub message_id: &'a [u8],
    /// Its sender, as submitted.
    pub source: Address<'a>,
}

impl<'a> QuerySm<'a> {
    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, SmppError> {
        Ok(Self { message_id: reader.c_octets("message_id")?, source: Address::decode(reader, SOURCE)? })
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) -> Result<(), SmppError> {
        writer.c_octets("message_id", self.message_id, MESSAGE_ID_OCTETS_MAX)?;
        self.source.encode(writer, "source_addr", ADDRESS_OCTETS_MAX)
    }
}

/// The state of a message; all empty and zero when the carrier sent no body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QuerySmResp<'a> {
    /// Which message.
    pub message_id: &'a [u8],
    /// When it came to an end; empty before.
    pub final_date: &'a [u8],
    /// See [`crate::receipt::MessageState`].
    pub message_state: u8,
    /// The network's own code.
    pub error_code: u8,
}

impl<'a> QuerySmResp<'a> {
    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, SmppError> {
        if reader.is_at_end() {
            return Ok(Self::default());
        }
        Ok(Self {
            message_id: reader.c_octets("message_id")?,
            final_date: reader.c_octets("final_date")?,
            message_state: reader.u8("message_state")?,
            error_code: reader.u8("error_code")?,
        })
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) -> Result<(), SmppError> {
        writer.c_octets("message_id", self.message_id, MESSAGE_ID_OCTETS_MAX)?;
        writer.c_octets("final_date", self.final_date, TIME_OCTETS_MAX)?;
        writer.u8(self.message_state);
        writer.u8(self.error_code);
        Ok(())
    }
}

/// Takes back one message, or all between two addresses when the id is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CancelSm<'a> {
    /// Empty for the default.
    pub service_type: &'a [u8],
    /// Which message; empty for all.
    pub message_id: &'a [u8],
    /// Its sender.
    pub source: Address<'a>,
    /// Its receiver; empty when the id says it.
    pub destination: Address<'a>,
}

impl<'a> CancelSm<'a> {
    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, SmppError> {
        Ok(Self {
            service_type: reader.c_octets("service_type")?,
            message_id: reader.c_octets("message_id")?,
            source: Address::decode(reader, SOURCE)?,
            destination: Address::decode(reader, DESTINATION)?,
        })
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) -> Result<(), SmppError> {
        writer.c_octets("service_type", self.service_type, 5)?;
        writer.c_octets("message_id", self.message_id, MESSAGE_ID_OCTETS_MAX)?;
        self.source.encode(writer, "source_addr", ADDRESS_OCTETS_MAX)?;
        self.destination.encode(writer, "destination_addr", ADDRESS_OCTETS_MAX)
    }
}

/// Changes a message that was not delivered yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplaceSm<'a> {
    /// Which message.
    pub message_id: &'a [u8],
    /// Its sender.
    pub source: Address<'a>,
    /// Empty or 16 characters.
    pub schedule_delivery_time: &'a [u8],
    /// Empty or 16 characters.
    pub validity_period: &'a [u8],
    /// Which receipts are wanted.
    pub registered_delivery: u8,
    /// A canned message of the SMSC; 0 is none.
    pub sm_default_msg_id: u8,
    /// The new text.
    pub short_message: &'a [u8],
}

impl<'a> ReplaceSm<'a> {
    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, SmppError> {
        Ok(Self {
            message_id: reader.c_octets("message_id")?,
            source: Address::decode(reader, SOURCE)?,
            schedule_delivery_time: reader.c_octets("schedule_delivery_time")?,
            validity_period: reader.c_octets("validity_period")?,
            registered_delivery: reader.u8("registered_delivery")?,
            sm_default_msg_id: reader.u8("sm_default_msg_id")?,
            short_message: {
                let length = usize::from(reader.u8("sm_length")?);
                reader.take("short_message", length)?
            },
        })
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) -> Result<(), SmppError> {
        writer.c_octets("message_id", self.message_id, MESSAGE_ID_OCTETS_MAX)?;
        self.source.encode(writer, "source_addr", ADDRESS_OCTETS_MAX)?;
        writer.c_octets("schedule_delivery_time", self.schedule_delivery_time, TIME_OCTETS_MAX)?;
        writer.c_octets("validity_period", self.validity_period, TIME_OCTETS_MAX)?;
        writer.u8(self.registered_delivery);
        writer.u8(self.sm_default_msg_id);
        short_message(writer, self.short_message)
    }
}

/// A subscriber has become reachable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlertNotification<'a> {
    /// The subscriber.
    pub source: Address<'a>,
    /// The ESME that asked.
    pub esme: Address<'a>,
    /// Optional parameters.
    pub tlvs: Tlvs<'a>,
}

impl<'a> AlertNotification<'a> {
    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, SmppError> {
        Ok(Self {
            source: Address::decode(reader, SOURCE)?,
            esme: Address::decode(reader, ["esme_addr_ton", "esme_addr_npi", "esme_addr"])?,
            tlvs: Tlvs::parse(reader.rest()),
        })
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) -> Result<(), SmppError> {
        self.source.encode(writer, "source_addr", LONG_ADDRESS_OCTETS_MAX)?;
        self.esme.encode(writer, "esme_addr", LONG_ADDRESS_OCTETS_MAX)?;
        writer.octets(self.tlvs.as_octets());
        Ok(())
    }
}
