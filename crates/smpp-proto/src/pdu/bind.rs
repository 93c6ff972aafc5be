//! bind_transmitter, bind_receiver, bind_transceiver, their responses, and outbind (SMPP 3.4 §4.1).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::codec::{Reader, Writer};
use super::command::CommandId;
use super::tlv::Tlvs;
use crate::error::SmppError;

/// Longest system_id, password and system_type that we send, octets. The specification says 15, 8 and 12; carriers
/// hand out longer ones, and one that insists refuses the bind.
const CREDENTIAL_OCTETS_MAX: usize = 64;
/// Longest address_range, octets (§5.2.7).
const ADDRESS_RANGE_OCTETS_MAX: usize = 40;

/// Which way messages may go over a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BindMode {
    /// The ESME only receives.
    Receiver,
    /// The ESME only sends.
    Transmitter,
    /// Both.
    Transceiver,
}

impl BindMode {
    /// The bind request that asks for it.
    pub const fn command(self) -> CommandId {
        match self {
            Self::Receiver => CommandId::BIND_RECEIVER,
            Self::Transmitter => CommandId::BIND_TRANSMITTER,
            Self::Transceiver => CommandId::BIND_TRANSCEIVER,
        }
    }

    /// Whether the ESME may submit.
    pub const fn may_submit(self) -> bool {
        !matches!(self, Self::Receiver)
    }

    /// Whether the SMSC may deliver.
    pub const fn may_deliver(self) -> bool {
        !matches!(self, Self::Transmitter)
    }
}

/// A bind request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Bind<'a> {
    /// Which of the three.
    pub mode: BindMode,
    /// Who binds.
    pub system_id: &'a [u8],
    /// Its password.
    pub password: &'a [u8],
    /// Its kind, often empty.
    pub system_type: &'a [u8],
    /// 0x34 for SMPP 3.4.
    pub interface_version: u8,
    /// TON of the range.
    pub addr_ton: u8,
    /// NPI of the range.
    pub addr_npi: u8,
    /// Addresses served, often empty.
    pub address_range: &'a [u8],
}

impl fmt::Debug for Bind<'_> {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Bind({:?}, {:?}, v{:02x})",
            self.mode,
            String::from_utf8_lossy(self.system_id),
            self.interface_version
        )
    }
}

impl<'a> Bind<'a> {
    pub(super) fn decode(mode: BindMode, reader: &mut Reader<'a>) -> Result<Self, SmppError> {
        Ok(Self {
            mode,
            system_id: reader.c_octets("system_id")?,
            password: reader.c_octets("password")?,
            system_type: reader.c_octets("system_type")?,
            interface_version: reader.u8("interface_version")?,
            addr_ton: reader.u8("addr_ton")?,
            addr_npi: reader.u8("addr_npi")?,
            address_range: reader.c_octets("address_range")?,
        })
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) -> Result<(), SmppError> {
        writer.c_octets("system_id", self.system_id, CREDENTIAL_OCTETS_MAX)?;
        writer.c_octets("password", self.password, CREDENTIAL_OCTETS_MAX)?;
        writer.c_octets("system_type", self.system_type, CREDENTIAL_OCTETS_MAX)?;
        writer.u8(self.interface_version);
        writer.u8(self.addr_ton);
        writer.u8(self.addr_npi);
        writer.c_octets("address_range", self.address_range, ADDRESS_RANGE_OCTETS_MAX)
    }
}

/// The response to a bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindResp<'a> {
    /// Which of the three is answered.
    pub mode: BindMode,
    /// Who answers; empty when the carrier sent no body.
    pub system_id: &'a [u8],
    /// sc_interface_version among others.
    pub tlvs: Tlvs<'a>,
}

impl<'a> BindResp<'a> {
    pub(super) fn decode(mode: BindMode, reader: &mut Reader<'a>) -> Result<Self, SmppError> {
        Ok(Self { mode, system_id: reader.c_octets("system_id")?, tlvs: Tlvs::parse(reader.rest()) })
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) -> Result<(), SmppError> {
        writer.c_octets("system_id", self.system_id, CREDENTIAL_OCTETS_MAX)?;
        writer.octets(self.tlvs.as_octets());
        Ok(())
    }
}

/// An SMSC asks an ESME to bind as receiver.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Outbind<'a> {
    /// Who asks.
    pub system_id: &'a [u8],
    /// Its password.
    pub password: &'a [u8],
}

impl fmt::Debug for Outbind<'_> {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outbind({:?})", String::from_utf8_lossy(self.system_id))
    }
}

impl<'a> Outbind<'a> {
    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, SmppError> {
        Ok(Self { system_id: reader.c_octets("system_id")?, password: reader.c_octets("password")? })
    }

    pub(super) fn encode(&self, writer: &mut Writer<'_>) -> Result<(), SmppError> {
        writer.c_octets("system_id", self.system_id, CREDENTIAL_OCTETS_MAX)?;
        writer.c_octets("password", self.password, CREDENTIAL_OCTETS_MAX)
    }
}
