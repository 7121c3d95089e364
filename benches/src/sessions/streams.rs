//! A hundred open event streams and a thousand notifications a second, each to one of them.
//!
//! Every session has a child that stamps a notification ten times a second. The floor is to read
//! the same children's pipes with nothing in between.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::net::unix::pipe;
use tokio::time::timeout;

use super::{front, own_child, verdict};
use crate::clock::time_of_day;
use crate::histogram::Histogram;
use crate::proc;
use crate::serve::runtime;
use crate::session::{Era, Plan, Session};
use crate::upstream_ticker::{STAMP, stamps};

const STREAMS: usize = 100;
const PER_SECOND: usize = 10;
/// Notifications read from each stream in a round.
const READ: usize = 50;
const ROUNDS: usize = 3;
/// Until what waited before has been read.
const SETTLE: Duration = Duration::from_millis(500);
const ROUND_MAX: Duration = Duration::from_secs(60);
/// One more process between a pipe and its reader, and HTTP in front of it.
const P50_MAX: f64 = 8.0;
const P99_MAX: f64 = 8.0;

pub(super) fn run(dir: &Path) -> Result<Vec<String>, String> {
    let runtime = runtime(0).map_err(|error| error.to_string())?;
    let (mut floor, mut ours) = (Histogram::new(), Histogram::new());
    let mut cpu = Duration::ZERO;
    for _ in 0..ROUNDS {
        floor.add(&runtime.block_on(pipes())?);
        let own = own_child(&["upstream-ticker", &PER_SECOND.to_string()])?;
        let gateway = front(dir, "streams", &own)?;
        let plan = Plan {
            address: gateway.address,
            path: gateway.path.clone(),
            era: Era::Legacy,
            payload: 16,
        };
        let (latencies, used) = runtime.block_on(through(&plan, gateway.pid()))?;
        ours.add(&latencies);
        cpu += used;
    }
    let micros = |latencies: &Histogram, share| latencies.quantile(share).as_secs_f64() * 1e6;
    let each = cpu.as_secs_f64() * 1e6 / ours.count() as f64;
    let at = |share| (micros(&floor, share), micros(&ours, share));
    let ((floor_50, ours_50), (floor_99, ours_99)) = (at(0.5), at(0.99));
    println!(
        "{STREAMS} streams, {} notifications/s: p50 {ours_50:.0} us (pipe {floor_50:.0}), p99 \
         {ours_99:.0} us (pipe {floor_99:.0}), {each:.1} us of processor time each",
        STREAMS * PER_SECOND
    );
    Ok(vec![
        verdict("streams-p50", ours_50 / floor_50, P50_MAX),
        verdict("streams-p99", ours_99 / floor_99, P99_MAX),
    ])
}

/// The same children, read as they are.
async fn pipes() -> Result<Histogram, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut children = Vec::new();
    let mut reading = Vec::new();
    for _ in 0..STREAMS {
        let mut command = std::process::Command::new(&program);
        command.args(["upstream-ticker", &PER_SECOND.to_string()]);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| error.to_string())?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a child has no pipes".to_owned());
        };
        std::io::Write::write_all(
            &mut input,
            b"{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"ping\"}\n",
        )
        .map_err(|error| error.to_string())?;
        let output = pipe::Receiver::from_owned_fd(output.into()).map_err(|e| e.to_string())?;
        children.push((child, input));
        reading.push(output);
    }
    let latencies = all(reading).await;
    for (mut child, input) in children {
        drop(input);
        let _ = child.kill();
        let _ = child.wait();
    }
    latencies
}

/// Through the gateway; and the processor time that it took.
async fn through(plan: &Plan, pid: u32) -> Result<(Histogram, Duration), String> {
    let mut sessions = Vec::new();
    let mut streams = Vec::new();
    for number in 0..STREAMS {
        let session = Session::open(plan, number).await?;
        streams.push(session.stream().await?);
        sessions.push(session);
    }
    let before = proc::cpu(pid);
    let latencies = all(streams).await?;
    let used = proc::cpu(pid) - before;
    for session in sessions {
        session.close().await?;
    }
    Ok((latencies, used))
}

/// Reads all of them at once. What was sent before does not count: nobody was reading.
async fn all<R>(streams: Vec<R>) -> Result<Histogram, String>
where
    R: AsyncRead + Send + Unpin + 'static,
{
    let from = time_of_day() + SETTLE;
    let reading: Vec<_> =
        streams.into_iter().map(|stream| tokio::spawn(read(stream, from))).collect();
    let mut latencies = Histogram::new();
    for stream in reading {
        latencies.add(&stream.await.map_err(|error| error.to_string())??);
    }
    Ok(latencies)
}

/// Reads stamped lines, whatever stands around the stamp. None may be missing.
async fn read(stream: impl AsyncRead + Unpin, from: Duration) -> Result<Histogram, String> {
    let mut lines = BufReader::new(stream).lines();
    let mut latencies = Histogram::new();
    let mut last = None;
    while latencies.count() < READ as u64 {
        let line = timeout(ROUND_MAX, lines.next_line()).await;
        let line = line.map_err(|_| "a stream went quiet".to_owned())?;
        let line = line.map_err(|error| error.to_string())?.ok_or("a stream ended")?;
        if !line.contains(STAMP) {
            continue;
        }
        let (number, sent) = stamps(&line).ok_or_else(|| format!("no stamp in {line}"))?;
        if last.is_some_and(|last| number != last + 1) {
            return Err(format!("notification {number} followed on {last:?}"));
        }
        last = Some(number);
        if sent >= from {
            latencies.record(time_of_day().saturating_sub(sent));
        }
    }
    Ok(latencies)
}
