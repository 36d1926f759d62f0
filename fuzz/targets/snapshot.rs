//! Any bytes as a snapshot, under a checksum that holds.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mainstay_queue::fuzzing::snapshot(bytes));
