//! smpp-proto
