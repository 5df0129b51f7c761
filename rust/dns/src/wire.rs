//! DNS messages on the wire: one question in, a handful of record types out (RFC 1035, RFC 6891).

pub(crate) const HEADER: usize = 12;
pub(crate) const NAME_MAX: usize = 255;
/// What a client without EDNS takes over UDP.
pub(crate) const UDP_PLAIN: usize = 512;
/// The most we send over UDP, whatever the client says it takes.
pub(crate) const UDP_MAX: usize = 4096;

pub(crate) const TYPE_A: u16 = 1;
pub(crate) const TYPE_PTR: u16 = 12;
pub(crate) const TYPE_AAAA: u16 = 28;
const TYPE_SOA: u16 = 6;
const TYPE_OPT: u16 = 41;
pub(crate) const CLASS_IN: u16 = 1;

pub(crate) const NOERROR: u8 = 0;
pub(crate) const FORMERR: u8 = 1;
pub(crate) const SERVFAIL: u8 = 2;
pub(crate) const NXDOMAIN: u8 = 3;
pub(crate) const NOTIMP: u8 = 4;
pub(crate) const REFUSED: u8 = 5;
/// Extended: its upper bits travel in the OPT record.
const BADVERS: u16 = 16;

const FLAG_QR: u8 = 0x80;
const FLAG_AA: u8 = 0x04;
const FLAG_TC: u8 = 0x02;
const FLAG_RD: u8 = 0x01;
const FLAG_RA: u8 = 0x80;

/// A question that can be answered or forwarded.
pub(crate) struct Query<'a> {
    /// The whole message as it came.
    pub(crate) message: &'a [u8],
    /// The name asked for, lower case, as labels with the root's at the end.
    pub(crate) name: &'a Name,
    pub(crate) kind: u16,
    /// Where the question section ends.
    pub(crate) question_end: usize,
    /// The size the client's OPT record allows, if it sent one.
    pub(crate) edns_size: Option<usize>,
}

/// What becomes of a message that is no proper question.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Judgement {
    /// A question to answer.
    Question,
    /// To be answered with an error code.
    Refuse(u8),
    /// Not worth an answer.
    Drop,
}

/// A name in wire format, lower case, in place.
pub(crate) struct Name {
    bytes: [u8; NAME_MAX],
    length: usize,
}

impl Name {
    /// Room for one, to be filled by `parse`: it is too long to be copied about.
    pub(crate) fn room() -> Self {
        Name {
            bytes: [0; NAME_MAX],
            length: 0,
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Reads a name that may not be compressed: in a question there is nothing to point back to.
    /// Returns where it ends.
    fn read(&mut self, message: &[u8], start: usize) -> Option<usize> {
        self.length = 0;
        let mut at = start;
        loop {
            let length = usize::from(*message.get(at)?);
            if length > 63 || self.length + length + 1 > NAME_MAX {
                return None;
            }
            let label = message.get(at..=at + length)?;
            let into = &mut self.bytes[self.length..=self.length + length];
            into.copy_from_slice(label);
            into[1..].make_ascii_lowercase();
            self.length += length + 1;
            at += length + 1;
            if length == 0 {
                return Some(at);
            }
        }
    }

    /// The offsets at which labels start, the root's excluded.
    pub(crate) fn label_starts(&self) -> impl Iterator<Item = usize> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            let length = usize::from(*self.bytes.get(at)?);
            if length == 0 || at >= self.length {
                return None;
            }
            let start = at;
            at += length + 1;
            Some(start)
        })
    }
}

/// Reads a question without allocating.
pub(crate) fn parse<'a>(message: &'a [u8], name: &'a mut Name) -> Result<Query<'a>, Judgement> {
    if message.len() < HEADER || message[2] & FLAG_QR != 0 {
        return Err(Judgement::Drop);
    }
    if message[2] >> 3 & 0xf != 0 {
        return Err(Judgement::Refuse(NOTIMP));
    }
    let count = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
    if count(4) != 1 || count(6) != 0 {
        return Err(Judgement::Refuse(FORMERR));
    }
    let after = name
        .read(message, HEADER)
        .ok_or(Judgement::Refuse(FORMERR))?;
    let fixed = message
        .get(after..after + 4)
        .ok_or(Judgement::Refuse(FORMERR))?;
    let kind = u16::from_be_bytes([fixed[0], fixed[1]]);
    let class = u16::from_be_bytes([fixed[2], fixed[3]]);
    let question_end = after + 4;
    let extra = usize::from(count(8)) + usize::from(count(10));
    let edns_size = read_opt(message, question_end, extra)?;
    if class != CLASS_IN {
        return Err(Judgement::Refuse(NOTIMP));
    }
    Ok(Query {
        message,
        name,
        kind,
        question_end,
        edns_size,
    })
}

