//! Answers of our own, built in buffers of the caller's: a handful of record types.

use crate::wire::*;

/// Builds one answer in a buffer of the caller's.
pub(crate) struct Answer<'b> {
    out: &'b mut [u8],
    length: usize,
    limit: usize,
    records: u16,
    has_edns: bool,
}

/// Space kept for the OPT record.
const OPT_LENGTH: usize = 11;
/// A record whose name points at the question: pointer, type, class, TTL, length.
const RECORD_FIXED: usize = 12;

impl<'b> Answer<'b> {
    /// Starts with the header and the question as the client spelled it.
    pub(crate) fn new(query: &Query<'_>, out: &'b mut [u8], limit: usize) -> Self {
        out[..query.question_end].copy_from_slice(&query.message[..query.question_end]);
        // Recursion desired is echoed, checking disabled too; nothing here is authenticated.
        out[2] = FLAG_QR | FLAG_AA | query.message[2] & FLAG_RD;
        out[3] = FLAG_RA | query.message[3] & 0x10;
        out[6..12].fill(0);
        let has_edns = query.edns_size.is_some();
        let limit = limit.min(out.len()) - if has_edns { OPT_LENGTH } else { 0 };
        Answer {
            out,
            length: query.question_end,
            limit,
            records: 0,
            has_edns,
        }
    }

    /// Not ours: an answer that speaks for an upstream that could not be asked.
    pub(crate) fn not_authoritative(self) -> Self {
        self.out[2] &= !FLAG_AA;
        self
    }

    pub(crate) fn record(&mut self, kind: u16, ttl: u32, data: &[u8]) {
        let end = self.length + RECORD_FIXED + data.len();
        if end > self.limit {
            self.out[2] |= FLAG_TC;
            return;
        }
        let at = &mut self.out[self.length..end];
        at[..2].copy_from_slice(&[0xc0, HEADER as u8]);
        at[2..4].copy_from_slice(&kind.to_be_bytes());
        at[4..6].copy_from_slice(&CLASS_IN.to_be_bytes());
        at[6..10].copy_from_slice(&ttl.to_be_bytes());
        at[10..12].copy_from_slice(&(data.len() as u16).to_be_bytes());
        at[12..].copy_from_slice(data);
        self.length = end;
        self.records += 1;
    }

    /// Completes the message and returns its length.
    pub(crate) fn finish(self, rcode: u8) -> usize {
        self.out[3] |= rcode;
        self.out[6..8].copy_from_slice(&self.records.to_be_bytes());
        if !self.has_edns {
            return self.length;
        }
        self.out[10..12].copy_from_slice(&[0, 1]);
        let opt = &mut self.out[self.length..self.length + OPT_LENGTH];
        opt.copy_from_slice(&opt_record(0));
        self.length + OPT_LENGTH
    }
}

fn opt_record(extended_rcode: u8) -> [u8; OPT_LENGTH] {
    let size = (UDP_MAX as u16).to_be_bytes();
    [
        0,
        0,
        TYPE_OPT as u8,
        size[0],
        size[1],
        extended_rcode,
        0,
        0,
        0,
        0,
        0,
    ]
}

/// An error answer to a message that was judged unfit; returns its length.
pub(crate) fn refuse(message: &[u8], rcode: u8, out: &mut [u8]) -> usize {
    out[..HEADER].copy_from_slice(&message[..HEADER]);
    out[2] = FLAG_QR | message[2] & (0x78 | FLAG_RD);
    out[3] = FLAG_RA | rcode & 0xf;
    out[4..12].fill(0);
    if u16::from(rcode) != BADVERS {
        return HEADER;
    }
    out[10..12].copy_from_slice(&[0, 1]);
    out[HEADER..HEADER + OPT_LENGTH].copy_from_slice(&opt_record((BADVERS >> 4) as u8));
    HEADER + OPT_LENGTH
}
