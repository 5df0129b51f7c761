//! DNS messages on the wire: numbers, names, and the one question that is read (RFC 1035, RFC 6891).

pub(crate) const HEADER: usize = 12;
pub(crate) const NAME_MAX: usize = 255;
/// What a client without EDNS takes over UDP.
pub(crate) const UDP_PLAIN: usize = 512;
/// The most we send over UDP, whatever the client says it takes.
pub(crate) const UDP_MAX: usize = 4096;

pub(crate) const TYPE_A: u16 = 1;
pub(crate) const TYPE_PTR: u16 = 12;
pub(crate) const TYPE_AAAA: u16 = 28;
pub(crate) const TYPE_SOA: u16 = 6;
pub(crate) const TYPE_OPT: u16 = 41;
pub(crate) const CLASS_IN: u16 = 1;

pub(crate) const NOERROR: u8 = 0;
pub(crate) const FORMERR: u8 = 1;
pub(crate) const SERVFAIL: u8 = 2;
pub(crate) const NXDOMAIN: u8 = 3;
pub(crate) const NOTIMP: u8 = 4;
pub(crate) const REFUSED: u8 = 5;
/// Extended: its upper bits travel in the OPT record.
pub(crate) const BADVERS: u16 = 16;

pub(crate) const FLAG_QR: u8 = 0x80;
pub(crate) const FLAG_AA: u8 = 0x04;
pub(crate) const FLAG_TC: u8 = 0x02;
pub(crate) const FLAG_RD: u8 = 0x01;
pub(crate) const FLAG_RA: u8 = 0x80;

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
pub(crate) mod tests {
    use super::*;

    /// A question as a client sends it, of class IN.
    pub(crate) fn question(name: &str, kind: u16) -> Vec<u8> {
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
}
