//! What an upstream answers: a byte that says how long the question is, the question, the answer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| netyard_dns::fuzzing::upstream(input));
