//! What the targets of `rust/fuzz` call: everything here that reads what the kernel sends.

/// A chain, as the kernel describes it.
pub fn chain(bytes: &[u8]) {
    let _ = crate::listing::describe(bytes);
}
