//! Kernel randomness, drawn in blocks: query ids must not be guessable (RFC 5452).

/// A block of random bytes that refills itself.
pub(crate) struct Random {
    block: [u8; 256],
    used: usize,
}

impl Random {
    pub(crate) fn new() -> Self {
        Random {
            block: [0; 256],
            used: 256,
        }
    }

    /// A random 16-bit number.
    pub(crate) fn id(&mut self) -> u16 {
        if self.used + 2 > self.block.len() {
            // Without randomness nothing may be forwarded; a panic ends the thread, not the host.
            if getrandom::fill(&mut self.block).is_err() {
                std::process::abort();
            }
            self.used = 0;
        }
        let id = u16::from_ne_bytes([self.block[self.used], self.block[self.used + 1]]);
        self.used += 2;
        id
    }
}
