//! Things found again by a token, which an event or a deadline can carry.

/// A token: where the entry is, and which of the entries that were ever there it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Token(u64);

impl Token {
    pub(crate) fn raw(self) -> u64 {
        self.0
    }

    pub(crate) fn from_raw(raw: u64) -> Self {
        Token(raw)
    }

    fn index(self) -> usize {
        (self.0 & 0xffff_ffff) as usize
    }

    fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// Entries with stable places; a place is used again under a new generation, so that an event or
/// a deadline of the one before is recognised as stale.
pub(crate) struct Slab<T> {
    entries: Vec<(u32, Option<T>)>,
    free: Vec<usize>,
}

impl<T> Slab<T> {
    pub(crate) fn new() -> Self {
        Slab {
            entries: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(crate) fn insert(&mut self, value: T) -> Token {
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push((0, None));
            self.entries.len() - 1
        });
        let entry = &mut self.entries[index];
        entry.0 = entry.0.wrapping_add(1);
        entry.1 = Some(value);
        Token(u64::from(entry.0) << 32 | index as u64)
    }

    pub(crate) fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        let (generation, value) = self.entries.get_mut(token.index())?;
        if *generation != token.generation() {
            return None;
        }
        value.as_mut()
    }

    pub(crate) fn remove(&mut self, token: Token) -> Option<T> {
        let (generation, value) = self.entries.get_mut(token.index())?;
        if *generation != token.generation() {
            return None;
        }
        let value = value.take()?;
        self.free.push(token.index());
        Some(value)
    }
}
