//! Any bytes as FORMAT, the head of a segment, the watermark, and the payload of a record, which is a body's header.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    mainstay_queue::fuzzing::head(bytes);
    mainstay_queue::fuzzing::record(bytes);
});
