//! Rules of a system call filter, and a call.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netyard_netns::fuzzing::filter(bytes));
