//! The PDUs of SMPP 3.4 §4, read without copying: every field borrows from the octets that came.
//!
//! Taken although the specification forbids it, because carriers send it:
//! - a response without a body, whatever its status (§4.4.2 allows it for errors only);
//! - a last NUL-terminated field without its NUL;
//! - ids and names up to 255 octets instead of 16 or 65 (§5.2);
//! - octets after the last whole TLV, which are dropped;
//! - `sm_length` of 255 (§5.2.21 says 254 at most).
//!
//! Not here: submit_multi and the broadcast operations, which read as [`Body::Unknown`].

mod bind;
mod codec;
mod command;
mod message;
mod operation;
mod tlv;

pub use bind::{Bind, BindMode, BindResp, Outbind};
pub use command::CommandId;
pub use message::{Address, DataSm, Message, MessageResp, MessageType, NOTHING, UserData};
pub use operation::{AlertNotification, CancelSm, QuerySm, QuerySmResp, ReplaceSm};
pub use tlv::{Tlv, TlvBuffer, Tlvs, tag};

use crate::error::SmppError;
use crate::status::CommandStatus;
use codec::{Reader, Writer};

/// Octets of the PDU header (§3.2).
pub const HEADER_OCTETS: usize = 16;

/// One PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pdu<'a> {
    /// `command_status`; zero in requests.
    pub status: CommandStatus,
    /// `sequence_number`, 1..=0x7fffffff in what we send.
    pub sequence: u32,
    /// What it says.
    pub body: Body<'a>,
}

/// The header alone, for when the body cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// `command_length`, octets with the header.
    pub length: u32,
    /// `command_id`.
    pub command: CommandId,
    /// `command_status`.
    pub status: CommandStatus,
    /// `sequence_number`.
    pub sequence: u32,
}

