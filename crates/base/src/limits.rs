//! Every protocol maximum in one place, with its reason. What comes in over a limit is refused, never truncated.

/// Longest SIP message taken from the wire, bytes: a UDP datagram cannot be longer, and streams get the same bound.
pub const SIP_MESSAGE_BYTES_MAX: usize = 65_535;
/// Most header lines in one SIP message; real ones have under 60.
pub const SIP_HEADERS_MAX: usize = 256;
/// Max-Forwards of requests that we originate (RFC 3261 §8.1.1.6).
pub const SIP_MAX_FORWARDS: u8 = 70;
/// Most transactions in one endpoint (= shard); about 2 kB each. Over it, new requests get 503.
pub const SIP_TRANSACTIONS_MAX: usize = 200_000;
/// Most bindings of one address-of-record; over it REGISTER gets 403 naming the limit.
pub const SIP_BINDINGS_PER_USER_MAX: usize = 10;
/// Most legs that one call tries at the same time.
pub const CALL_PARALLEL_LEGS_MAX: usize = 16;
/// Most calls in one shard; over it a new INVITE gets 503.
pub const CALLS_PER_SHARD_MAX: usize = 50_000;
/// Most forwards that one call may follow, before it counts as a loop.
pub const CALL_FORWARDS_MAX: u8 = 5;
/// Longest SDP body, bytes: WebRTC offers with many candidates reach 10 kB.
pub const SDP_BYTES_MAX: usize = 32_768;
/// Most media sections in one SDP.
pub const SDP_MEDIA_MAX: usize = 32;
/// Longest RTP packet that the relay forwards, bytes: the usual MTU and some room for SRTP tags.
pub const RTP_PACKET_BYTES_MAX: usize = 2_048;
/// Longest STUN message, bytes (20-byte header and what an MTU holds, RFC 8489 §6.1, with room for TCP).
pub const STUN_MESSAGE_BYTES_MAX: usize = 4_096;
/// Longest SMPP PDU, bytes: message_payload holds 64 KiB at most, with other TLVs beside it.
pub const SMPP_PDU_BYTES_MAX: usize = 131_072;
/// Most segments of one text message (8-bit reference, 3GPP TS 23.040 §9.2.3.24.1 allows 255; carriers take 10).
pub const SMS_SEGMENTS_MAX: usize = 10;
/// Longest text message body that the API takes, UTF-8 bytes: ten segments of GSM-7 need 1,530 characters.
pub const SMS_BODY_BYTES_MAX: usize = 6_120;
/// Longest request body of the API, bytes; uploads have limits of their own.
pub const API_BODY_BYTES_MAX: usize = 1_048_576;
/// Longest queue between an edge and a shard, messages; when full, new requests get 503 with Retry-After.
pub const SHARD_QUEUE_MAX: usize = 8_192;
/// Events kept for a slow subscriber; over it the subscriber is told how many it missed.
pub const EVENT_RING_MAX: usize = 65_536;
