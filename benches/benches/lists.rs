//! What it costs to put the lists of ten servers together: `tools/list` to a fleet of ten servers
//! in this process, a hundred tools each.
//!
//! The floor asks the same ten servers over the same pipes, and puts the lines that come one behind
//! the other. `serde_json::Value` has the lines already: it parses them, renames the tools and
//! writes the whole. The last lines are ratios from a pass of its own, in which the three take
//! turns.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark speaks and times")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::Criterion;
use mcp_manager::{Call, Custom, Definition, Fleet, Plan, Streams};
use mcp_wire::{Limits, LineReader, MODERN_VERSION, Message, Request, stateless_meta};
use serde_json::Value;
use tokio::io::{AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::runtime::{Builder, Runtime};

const SERVERS: usize = 10;
const TOOLS: usize = 100;
/// A pipe, and a line, hold a whole list.
const PIPE: usize = 1 << 20;
/// How many times the floor the fleet may take.
const OVER_FLOOR: f64 = 25.0;
/// How many times faster than `serde_json::Value` it has to be.
const TIMES_VALUE: f64 = 1.5;
const ROUNDS: usize = 41;

fn main() {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let results: Vec<String> = (0..SERVERS).map(result).collect();
    let fleet = runtime.block_on(started(&results));
    let mut floor = runtime.block_on(async { Floor::new(&results) });
    check(&runtime.block_on(list(&fleet)), &by_value(&results));

    let mut criterion = Criterion::default()
        .measurement_time(Duration::from_secs(3))
        .warm_up_time(Duration::from_secs(1))
        .sample_size(20)
        .configure_from_args();
    criterion.bench_function("lists/fleet", |b| b.iter(|| runtime.block_on(list(&fleet))));
    criterion.bench_function("lists/pipes", |b| b.iter(|| runtime.block_on(floor.read())));
    criterion.bench_function("lists/serde_json::Value", |b| b.iter(|| by_value(&results)));
    criterion.final_summary();
    targets(&runtime, &fleet, &mut floor, &results);
    runtime.block_on(fleet.stop());
}

/// The medians, over rounds in which the three take turns, of their times' ratios.
fn targets(runtime: &Runtime, fleet: &Fleet, floor: &mut Floor, results: &[String]) {
    let (mut over_floor, mut times_value) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let pipes = time(|| runtime.block_on(floor.read()));
        let ours = time(|| runtime.block_on(list(fleet)));
        let value = time(|| by_value(results));
        over_floor.push(ours / pipes);
        times_value.push(value / ours);
    }
    let (over_floor, times_value) = (median(over_floor), median(times_value));
    let word = |met| if met { "ok" } else { "short" };
    let met = word(over_floor <= OVER_FLOOR);
    println!("lists/over-floor {over_floor:.1} <={OVER_FLOOR:.1} {met}");
    let met = word(times_value >= TIMES_VALUE);
    println!("lists/times-value {times_value:.2} >={TIMES_VALUE:.2} {met}");
}

