//! Octets to every parser of `smpp-proto`; what must hold is written once, beside the corpus replay.
#![no_main]

#[path = "../../crates/smpp-proto/tests/check/mod.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| check::all(octets));
