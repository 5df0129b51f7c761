//! What `rust/fuzz` feeds with bytes it thinks of.

use crate::seccomp::checking::{Subject, NATIVE};

/// A number of a call, two of its arguments, and rules, which mean the same compiled or not.
pub fn filter(bytes: &[u8]) {
    let Some((head, text)) = bytes.split_at_checked(20) else {
        return;
    };
    let Some(subject) = std::str::from_utf8(text).ok().and_then(Subject::new) else {
        return;
    };
    let word = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().unwrap_or_default());
    let number = word(0) as u32;
    let arguments = [word(4), word(12), word(4), word(12), u64::MAX, 0];
    for architecture in [NATIVE, 0x4000_0003] {
        for number in (0..500).step_by(7).chain([number, number % 480, u32::MAX]) {
            let meant = subject.meant(architecture, number, arguments);
            let returned = subject.returned(architecture, number, arguments);
            assert_eq!(returned, Some(meant), "call {number} with {arguments:x?}");
        }
    }
}
