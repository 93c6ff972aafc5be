//! turn-server
