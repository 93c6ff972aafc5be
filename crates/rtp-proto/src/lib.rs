//! rtp-proto
