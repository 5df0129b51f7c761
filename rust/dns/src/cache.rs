//! Answers of upstreams, kept for as long as they say (RFC 1035, RFC 2308).
//!
//! A key is who is asked and the whole question but for its id, so that an answer only ever goes to
//! a client that asked in the same way, of the same servers. Two generations bound the memory: when
//! the young one is full it becomes the old one, and what nobody asks for again goes with that.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::upstream::answer_ttls;
use crate::wire::{Query, HEADER, NAME_MAX};

/// Answers in one generation, and bytes in them.
const ENTRIES_MAX: usize = 2048;
const BYTES_MAX: usize = 1 << 20;
const ANSWER_MAX: usize = 4096;

/// Who is asked: the host's servers, or those of one container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    Host,
    Own(u64),
}

/// What a question must have in common with the one that was answered: all but its id.
pub(crate) struct Key {
    asked: Asked,
    question: [u8; QUESTION_MAX],
    length: usize,
}

/// Of whom, and whether over TCP.
type Asked = (Scope, bool);

/// A question without its id, and the OPT record without options.
const QUESTION_MAX: usize = HEADER - 2 + NAME_MAX + 4 + BARE_OPT;
const BARE_OPT: usize = 11;

struct Entry {
    answer: Box<[u8]>,
    /// Where the answer's records have their times to live.
    ttls: Box<[u16]>,
    since: Instant,
    until: Instant,
}

#[derive(Default)]
struct Generation {
    entries: HashMap<Asked, HashMap<Box<[u8]>, Entry>>,
    count: usize,
    bytes: usize,
}

impl Generation {
    fn get(&self, key: &Key) -> Option<&Entry> {
        self.entries.get(&key.asked)?.get(key.question())
    }
}

/// The answers one thread remembers.
#[derive(Default)]
pub(crate) struct Cache {
    young: Generation,
    old: Generation,
    host_servers: Arc<Vec<SocketAddr>>,
}

impl Key {
    /// The key of a question; `None` for one whose answer is for this client alone.
    pub(crate) fn new(scope: Scope, over_tcp: bool, query: &Query<'_>) -> Option<Self> {
        if query.message.len() > query.question_end + BARE_OPT {
            // Options such as cookies or a client's subnet (RFC 7873, RFC 7871).
            return None;
        }
        let mut key = Key {
            asked: (scope, over_tcp),
            question: [0; QUESTION_MAX],
            length: query.message.len() - 2,
        };
        key.question[..key.length].copy_from_slice(&query.message[2..]);
        let name_end = query.question_end - 4 - 2;
        key.question[HEADER - 2..name_end].make_ascii_lowercase();
        Some(key)
    }

    fn question(&self) -> &[u8] {
        &self.question[..self.length]
    }
}

impl Cache {
    /// Forgets what other servers of the host have said.
    pub(crate) fn follow(&mut self, host_servers: &Arc<Vec<SocketAddr>>) {
        if !Arc::ptr_eq(&self.host_servers, host_servers) {
            *self = Cache {
                host_servers: host_servers.clone(),
                ..Cache::default()
            };
        }
    }

    /// Writes the answer to a question, as if it had come just now: its id and spelling are the
    /// client's, its times to live what is left of them. Returns its length.
    pub(crate) fn get(
        &self,
        key: &Key,
        query: &Query<'_>,
        now: Instant,
        out: &mut [u8],
    ) -> Option<usize> {
        let entry = self.young.get(key).or_else(|| self.old.get(key))?;
        if entry.until <= now {
            return None;
        }
        let answer = out.get_mut(..entry.answer.len())?;
        answer.copy_from_slice(&entry.answer);
        answer[..2].copy_from_slice(&query.message[..2]);
        let name = HEADER..query.question_end - 4;
        answer[name.clone()].copy_from_slice(&query.message[name]);
        let age = now.saturating_duration_since(entry.since).as_secs() as u32;
        for at in entry.ttls.iter().map(|at| usize::from(*at)) {
            let left =
                u32::from_be_bytes([answer[at], answer[at + 1], answer[at + 2], answer[at + 3]]);
            answer[at..at + 4].copy_from_slice(&left.saturating_sub(age).to_be_bytes());
        }
        Some(answer.len())
    }

