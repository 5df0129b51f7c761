//! A chain of somebody's firewall, as nf_tables describes it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netyard_nft::fuzzing::chain(bytes));
