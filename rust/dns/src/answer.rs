//! Answers from memory: what is ours is answered here, and only what is not is forwarded.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::builder::{refuse, Answer};
use crate::view::{Upstreams, View};
use crate::wire::*;

/// What is to be done about a query.
pub(crate) enum Outcome {
    /// Send this many bytes of the buffer.
    Reply(usize),
    /// Ask an upstream.
    Forward,
    Drop,
}

/// Judges a message and answers it if it can be answered here.
///
/// `limit` is what the transport carries at most; over UDP the client's own limit counts too.
pub(crate) fn answer(
    view: &View,
    message: &[u8],
    out: &mut [u8],
    over_tcp: bool,
    turn: usize,
) -> Outcome {
    let mut room = Name::room();
    let query = match parse(message, &mut room) {
        Ok(query) => query,
        Err(Judgement::Refuse(rcode)) => return Outcome::Reply(refuse(message, rcode, out)),
        Err(_) => return Outcome::Drop,
    };
    let limit = if over_tcp {
        out.len()
    } else {
        udp_limit(&query)
    };
    if let Some(length) = answer_name(view, &query, out, limit, turn) {
        return Outcome::Reply(length);
    }
    if query.kind == TYPE_PTR {
        if let Some(length) = answer_reverse(view, &query, out, limit) {
            return Outcome::Reply(length);
        }
    }
    let is_single_label = query.name.label_starts().count() == 1;
    if view.keeps_single_labels && is_single_label && matches!(query.kind, TYPE_A | TYPE_AAAA) {
        return Outcome::Reply(Answer::new(&query, out, limit).finish(NOERROR));
    }
    if view.upstreams == Upstreams::Nobody {
        return Outcome::Reply(fail(&query, out, SERVFAIL));
    }
    Outcome::Forward
}

/// An answer that only says why there is none.
pub(crate) fn fail(query: &Query<'_>, out: &mut [u8], rcode: u8) -> usize {
    Answer::new(query, out, UDP_PLAIN)
        .not_authoritative()
        .finish(rcode)
}

/// What this client takes over UDP.
pub(crate) fn udp_limit(query: &Query<'_>) -> usize {
    query.edns_size.unwrap_or(UDP_PLAIN).min(UDP_MAX)
}

/// Answers a name that is ours, with no record if it has none of that type: names of containers
/// are never asked of anybody else (contract DN8, DN10).
fn answer_name(
    view: &View,
    query: &Query<'_>,
    out: &mut [u8],
    limit: usize,
    turn: usize,
) -> Option<usize> {
    let name = query.name.bytes();
    if let Some(link) = view.links.iter().find(|link| *link.alias == *name) {
        // It hides a container of that name, and is nobody's while its target is not there.
        let zone = link.zone.load();
        let found = zone.lookup(&link.target).unwrap_or_default();
        if found.is_empty() {
            return Some(Answer::new(query, out, limit).finish(NXDOMAIN));
        }
        return Some(answer_addresses(
            query,
            found,
            out,
            limit,
            view.ttl_seconds,
            turn,
        ));
    }
    for zone in &view.zones {
        if let Some(addresses) = zone.load().lookup(name) {
            return Some(answer_addresses(
                query,
                addresses,
                out,
                limit,
                view.ttl_seconds,
                turn,
            ));
        }
    }
    for zone in &view.zones {
        let zone = zone.load();
        if let Some(front) = strip_suffix(query, zone.suffix()) {
            if let Some(addresses) = zone.lookup(&front) {
                let ttl = view.ttl_seconds;
                return Some(answer_addresses(query, addresses, out, limit, ttl, turn));
            }
        }
    }
    if is_localhost(name) {
        let local = [
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        ];
        return Some(answer_addresses(
            query,
            &local,
            out,
            limit,
            view.ttl_seconds,
            0,
        ));
    }
    None
}

/// The records of one name, starting with another one at each turn.
fn answer_addresses(
    query: &Query<'_>,
    addresses: &[IpAddr],
    out: &mut [u8],
    limit: usize,
    ttl: u32,
    turn: usize,
) -> usize {
    let mut answer = Answer::new(query, out, limit);
    let start = turn % addresses.len().max(1);
    for address in addresses[start..].iter().chain(&addresses[..start]) {
        match (query.kind, address) {
            (TYPE_A, IpAddr::V4(v4)) => answer.record(TYPE_A, ttl, &v4.octets()),
            (TYPE_AAAA, IpAddr::V6(v6)) => answer.record(TYPE_AAAA, ttl, &v6.octets()),
            _ => {}
        }
    }
    answer.finish(NOERROR)
}

