//! What the targets of `rust/fuzz` call: everything here that reads the bytes of others.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;

use crate::answer::{answer, Outcome};
use crate::cache::{Cache, Key, Scope};
use crate::upstream::{repeats_question, truncate};
use crate::view::{Upstreams, View};
use crate::wire::{parse, skip_name, Name, HEADER, UDP_MAX};
use crate::zone::{EndpointNames, Zone};

/// A view of one network with a few containers.
pub fn view() -> View {
    let endpoint = |number: u8| EndpointNames {
        id: number.to_string(),
        names: vec![format!("c{number}"), "web".to_string()],
        addresses: vec![
            [10, 0, 0, number].into(),
            [0xfd00, 0, 0, 0, 0, 0, 0, 9].into(),
        ],
    };
    let subnets = vec![([10, 0, 0, 0].into(), 8)];
    let zone = Zone::new("net", subnets)
        .and_then(|zone| zone.updated(&[], (1..9).map(endpoint).collect()));
    View {
        zones: zone
            .into_iter()
            .map(|zone| Arc::new(ArcSwap::from_pointee(zone)))
            .collect(),
        upstreams: Upstreams::Host,
        keeps_single_labels: false,
        ttl_seconds: 2,
        links: Vec::new(),
    }
}

/// A client's message, over either transport: what is answered fits and is an answer.
pub fn question(view: &View, message: &[u8]) {
    for (over_tcp, limit) in [(false, UDP_MAX), (true, 65_535)] {
        let mut out = vec![0; limit];
        if let Outcome::Reply(length) = answer(view, message, &mut out, over_tcp, 1) {
            assert!((HEADER..=limit).contains(&length));
            assert!(
                out[2] & 0x80 != 0,
                "a question as an answer would come back"
            );
            assert_eq!(out[..2], message[..2]);
        }
    }
}

/// A question and what came for it: what is remembered of that can be given again, and ages.
pub fn upstream(input: &[u8]) {
    let Some((split, rest)) = input.split_first() else {
        return;
    };
    let (asked, came) = rest.split_at(usize::from(*split).min(rest.len()));
    skip_name(came, 0);
    let mut room = Name::room();
    let Ok(query) = parse(asked, &mut room) else {
        return;
    };
    let question = &asked[HEADER..query.question_end];
    if came.len() < HEADER || !repeats_question(came, question) {
        return;
    }
    let (mut cache, now) = (Cache::default(), Instant::now());
    if let Some(key) = Key::new(Scope::Host, false, &query) {
        cache.put(&key, came, now);
        let mut out = vec![0; UDP_MAX];
        if let Some(length) = cache.get(&key, &query, now, &mut out) {
            assert!(length <= UDP_MAX && out[..2] == asked[..2]);
        }
    }
    let mut cut = came.to_vec();
    truncate(&mut cut, question.len());
    assert_eq!(cut.len(), HEADER + question.len());
}
