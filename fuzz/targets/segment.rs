//! Any bytes as a segment of the log, under checksums that hold.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mainstay_queue::fuzzing::segment(bytes));