/// Judges a message as the server would; for fuzzing against another implementation.
pub fn check_query(message: &[u8]) -> Judgement {
    match parse(message, &mut Name::room()) {
        Ok(_) => Judgement::Question,
        Err(judgement) => judgement,
    }
}

/// Looks for the OPT record among the additional ones; two of them are an error (RFC 6891, 6.1.1).
fn read_opt(message: &[u8], mut at: usize, records: usize) -> Result<Option<usize>, Judgement> {
    let malformed = Judgement::Refuse(FORMERR);
    let mut size = None;
    for _ in 0..records {
        let after_name = skip_name(message, at).ok_or(malformed)?;
        let fixed = message.get(after_name..after_name + 10).ok_or(malformed)?;
        let length = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        at = after_name + 10 + length;
        if at > message.len() {
            return Err(malformed);
        }
        if u16::from_be_bytes([fixed[0], fixed[1]]) != TYPE_OPT {
            continue;
        }
        if size.is_some() || after_name != at - 10 - length || message[after_name - 1] != 0 {
            return Err(malformed);
        }
        size = Some(usize::from(u16::from_be_bytes([fixed[2], fixed[3]])).max(UDP_PLAIN));
        if fixed[5] != 0 {
            return Err(Judgement::Refuse(BADVERS as u8));
        }
    }
    Ok(size)
}

/// Steps over a name, compressed or not; never follows a pointer, so it cannot loop.
pub(crate) fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*message.get(at)?);
        match length {
            0 => return Some(at + 1),
            1..=63 => at += length + 1,
            192..=255 => return (at + 2 <= message.len()).then_some(at + 2),
            _ => return None,
        }
    }
}

/// Where the question section of an upstream's answer ends, if it repeats the question asked.
///
/// Names are compared without regard to case; a server may answer in its own spelling.
pub(crate) fn repeats_question(answer: &[u8], question: &[u8]) -> bool {
    let Some(section) = answer.get(HEADER..HEADER + question.len()) else {
        return false;
    };
    answer[4..6] == [0, 1]
        && section.eq_ignore_ascii_case(question)
        && section[section.len() - 4..] == question[question.len() - 4..]
}

/// Where an answer's records have their times to live, and for how many seconds it may be kept:
/// the least of them, or, if there is no record, what the zone's SOA says (RFC 2308, 5). `None` for
/// an answer that is not to be kept.
pub(crate) fn answer_ttls(answer: &[u8]) -> Option<(Vec<u16>, u32)> {
    const POSITIVE_MAX: u32 = 3600;
    const NEGATIVE_MAX: u32 = 300;
    let rcode = rcode(answer);
    if answer.len() < HEADER || answer[2] & FLAG_TC != 0 || !matches!(rcode, NOERROR | NXDOMAIN) {
        return None;
    }
    let count = |at: usize| usize::from(u16::from_be_bytes([answer[at], answer[at + 1]]));
    let (answers, authority, additional) = (count(6), count(8), count(10));
    let mut at = skip_name(answer, HEADER)? + 4;
    let mut ttls = Vec::new();
    let (mut least, mut negative) = (POSITIVE_MAX, None);
    for index in 0..answers + authority + additional {
        let fixed_at = skip_name(answer, at)?;
        let fixed = answer.get(fixed_at..fixed_at + 10)?;
        let kind = u16::from_be_bytes([fixed[0], fixed[1]]);
        let ttl = u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
        let length = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        let data = answer.get(fixed_at + 10..fixed_at + 10 + length)?;
        at = fixed_at + 10 + length;
        if kind == TYPE_OPT {
            continue;
        }
        ttls.push(u16::try_from(fixed_at + 4).ok()?);
        if index < answers {
            least = least.min(ttl);
        } else if kind == TYPE_SOA && length >= 4 {
            let minimum = u32::from_be_bytes(data[length - 4..].try_into().ok()?);
            negative = Some(ttl.min(minimum).min(NEGATIVE_MAX));
        }
    }
    let exists = rcode == NOERROR && answers > 0;
    let seconds = if exists { least } else { negative? };
    (seconds > 0).then_some((ttls, seconds))
}

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

/// Cuts an upstream's answer to what the client takes: header and question, marked truncated.
pub(crate) fn truncate(answer: &mut Vec<u8>, question_length: usize) {
    answer.truncate(HEADER + question_length);
    answer[2] |= FLAG_TC;
    answer[6..12].fill(0);
}

