//! smpp-gateway
