//! Any bytes as one SIP message: every view is read, and what passes validation is answered, forwarded and read again.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| sip_proto::message::exercise(Bytes::copy_from_slice(data)));
