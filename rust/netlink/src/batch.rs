//! Many requests in one write: built here, sent by `Socket::run`.

use std::ops::Range;

use netlink_packet_core::NetlinkSerializable;
use netlink_packet_route::RouteNetlinkMessage;

use crate::subject::Subject;

pub(crate) const NLM_F_REQUEST: u16 = 1;
pub(crate) const NLM_F_ACK: u16 = 4;
pub(crate) const NLM_F_DUMP: u16 = 0x300;
pub(crate) const NLM_F_EXCL: u16 = 0x200;
pub(crate) const NLM_F_CREATE: u16 = 0x400;
pub(crate) const NLM_F_REPLACE: u16 = 0x100;
pub(crate) const NLM_F_APPEND: u16 = 0x800;

/// Requests waiting to be sent together.
#[derive(Default)]
pub struct Batch {
    pub(crate) bytes: Vec<u8>,
    pub(crate) requests: Vec<Request>,
}

/// Where one request of a batch begins, and what it is about.
pub(crate) struct Request {
    pub(crate) start: usize,
    pub(crate) subject: Subject,
    pub(crate) wants_ack: bool,
}

impl Batch {
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// The number of requests.
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Appends an rtnetlink request that is to be acknowledged.
    pub(crate) fn push(&mut self, subject: Subject, message: &RouteNetlinkMessage, flags: u16) {
        let start = self.begin(message.message_type(), flags | NLM_F_ACK);
        let at = self.bytes.len();
        self.bytes.resize(at + message.buffer_len(), 0);
        message.serialize(&mut self.bytes[at..]);
        self.end(start, subject, true);
    }

    /// Appends a request whose payload is already bytes; `ack` asks for an acknowledgement.
    pub fn push_raw(&mut self, subject: Subject, kind: u16, flags: u16, payload: &[u8], ack: bool) {
        let start = self.begin(kind, if ack { flags | NLM_F_ACK } else { flags });
        self.bytes.extend_from_slice(payload);
        self.end(start, subject, ack);
    }

    /// The requests from `begin` on of which at most so many want an acknowledgement.
    pub(crate) fn portion(&self, begin: usize, answers: usize) -> Range<usize> {
        let mut wanting = 0;
        let rest = &self.requests[begin..];
        let taken = rest.iter().take_while(|request| {
            wanting += usize::from(request.wants_ack);
            wanting <= answers
        });
        begin..begin + taken.count()
    }

    /// The bytes of some requests.
    pub(crate) fn bytes_of(&self, portion: &Range<usize>) -> &[u8] {
        let start = |index: usize| self.requests.get(index).map(|request| request.start);
        let end = start(portion.end).unwrap_or(self.bytes.len());
        &self.bytes[start(portion.start).unwrap_or(end)..end]
    }

    fn begin(&mut self, kind: u16, flags: u16) -> usize {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&0u32.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes
            .extend_from_slice(&(flags | NLM_F_REQUEST).to_ne_bytes());
        // Sequence number and port id: the former is filled in when sent, the latter by the kernel.
        self.bytes.extend_from_slice(&[0; 8]);
        start
    }

    fn end(&mut self, start: usize, subject: Subject, wants_ack: bool) {
        let length = (self.bytes.len() - start) as u32;
        self.bytes[start..start + 4].copy_from_slice(&length.to_ne_bytes());
        self.bytes.resize((self.bytes.len() + 3) & !3, 0);
        self.requests.push(Request {
            start,
            subject,
            wants_ack,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_are_cut_before_what_cannot_be_awaited() {
        let mut batch = Batch::new();
        for wants_ack in [true, false, true, true, false] {
            batch.push_raw(Subject::other("test", ""), 1, 0, &[7; 5], wants_ack);
        }
        let first = batch.portion(0, 2);
        let second = batch.portion(first.end, 2);
        assert_eq!((first.clone(), second.clone()), (0..3, 3..5));
        assert_eq!(batch.bytes_of(&first).len(), 3 * 24);
        assert_eq!(batch.bytes_of(&second).len(), 2 * 24);
    }
}
