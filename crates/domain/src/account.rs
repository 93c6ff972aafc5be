//! Tenants, users and devices as the services see them: facts with which a call or a text is judged.

use base::id::kind::{Device, Tenant, User, Wallet};
use base::{Currency, E164, Id};
use serde::{Deserialize, Serialize};

/// Whether an account may do anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountStatus {
    /// In order.
    Active,
    /// Locked by an administrator: no registration, call, text or login.
    Suspended,
    /// Gone; kept for the ledger.
    Deleted,
}

impl AccountStatus {
    /// The stored and printed name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Suspended, Self::Deleted].into_iter().find(|s| s.as_str() == text)
    }
}

/// What kind of media a device speaks (`auto`: SDES-SRTP when its registration came over TLS and it offers it, else RTP).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceMedia {
    /// By the transport of the registration.
    Auto,
    /// Plain RTP/AVP.
    Rtp,
    /// SDES-SRTP, RTP/SAVP (RFC 4568).
    Sdes,
}

impl DeviceMedia {
    /// The stored and printed name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Rtp => "rtp",
            Self::Sdes => "sdes",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Auto, Self::Rtp, Self::Sdes].into_iter().find(|s| s.as_str() == text)
    }
}

/// Digest verifiers `H(username:realm:password)` in lower-case hexadecimal, one per algorithm that the device may use
/// (RFC 7616 §3.4.2). Only algorithms with a verifier are challenged.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Verifiers {
    /// MD5, 32 digits.
    pub md5: Option<String>,
    /// SHA-256, 64 digits.
    pub sha256: Option<String>,
    /// SHA-512-256, 64 digits.
    pub sha512_256: Option<String>,
}

impl std::fmt::Debug for Verifiers {
    /// Says which there are, never what they are: a verifier is as good as the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let known = [self.md5.is_some(), self.sha256.is_some(), self.sha512_256.is_some()];
        write!(f, "Verifiers(md5, sha256, sha512_256: {known:?})")
    }
}

/// A device that may authenticate, with what is needed to check and place it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCredentials {
    /// The device.
    pub device: Id<Device>,
    /// Its owner.
    pub user: Id<User>,
    /// The owner's tenant.
    pub tenant: Id<Tenant>,
    /// The digest username.
    pub username: String,
    /// The realm for which the verifiers were made: the SIP domain of its user.
    pub realm: String,
    /// The strictest status of device, user and tenant.
    pub status: AccountStatus,
    /// What a response is checked against.
    pub verifiers: Verifiers,
    /// Media that it speaks.
    pub media: DeviceMedia,
}

/// A tenant as calls and texts need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantFacts {
    /// The tenant.
    pub id: Id<Tenant>,
    /// Its unique name.
    pub name: String,
    /// Whether it may do anything.
    pub status: AccountStatus,
    /// The currency of its prices and wallets.
    pub currency: Currency,
    /// Its SIP domains, lower case; the first is its main one.
    pub domains: Vec<String>,
    /// Whether calls to its numbers are charged to their owners (B12).
    pub inbound_charged: bool,
    /// Whether an undelivered text is refunded (M3).
    pub refund_undelivered: bool,
}

/// A user as calls and texts need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserFacts {
    /// The user.
    pub id: Id<User>,
    /// Its tenant.
    pub tenant: Id<Tenant>,
    /// User part of its address-of-record.
    pub name: String,
    /// Domain part of its address-of-record.
    pub domain: String,
    /// What callees may be shown, besides the number.
    pub display_name: Option<String>,
    /// The stricter status of user and tenant.
    pub status: AccountStatus,
    /// What pays for its calls and texts.
    pub wallet: Id<Wallet>,
    /// The wallet's currency.
    pub currency: Currency,
    /// Active numbers that it owns, the primary one first: what it may present as caller id.
    pub numbers: Vec<E164>,
    /// Its enabled devices.
    pub devices: Vec<(Id<Device>, DeviceMedia)>,
}

impl UserFacts {
    /// The address-of-record without scheme.
    pub fn address_of_record(&self) -> String {
        format!("{}@{}", self.name, self.domain)
    }

    /// The number that others see when the user chose none.
    pub fn primary_number(&self) -> Option<&E164> {
        self.numbers.first()
    }

    /// Whether the user may present `number` (T9).
    pub fn owns(&self, number: &E164) -> bool {
        self.numbers.contains(number)
    }
}