/// The code of a received answer.
pub(crate) fn rcode(answer: &[u8]) -> u8 {
    answer[3] & 0xf
}

/// A domain name as text into wire format, lower case.
pub(crate) fn encode_name(text: &str) -> Option<Box<[u8]>> {
    let mut wire = Vec::with_capacity(text.len() + 2);
    for label in text.strip_suffix('.').unwrap_or(text).split('.') {
        if label.is_empty() || label.len() > 63 {
            return None;
        }
        wire.push(label.len() as u8);
        wire.extend(label.to_ascii_lowercase().as_bytes());
    }
    wire.push(0);
    (wire.len() <= NAME_MAX).then(|| wire.into())
}

/// The same, spelling kept: what a PTR record says.
pub(crate) fn encode_name_as_is(text: &str) -> Option<Box<[u8]>> {
    let mut wire = encode_name(text)?;
    for (at, byte) in text.bytes().enumerate() {
        if byte != b'.' {
            wire[at + 1] = byte;
        }
    }
    Some(wire)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(name: &str, kind: u16) -> Vec<u8> {
        let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        message.extend(encode_name_as_is(name).unwrap());
        message.extend([0, kind as u8, 0, 1]);
        message
    }

    #[test]
    fn reads_a_question_in_lower_case() {
        let message = question("WeB.My-Net", TYPE_A);
        let mut room = Name::room();
        let query = parse(&message, &mut room).ok().unwrap();
        assert_eq!(query.name.bytes(), b"\x03web\x06my-net\x00");
        assert_eq!(query.name.label_starts().collect::<Vec<_>>(), [0, 4]);
        assert_eq!(query.question_end, message.len());
    }

    #[test]
    fn judges_what_is_no_question() {
        let good = question("web", TYPE_A);
        let judged = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut message = good.clone();
            change(&mut message);
            check_query(&message)
        };
        assert_eq!(judged(&|_| {}), Judgement::Question);
        assert_eq!(judged(&|m| m.truncate(11)), Judgement::Drop);
        assert_eq!(judged(&|m| m[2] |= 0x80), Judgement::Drop);
        assert_eq!(judged(&|m| m[2] |= 0x10), Judgement::Refuse(NOTIMP));
        assert_eq!(judged(&|m| m[5] = 2), Judgement::Refuse(FORMERR));
        assert_eq!(judged(&|m| m[5] = 0), Judgement::Refuse(FORMERR));
        assert_eq!(judged(&|m| m[12] = 0xc0), Judgement::Refuse(FORMERR));
        assert_eq!(
            judged(&|m| m.truncate(m.len() - 1)),
            Judgement::Refuse(FORMERR)
        );
        assert_eq!(
            judged(&|m| *m.last_mut().unwrap() = 3),
            Judgement::Refuse(NOTIMP)
        );
        assert_eq!(judged(&|m| m[11] = 1), Judgement::Refuse(FORMERR));
    }

    #[test]
    fn edns_size_is_at_least_plain() {
        let mut message = question("web", TYPE_A);
        message[11] = 1;
        message.extend([0, 0, 41, 0, 100, 0, 0, 0, 0, 0, 0]);
        let mut room = Name::room();
        let query = parse(&message, &mut room).ok().unwrap();
        assert_eq!(query.edns_size, Some(UDP_PLAIN));
        let version = message.len() - 5;
        message[version] = 1;
        assert_eq!(check_query(&message), Judgement::Refuse(BADVERS as u8));
    }

    #[test]
    #[cfg_attr(miri, ignore = "many inputs, and nothing unsafe")]
    fn no_byte_string_makes_the_parser_panic() {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        for round in 0..200_000 {
            let mut message = question("a.web.example", TYPE_A);
            for _ in 0..round % 9 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let at = (state >> 8) as usize % message.len();
                message[at] = state as u8;
                if state & 0xf00 == 0 {
                    message.truncate(at);
                    if message.is_empty() {
                        break;
                    }
                }
            }
            check_query(&message);
        }
    }

    #[test]
    fn an_answer_must_repeat_the_question() {
        let asked = question("web.example", TYPE_A);
        let mut answer = question("WEB.example", TYPE_A);
        assert!(repeats_question(&answer, &asked[HEADER..]));
        *answer.last_mut().unwrap() = 2;
        assert!(!repeats_question(&answer, &asked[HEADER..]));
        assert!(!repeats_question(
            &question("wob.example", TYPE_A),
            &asked[HEADER..]
        ));
        assert!(!repeats_question(&answer[..20], &asked[HEADER..]));
    }
}
