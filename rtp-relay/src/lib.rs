//! rtp-relay
