//! What upstream servers answer: whether it is the answer, and for how long it is one.

use crate::wire::*;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tests::question;

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