/// The name without the network's at its end, in wire format.
fn strip_suffix(query: &Query<'_>, suffix: &[u8]) -> Option<SmallName> {
    let name = query.name.bytes();
    let at = (name.len() - 1).checked_sub(suffix.len())?;
    // The cut must fall between labels: a length byte may look like a letter.
    if at == 0 || &name[at..name.len() - 1] != suffix || !query.name.label_starts().any(|s| s == at)
    {
        return None;
    }
    let mut front = SmallName {
        bytes: [0; NAME_MAX],
        length: at + 1,
    };
    front.bytes[..at].copy_from_slice(&name[..at]);
    Some(front)
}

/// A name cut out of another, on the stack.
struct SmallName {
    bytes: [u8; NAME_MAX],
    length: usize,
}

impl std::ops::Deref for SmallName {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// `localhost` and everything below it (RFC 6761, 6.3).
fn is_localhost(name: &[u8]) -> bool {
    const LOCALHOST: &[u8] = b"\x09localhost\x00";
    let Some(at) = name.len().checked_sub(LOCALHOST.len()) else {
        return false;
    };
    // The cut must fall between labels: a length byte may look like a letter.
    let mut start = 0;
    while start < at {
        start += usize::from(name[start]) + 1;
    }
    start == at && &name[at..] == LOCALHOST
}

/// Answers a reverse lookup of an address that belongs to a shared network.
///
/// An unknown address of such a network does not exist; asking an upstream would tell outsiders
/// which private addresses are in use (contract DN9).
fn answer_reverse(view: &View, query: &Query<'_>, out: &mut [u8], limit: usize) -> Option<usize> {
    let address = reverse_address(query.name.bytes())?;
    for zone in &view.zones {
        let zone = zone.load();
        if let Some(name) = zone.name_of(&address) {
            let mut answer = Answer::new(query, out, limit);
            answer.record(TYPE_PTR, view.ttl_seconds, name);
            return Some(answer.finish(NOERROR));
        }
    }
    if address.is_loopback() {
        // Nobody else can know anything about it (RFC 6303, 4.1).
        return Some(answer_loopback(view, query, address, out, limit));
    }
    let is_ours = view.zones.iter().any(|zone| zone.load().contains(address));
    is_ours.then(|| Answer::new(query, out, limit).finish(NXDOMAIN))
}

/// `localhost` for the address of it; the others of the loopback have no names.
fn answer_loopback(
    view: &View,
    query: &Query<'_>,
    address: IpAddr,
    out: &mut [u8],
    limit: usize,
) -> usize {
    let mut answer = Answer::new(query, out, limit);
    if address != Ipv4Addr::LOCALHOST && address != Ipv6Addr::LOCALHOST {
        return answer.finish(NXDOMAIN);
    }
    answer.record(TYPE_PTR, view.ttl_seconds, b"\x09localhost\x00");
    answer.finish(NOERROR)
}

/// The address in `4.3.2.1.in-addr.arpa` or in 32 nibbles under `ip6.arpa`.
fn reverse_address(name: &[u8]) -> Option<IpAddr> {
    if let Some(labels) = name.strip_suffix(b"\x07in-addr\x04arpa\x00") {
        let mut octets = [0; 4];
        let mut rest = labels;
        for octet in octets.iter_mut().rev() {
            let (label, after) = take_label(rest)?;
            *octet = std::str::from_utf8(label).ok()?.parse().ok()?;
            rest = after;
        }
        return rest.is_empty().then(|| IpAddr::from(octets));
    }
    let mut rest = name.strip_suffix(b"\x03ip6\x04arpa\x00")?;
    let mut value: u128 = 0;
    for position in 0..32 {
        let (label, after) = take_label(rest)?;
        let [digit] = label else { return None };
        value |= u128::from(char::from(*digit).to_digit(16)?) << (4 * position);
        rest = after;
    }
    rest.is_empty().then(|| IpAddr::from(value.to_be_bytes()))
}

fn take_label(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    (rest.len() >= usize::from(*length)).then(|| rest.split_at(usize::from(*length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn localhost_is_a_whole_label() {
        for name in ["localhost", "a.localhost", "a.b.localhost"] {
            assert!(is_localhost(&encode_name(name).unwrap()), "{name}");
        }
        for name in ["notlocalhost", "localhost.a", "a"] {
            assert!(!is_localhost(&encode_name(name).unwrap()), "{name}");
        }
    }

    #[test]
    fn reverse_names_give_addresses() {
        let v4 = encode_name("2.0.18.172.in-addr.arpa").unwrap();
        assert_eq!(reverse_address(&v4), "172.18.0.2".parse().ok());
        assert_eq!(
            reverse_address(&encode_name("18.172.in-addr.arpa").unwrap()),
            None
        );
        let nibbles = "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.9.0.d.f.ip6.arpa";
        assert_eq!(
            reverse_address(&encode_name(nibbles).unwrap()),
            "fd09::2".parse().ok()
        );
    }
}
