//! Attribute types and error codes of RFC 8489 §18.3 and RFC 8656 §18. Values are read by [`crate::Message`].

/// MAPPED-ADDRESS.
pub const MAPPED_ADDRESS: u16 = 0x0001;
/// USERNAME, UTF-8, under 509 bytes.
pub const USERNAME: u16 = 0x0006;
/// MESSAGE-INTEGRITY, HMAC-SHA1, 20 bytes.
pub const MESSAGE_INTEGRITY: u16 = 0x0008;
/// ERROR-CODE.
pub const ERROR_CODE: u16 = 0x0009;
/// UNKNOWN-ATTRIBUTES, 16-bit types.
pub const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
/// CHANNEL-NUMBER, 16 bits and 16 reserved ones.
pub const CHANNEL_NUMBER: u16 = 0x000c;
/// LIFETIME, seconds, 32 bits.
pub const LIFETIME: u16 = 0x000d;
/// XOR-PEER-ADDRESS.
pub const XOR_PEER_ADDRESS: u16 = 0x0012;
/// DATA, the payload of an indication.
pub const DATA: u16 = 0x0013;
/// REALM.
pub const REALM: u16 = 0x0014;
/// NONCE.
pub const NONCE: u16 = 0x0015;
/// XOR-RELAYED-ADDRESS.
pub const XOR_RELAYED_ADDRESS: u16 = 0x0016;
/// REQUESTED-ADDRESS-FAMILY, one byte (1 = IPv4, 2 = IPv6) and three reserved ones.
pub const REQUESTED_ADDRESS_FAMILY: u16 = 0x0017;
/// EVEN-PORT, one byte whose top bit asks to reserve the next port.
pub const EVEN_PORT: u16 = 0x0018;
/// REQUESTED-TRANSPORT, one byte (17 = UDP) and three reserved ones.
pub const REQUESTED_TRANSPORT: u16 = 0x0019;
/// DONT-FRAGMENT.
pub const DONT_FRAGMENT: u16 = 0x001a;
/// MESSAGE-INTEGRITY-SHA256, HMAC-SHA256 cut to 16, 20, … 32 bytes.
pub const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;
/// PASSWORD-ALGORITHM.
pub const PASSWORD_ALGORITHM: u16 = 0x001d;
/// USERHASH, 32 bytes.
pub const USERHASH: u16 = 0x001e;
/// XOR-MAPPED-ADDRESS.
pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
/// RESERVATION-TOKEN, 8 bytes.
pub const RESERVATION_TOKEN: u16 = 0x0022;
/// ADDITIONAL-ADDRESS-FAMILY, as REQUESTED-ADDRESS-FAMILY, only IPv6.
pub const ADDITIONAL_ADDRESS_FAMILY: u16 = 0x8000;
/// ADDRESS-ERROR-CODE: one family of a double request was refused.
pub const ADDRESS_ERROR_CODE: u16 = 0x8001;
/// SOFTWARE.
pub const SOFTWARE: u16 = 0x8022;
/// FINGERPRINT, CRC-32 xor 0x5354554e, always last.
pub const FINGERPRINT: u16 = 0x8028;

/// Types below this must be understood by the receiver (RFC 8489 §14).
pub const COMPREHENSION_OPTIONAL: u16 = 0x8000;

/// REQUESTED-TRANSPORT for UDP (its IANA protocol number).
pub const TRANSPORT_UDP: u8 = 17;
/// Address family of IPv4 in addresses and family requests.
pub const FAMILY_IPV4: u8 = 1;
/// Address family of IPv6 in addresses and family requests.
pub const FAMILY_IPV6: u8 = 2;
