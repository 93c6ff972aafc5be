//! The business, pure: who owns what, what a call or a text costs, where it goes, and the ports through which services
//! reach each other. No I/O, no clock, no SQL: time comes in as an argument, facts come in as values.

pub mod account;
pub mod call_record;
pub mod event;
pub mod number;
pub mod ports;
pub mod rate;
pub mod route;
pub mod rule;
pub mod sms;
pub mod trunk;
pub mod wallet;