    /// Remembers an answer, if it may be.
    pub(crate) fn put(&mut self, key: &Key, answer: &[u8], now: Instant) {
        if answer.len() > ANSWER_MAX {
            return;
        }
        let Some((ttls, seconds)) = answer_ttls(answer) else {
            return;
        };
        if self.young.count >= ENTRIES_MAX || self.young.bytes >= BYTES_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.bytes += answer.len() + key.length;
        let entry = Entry {
            answer: answer.into(),
            ttls: ttls.into(),
            since: now,
            until: now + Duration::from_secs(seconds.into()),
        };
        let answers = self.young.entries.entry(key.asked).or_default();
        if answers.insert(key.question().into(), entry).is_none() {
            self.young.count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{parse, Name};

    fn question(name: &[u8]) -> Vec<u8> {
        let mut message = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        message.extend(name);
        message.extend([0, 1, 0, 1]);
        message
    }

    fn answered(question: &[u8], rcode: u8, records: &[(u16, u32, &[u8])]) -> Vec<u8> {
        let mut answer = question.to_vec();
        answer[2] |= 0x80;
        answer[3] = rcode;
        for (kind, ttl, data) in records {
            answer[if *kind == 6 { 9 } else { 7 }] += 1;
            answer.extend([0xc0, 12]);
            answer.extend(kind.to_be_bytes());
            answer.extend([0, 1]);
            answer.extend(ttl.to_be_bytes());
            answer.extend((data.len() as u16).to_be_bytes());
            answer.extend(*data);
        }
        answer
    }

    fn lookup(cache: &Cache, scope: Scope, message: &[u8], now: Instant) -> Option<Vec<u8>> {
        let mut room = Name::room();
        let query = parse(message, &mut room).ok()?;
        let mut out = [0; 512];
        let length = cache.get(&Key::new(scope, false, &query)?, &query, now, &mut out)?;
        Some(out[..length].to_vec())
    }

    fn remember(cache: &mut Cache, message: &[u8], answer: &[u8], now: Instant) {
        let mut room = Name::room();
        let query = parse(message, &mut room).ok().unwrap();
        cache.put(&Key::new(Scope::Host, false, &query).unwrap(), answer, now);
    }

    #[test]
    fn answers_age_and_end() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        let asked = question(b"\x03web\x00");
        remember(
            &mut cache,
            &asked,
            &answered(&asked, 0, &[(1, 60, &[1, 2, 3, 4])]),
            now,
        );
        let mut other = question(b"\x03WEB\x00");
        other[..2].copy_from_slice(&[9, 9]);
        let later = lookup(&cache, Scope::Host, &other, now + Duration::from_secs(20)).unwrap();
        assert_eq!(later[..2], [9, 9]);
        assert_eq!(&later[12..17], b"\x03WEB\x00");
        assert_eq!(later[27..31], 40u32.to_be_bytes());
        assert!(lookup(&cache, Scope::Host, &asked, now + Duration::from_secs(60)).is_none());
        assert!(lookup(&cache, Scope::Own(3), &asked, now).is_none());
    }

    #[test]
    fn what_must_not_be_kept_is_not() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        let asked = question(b"\x01a\x00");
        // SERVFAIL, no SOA to say how long a name does not exist, a time to live of zero.
        for answer in [
            answered(&asked, 2, &[(1, 60, &[1, 2, 3, 4])]),
            answered(&asked, 3, &[]),
            answered(&asked, 0, &[(1, 0, &[1, 2, 3, 4])]),
        ] {
            remember(&mut cache, &asked, &answer, now);
            assert!(lookup(&cache, Scope::Host, &asked, now).is_none());
        }
        let mut truncated = answered(&asked, 0, &[(1, 60, &[1, 2, 3, 4])]);
        truncated[2] |= 2;
        remember(&mut cache, &asked, &truncated, now);
        assert!(lookup(&cache, Scope::Host, &asked, now).is_none());
    }

    #[test]
    fn a_missing_name_is_kept_as_long_as_its_zone_says() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        let asked = question(b"\x01a\x00");
        let mut soa = vec![0, 0];
        for number in [1u32, 2, 3, 4, 5] {
            soa.extend(number.to_be_bytes());
        }
        remember(
            &mut cache,
            &asked,
            &answered(&asked, 3, &[(6, 600, &soa)]),
            now,
        );
        assert!(lookup(&cache, Scope::Host, &asked, now + Duration::from_secs(4)).is_some());
        assert!(lookup(&cache, Scope::Host, &asked, now + Duration::from_secs(5)).is_none());
    }

    #[test]
    #[cfg_attr(miri, ignore = "many answers, and nothing unsafe")]
    fn memory_is_bounded() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        for number in 0..3 * ENTRIES_MAX as u32 {
            let digits = number.to_be_bytes();
            let name = [4, digits[0] | 65, digits[1] | 65, digits[2], digits[3], 0];
            let asked = question(&name);
            remember(
                &mut cache,
                &asked,
                &answered(&asked, 0, &[(1, 60, &[1, 2, 3, 4])]),
                now,
            );
        }
        let kept = |each: &Generation| each.entries.values().map(HashMap::len).sum::<usize>();
        assert_eq!(kept(&cache.young), cache.young.count);
        assert!(kept(&cache.young) + kept(&cache.old) <= 2 * ENTRIES_MAX);
    }
}