fn median(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

fn time<T>(mut call: impl FnMut() -> T) -> f64 {
    let start = Instant::now();
    black_box(call());
    start.elapsed().as_secs_f64()
}

/// Both lists are the same, or the times say nothing.
fn check(ours: &Message, by_value: &str) {
    let ours: Value = serde_json::from_str(ours.as_str()).expect("JSON");
    let value: Value = serde_json::from_str(by_value).expect("JSON");
    assert_eq!(value["tools"].as_array().map(Vec::len), Some(SERVERS * TOOLS));
    assert_eq!(ours["result"]["tools"], value["tools"]);
}

/// What a server answers: tools with the descriptions and schemas that tools have.
fn result(server: usize) -> String {
    let mut json =
        r#"{"resultType":"complete","ttlMs":0,"cacheScope":"private","tools":["#.to_owned();
    for tool in 0..TOOLS {
        let comma = if tool > 0 { "," } else { "" };
        let more =
            "Says \"not found\" where there is none, and never changes it. ".repeat(tool % 5);
        let _ = write!(
            json,
            concat!(
                r#"{}{{"name":"search_records_{}_{}","title":"Search the records","#,
                r#""description":{},"inputSchema":{{"type":"object","properties":{{"#,
                r#""query":{{"type":"string","description":"What to look for: words or a name"}},"#,
                r#""limit":{{"type":"integer","minimum":1,"maximum":100,"default":20}},"#,
                r#""order":{{"type":"string","enum":["newest","oldest","best"]}}}},"#,
                r#""required":["query"],"additionalProperties":false}},"#,
                r#""annotations":{{"readOnlyHint":true,"openWorldHint":false}}}}"#
            ),
            comma,
            server,
            tool,
            mcp_wire::quoted(&format!("Looks a record up.\n{more}")),
        );
    }
    json + "]}"
}

/// Answers every `tools/list` on its end of a pipe with `result`.
async fn serve(far: DuplexStream, result: String) {
    let (reader, mut writer) = split(far);
    let mut lines = LineReader::new(reader, PIPE);
    while let Ok(Some(line)) = lines.next().await {
        let message = Message::parse(line, &Limits::default()).expect("a message");
        let Some(id) = message.id() else { continue };
        let result = match message.method() {
            "tools/list" => &result,
            _ => r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}"#,
        };
        let answer = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}\n");
        if writer.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// A fleet of servers that give these results.
async fn started(results: &[String]) -> Fleet {
    let server = |(index, result): (usize, &String)| {
        let result = result.clone();
        let custom = Custom::new(move || {
            let (near, far) = duplex(PIPE);
            tokio::spawn(serve(far, result.clone()));
            let (reader, writer) = split(near);
            let streams = Streams { reader: Box::new(reader), writer: Box::new(writer) };
            std::future::ready(Ok(streams))
        });
        Definition::custom(format!("s{index}"), custom)
    };
    let mut plan = Plan::default();
    plan.servers = results.iter().enumerate().map(server).collect();
    let fleet = Fleet::new(plan).expect("a fleet");
    fleet.start();
    fleet.settled(Duration::from_secs(10)).await;
    fleet
}

fn request() -> Message {
    let meta = stateless_meta(MODERN_VERSION, "{}", None);
    Message::request("1", "tools/list", &format!(r#"{{"_meta":{{{meta}}}}}"#))
}

async fn list(fleet: &Fleet) -> Message {
    let request = Request::read(request()).expect("a request");
    let call = Call { request, client: None, scope: fleet.everything() };
    fleet.dispatch(call).await.expect("an exchange").reply().await.expect("a list")
}

/// The near ends of pipes to the same servers.
struct Floor {
    pipes: Vec<(LineReader<ReadHalf<DuplexStream>>, WriteHalf<DuplexStream>)>,
    request: String,
}

impl Floor {
    fn new(results: &[String]) -> Self {
        let pipe = |result: &String| {
            let (near, far) = duplex(PIPE);
            tokio::spawn(serve(far, result.clone()));
            let (reader, writer) = split(near);
            (LineReader::new(reader, PIPE), writer)
        };
        let request = format!("{}\n", request().as_str());
        Self { pipes: results.iter().map(pipe).collect(), request }
    }

    async fn read(&mut self) -> Vec<u8> {
        for (_, writer) in &mut self.pipes {
            writer.write_all(self.request.as_bytes()).await.expect("a server");
        }
        let mut all = Vec::new();
        for (reader, _) in &mut self.pipes {
            all.extend_from_slice(&reader.next().await.expect("a server").expect("a line"));
        }
        all
    }
}

/// The same merge by way of a tree.
fn by_value(results: &[String]) -> String {
    let mut all = Vec::new();
    for (server, result) in results.iter().enumerate() {
        let mut result: Value = serde_json::from_str(result).expect("JSON");
        let Value::Array(mut tools) = result["tools"].take() else { continue };
        for tool in &mut tools {
            let name = tool["name"].as_str().map(|name| format!("s{server}__{name}"));
            tool["name"] = name.into();
        }
        all.append(&mut tools);
    }
    serde_json::json!({ "tools": all }).to_string()
}