/// What a PDU says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body<'a> {
    /// generic_nack (§4.3).
    GenericNack,
    /// bind_transmitter, bind_receiver, bind_transceiver (§4.1).
    Bind(Bind<'a>),
    /// Their responses.
    BindResp(BindResp<'a>),
    /// outbind (§4.1.7).
    Outbind(Outbind<'a>),
    /// unbind (§4.2).
    Unbind,
    /// unbind_resp.
    UnbindResp,
    /// enquire_link (§4.11).
    EnquireLink,
    /// enquire_link_resp.
    EnquireLinkResp,
    /// submit_sm (§4.4).
    SubmitSm(Message<'a>),
    /// submit_sm_resp.
    SubmitSmResp(MessageResp<'a>),
    /// deliver_sm (§4.6).
    DeliverSm(Message<'a>),
    /// deliver_sm_resp.
    DeliverSmResp(MessageResp<'a>),
    /// data_sm (§4.7).
    DataSm(DataSm<'a>),
    /// data_sm_resp.
    DataSmResp(MessageResp<'a>),
    /// query_sm (§4.8).
    QuerySm(QuerySm<'a>),
    /// query_sm_resp.
    QuerySmResp(QuerySmResp<'a>),
    /// cancel_sm (§4.9).
    CancelSm(CancelSm<'a>),
    /// cancel_sm_resp.
    CancelSmResp,
    /// replace_sm (§4.10).
    ReplaceSm(ReplaceSm<'a>),
    /// replace_sm_resp.
    ReplaceSmResp,
    /// alert_notification (§4.12).
    AlertNotification(AlertNotification<'a>),
    /// A command that we do not know, kept as it came.
    Unknown {
        /// Its `command_id`.
        command: CommandId,
        /// Its body.
        octets: &'a [u8],
    },
}

impl Header {
    /// Reads the first 16 octets of a PDU.
    ///
    /// # Errors
    /// [`SmppError::Malformed`] when there are fewer.
    pub fn decode(octets: &[u8]) -> Result<Self, SmppError> {
        let mut reader = Reader::new(octets);
        Ok(Self {
            length: reader.u32("command_length")?,
            command: CommandId(reader.u32("command_id")?),
            status: CommandStatus(reader.u32("command_status")?),
            sequence: reader.u32("sequence_number")?,
        })
    }
}

impl<'a> Pdu<'a> {
    /// A request, or a response with ESME_ROK.
    pub const fn new(sequence: u32, body: Body<'a>) -> Self {
        Self { status: CommandStatus::ESME_ROK, sequence, body }
    }

    /// Reads one whole PDU as [`crate::PduReader`] cuts it.
    ///
    /// # Errors
    /// [`SmppError::MalformedLength`] when `command_length` is not the length of `octets`, [`SmppError::Malformed`]
    /// when a field ends early or is over 255 octets.
    pub fn decode(octets: &'a [u8]) -> Result<Self, SmppError> {
        let header = Header::decode(octets)?;
        if header.length as usize != octets.len() {
            return Err(SmppError::MalformedLength { length: header.length, max: octets.len() });
        }
        let mut reader = Reader::new(octets);
        reader.skip(HEADER_OCTETS);
        let body = Body::decode(header.command, &mut reader)?;
        Ok(Self { status: header.status, sequence: header.sequence, body })
    }

    /// Appends the PDU to `out`.
    ///
    /// # Errors
    /// [`SmppError::RefusedLength`] or [`SmppError::RefusedNul`] when a field does not fit; `out` is then as before.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), SmppError> {
        let start = out.len();
        let mut writer = Writer::new(out);
        writer.u32(0);
        writer.u32(self.body.command().0);
        writer.u32(self.status.0);
        writer.u32(self.sequence);
        let result = self.body.encode(&mut writer, self.status).and_then(|()| {
            let octets = out.len() - start;
            let max = base::limits::SMPP_PDU_BYTES_MAX;
            if octets > max {
                Err(SmppError::RefusedLength { field: "command_length", octets, max })
            } else {
                Ok(octets)
            }
        });
        match result {
            Ok(octets) => {
                out[start..start + 4].copy_from_slice(&(octets as u32).to_be_bytes());
                Ok(())
            }
            Err(error) => {
                out.truncate(start);
                Err(error)
            }
        }
    }

    /// The PDU as octets of its own; see [`Self::encode`].
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn to_vec(&self) -> Result<Vec<u8>, SmppError> {
        let mut out = Vec::with_capacity(128);
        self.encode(&mut out)?;
        Ok(out)
    }
}

impl<'a> Body<'a> {
    /// Its `command_id`.
    pub const fn command(&self) -> CommandId {
        match self {
            Self::GenericNack => CommandId::GENERIC_NACK,
            Self::Bind(bind) => bind.mode.command(),
            Self::BindResp(resp) => resp.mode.command().response(),
            Self::Outbind(_) => CommandId::OUTBIND,
            Self::Unbind => CommandId::UNBIND,
            Self::UnbindResp => CommandId::UNBIND.response(),
            Self::EnquireLink => CommandId::ENQUIRE_LINK,
            Self::EnquireLinkResp => CommandId::ENQUIRE_LINK.response(),
            Self::SubmitSm(_) => CommandId::SUBMIT_SM,
            Self::SubmitSmResp(_) => CommandId::SUBMIT_SM.response(),
            Self::DeliverSm(_) => CommandId::DELIVER_SM,
            Self::DeliverSmResp(_) => CommandId::DELIVER_SM.response(),
            Self::DataSm(_) => CommandId::DATA_SM,
            Self::DataSmResp(_) => CommandId::DATA_SM.response(),
            Self::QuerySm(_) => CommandId::QUERY_SM,
            Self::QuerySmResp(_) => CommandId::QUERY_SM.response(),
            Self::CancelSm(_) => CommandId::CANCEL_SM,
            Self::CancelSmResp => CommandId::CANCEL_SM.response(),
            Self::ReplaceSm(_) => CommandId::REPLACE_SM,
            Self::ReplaceSmResp => CommandId::REPLACE_SM.response(),
            Self::AlertNotification(_) => CommandId::ALERT_NOTIFICATION,
            Self::Unknown { command, .. } => *command,
        }
    }

    /// The message id of a submit_sm_resp, deliver_sm_resp or data_sm_resp.
    pub const fn message_id(&self) -> Option<&'a [u8]> {
        match self {
            Self::SubmitSmResp(resp) | Self::DeliverSmResp(resp) | Self::DataSmResp(resp) => Some(resp.message_id),
            _ => None,
        }
    }

    fn decode(command: CommandId, reader: &mut Reader<'a>) -> Result<Self, SmppError> {
        Ok(match command {
            CommandId::GENERIC_NACK => Self::GenericNack,
            CommandId::BIND_RECEIVER => Self::Bind(Bind::decode(BindMode::Receiver, reader)?),
            CommandId::BIND_TRANSMITTER => Self::Bind(Bind::decode(BindMode::Transmitter, reader)?),
            CommandId::BIND_TRANSCEIVER => Self::Bind(Bind::decode(BindMode::Transceiver, reader)?),
            CommandId::BIND_RECEIVER_RESP => Self::BindResp(BindResp::decode(BindMode::Receiver, reader)?),
            CommandId::BIND_TRANSMITTER_RESP => Self::BindResp(BindResp::decode(BindMode::Transmitter, reader)?),
            CommandId::BIND_TRANSCEIVER_RESP => Self::BindResp(BindResp::decode(BindMode::Transceiver, reader)?),
            CommandId::OUTBIND => Self::Outbind(Outbind::decode(reader)?),
            CommandId::UNBIND => Self::Unbind,
            CommandId::UNBIND_RESP => Self::UnbindResp,
            CommandId::ENQUIRE_LINK => Self::EnquireLink,
            CommandId::ENQUIRE_LINK_RESP => Self::EnquireLinkResp,
            CommandId::SUBMIT_SM => Self::SubmitSm(Message::decode(reader)?),
            CommandId::SUBMIT_SM_RESP => Self::SubmitSmResp(MessageResp::decode(reader)?),
            CommandId::DELIVER_SM => Self::DeliverSm(Message::decode(reader)?),
            CommandId::DELIVER_SM_RESP => Self::DeliverSmResp(MessageResp::decode(reader)?),
            CommandId::DATA_SM => Self::DataSm(DataSm::decode(reader)?),
            CommandId::DATA_SM_RESP => Self::DataSmResp(MessageResp::decode(reader)?),
            CommandId::QUERY_SM => Self::QuerySm(QuerySm::decode(reader)?),
            CommandId::QUERY_SM_RESP => Self::QuerySmResp(QuerySmResp::decode(reader)?),
            CommandId::CANCEL_SM => Self::CancelSm(CancelSm::decode(reader)?),
            CommandId::CANCEL_SM_RESP => Self::CancelSmResp,
            CommandId::REPLACE_SM => Self::ReplaceSm(ReplaceSm::decode(reader)?),
            CommandId::REPLACE_SM_RESP => Self::ReplaceSmResp,
            CommandId::ALERT_NOTIFICATION => Self::AlertNotification(AlertNotification::decode(reader)?),
            _ => Self::Unknown { command, octets: reader.rest() },
        })
    }

    fn encode(&self, writer: &mut Writer<'_>, status: CommandStatus) -> Result<(), SmppError> {
        match self {
            Self::GenericNack
            | Self::Unbind
            | Self::UnbindResp
            | Self::EnquireLink
            | Self::EnquireLinkResp
            | Self::CancelSmResp
            | Self::ReplaceSmResp => Ok(()),
            Self::Bind(bind) => bind.encode(writer),
            Self::BindResp(resp) => resp.encode(writer),
            Self::Outbind(outbind) => outbind.encode(writer),
            Self::SubmitSm(message) | Self::DeliverSm(message) => message.encode(writer),
            // §4.4.2: the body is not returned when the status is an error.
            Self::SubmitSmResp(resp) if !status.is_ok() && resp.is_empty() => Ok(()),
            Self::SubmitSmResp(resp) | Self::DeliverSmResp(resp) | Self::DataSmResp(resp) => resp.encode(writer),
            Self::DataSm(data) => data.encode(writer),
            Self::QuerySm(query) => query.encode(writer),
            Self::QuerySmResp(resp) => resp.encode(writer),
            Self::CancelSm(cancel) => cancel.encode(writer),
            Self::ReplaceSm(replace) => replace.encode(writer),
            Self::AlertNotification(alert) => alert.encode(writer),
            Self::Unknown { octets, .. } => {
                writer.octets(octets);
                Ok(())
            }
        }
    }
}
