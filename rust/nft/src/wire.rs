//! Writing netlink attributes the way nf_tables wants them: integers in network order.

/// A message body in the making.
#[derive(Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

const NLA_F_NESTED: u16 = 0x8000;

impl Writer {
    /// Starts a body with the family header (`struct nfgenmsg`).
    pub(crate) fn with_family(family: u8, resource: u16) -> Self {
        let mut bytes = vec![family, 0];
        bytes.extend(resource.to_be_bytes());
        Writer { bytes }
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn raw(&mut self, kind: u16, value: &[u8]) {
        self.bytes.extend(((value.len() + 4) as u16).to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
        self.bytes.resize((self.bytes.len() + 3) & !3, 0);
    }

    /// A NUL-terminated string.
    pub(crate) fn text(&mut self, kind: u16, value: &str) {
        let mut bytes = Vec::with_capacity(value.len() + 1);
        bytes.extend(value.as_bytes());
        bytes.push(0);
        self.raw(kind, &bytes);
    }

    pub(crate) fn be32(&mut self, kind: u16, value: u32) {
        self.raw(kind, &value.to_be_bytes());
    }

    /// An attribute that holds what `fill` writes.
    pub(crate) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.raw(kind | NLA_F_NESTED, &[]);
        fill(self);
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }
}
