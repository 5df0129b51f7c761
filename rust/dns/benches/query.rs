//! Micro-benchmarks of the name server: judging a question, and changing one endpoint of a zone.

use criterion::{criterion_group, criterion_main, Criterion};
use netyard_dns::{check_query, EndpointNames, Zone};

fn question(name: &str) -> Vec<u8> {
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}

fn endpoint(number: u32) -> EndpointNames {
    EndpointNames {
        id: number.to_string(),
        names: vec![format!("c{number}"), "service".to_string()],
        addresses: vec![std::net::Ipv4Addr::from(0x0a00_0002 + number).into()],
    }
}

fn benchmarks(criterion: &mut Criterion) {
    let message = question("web.my-net");
    criterion.bench_function("judge a question", |bencher| {
        bencher.iter(|| check_query(std::hint::black_box(&message)));
    });
    let empty = Zone::new("my-net", Vec::new());
    let full = empty.and_then(|zone| zone.updated(&[], (0..1000).map(endpoint).collect()));
    if let Ok(zone) = full {
        criterion.bench_function("one more endpoint of 1000", |bencher| {
            bencher.iter(|| zone.updated(&[], vec![endpoint(1000)]));
        });
    }
}

criterion_group!(benches, benchmarks);
criterion_main!(benches);
