//! stun-proto
