//! What a hop does to every message: decode it, change its id, encode it. `mcp-wire` keeps the
//! bytes; `serde_json::Value` is what it is measured beside.
//!
//! Criterion prints the times. The last lines are ratios from a pass of its own, in which the two
//! take turns, so that whatever else the machine does falls on both.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark speaks and times")]

use std::hint::black_box;
use std::time::Instant;

use benches::messages::{self, change_id_by_value};
use bytes::Bytes;
use criterion::{Criterion, Throughput};
use mcp_wire::{Limits, Message};

/// How many times faster than `serde_json::Value` every message has to be.
const TARGET: f64 = 2.0;
const ROUNDS: usize = 41;

fn change_id(message: &Bytes, id: u64) -> Bytes {
    let parsed =
        Message::parse(message.clone(), &Limits::default()).expect("a sample is a message");
    parsed.with_id(&id.to_string())
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for sample in messages::all() {
        let bytes = Bytes::from(sample.json);
        let mut group = criterion.benchmark_group(sample.name);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function("mcp-wire", |b| b.iter(|| change_id(black_box(&bytes), 7)));
        group.bench_function("serde_json::Value", |b| {
            b.iter(|| change_id_by_value(black_box(&bytes), 7));
        });
        group.finish();
    }
    criterion.final_summary();
    for sample in messages::all() {
        let ratio = ratio(&Bytes::from(sample.json));
        let verdict = if ratio >= TARGET { "ok" } else { "short" };
        println!("wire/{} {ratio:.1} >={TARGET:.1} {verdict}", sample.name);
    }
}

/// The median, over rounds in which the two take turns, of their times' ratio.
fn ratio(bytes: &Bytes) -> f64 {
    let calls = (1 << 20) / bytes.len().max(1) + 1;
    let mut ratios: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let value =
                time(calls, || black_box(change_id_by_value(bytes, 7).map(|out| out.len())));
            let wire = time(calls, || black_box(change_id(bytes, 7).len()));
            value / wire
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ROUNDS / 2]
}

fn time<T>(calls: usize, mut call: impl FnMut() -> T) -> f64 {
    let start = Instant::now();
    for _ in 0..calls {
        black_box(call());
    }
    start.elapsed().as_secs_f64()
}
