//! What a container sends to the name server.
#![no_main]

use std::cell::OnceCell;

use netyard_dns::fuzzing;
use netyard_dns::View;

thread_local!(static VIEW: OnceCell<View> = const { OnceCell::new() });

libfuzzer_sys::fuzz_target!(|message: &[u8]| {
    VIEW.with(|view| fuzzing::question(view.get_or_init(fuzzing::view), message));
});
