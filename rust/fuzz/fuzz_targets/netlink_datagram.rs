//! What the kernel sends on a netlink socket.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netyard_netlink::fuzzing::datagram(bytes));
