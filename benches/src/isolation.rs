//! What one server's trouble costs the others: their latencies with it and without, slice by slice.
//!
//! Both kinds of slice go over the same gateway, sessions and processes. A file says whether the other
//! server does harm, and both kinds have the same calls to it beside them.

#![allow(clippy::print_stdout, reason = "a benchmark speaks")]

use std::path::Path;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::clock::wait;
use crate::load::Line;
use crate::process::gateway;
use crate::report::median;
use crate::serve;
use crate::session::{Era, Plan, Session};
use crate::targets::{Part, Target, Transport};
use crate::upstream_trouble::Trouble;

/// Sessions with the server that is measured.
const SESSIONS: usize = 4;
/// Clients of the one in trouble.
const VICTIMS: usize = 4;
const PACE: Duration = Duration::from_millis(10);
const SLICE: Duration = Duration::from_millis(500);
/// Slices of each kind, after one that warms up.
const SLICES: usize = 16;
/// Between two slices: time to get into trouble, or out of it.
const SETTLE: Duration = Duration::from_millis(100);
const PAYLOAD: usize = 16;
/// How much longer the slowest hundredth may take.
const P99_MAX: f64 = 1.20;

/// Measures each kind of trouble and prints the verdicts.
pub(crate) fn run() -> Result<(), String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let runtime = serve::runtime(0).map_err(|error| error.to_string())?;
    let mut verdicts = Vec::new();
    println!("{:<6} {:>12} {:>12} {:>8}", "", "calm p99 us", "trouble", "ratio");
    for trouble in Trouble::ALL {
        let (calm, troubled, ratio) = measure(&runtime, dir.path(), trouble)?;
        println!("{:<6} {calm:>12.0} {troubled:>12.0} {ratio:>8.2}", trouble.name());
        let word = if ratio <= P99_MAX { "ok" } else { "short" };
        let name = trouble.name();
        verdicts.push(format!("isolation/{name}-p99 {ratio:.2} <={P99_MAX:.2} {word}"));
    }
    println!();
    verdicts.iter().for_each(|verdict| println!("{verdict}"));
    Ok(())
}

/// The p99 of calm and of troubled slices in microseconds, and the ratio of neighbours.
fn measure(runtime: &Runtime, dir: &Path, trouble: Trouble) -> Result<(f64, f64, f64), String> {
    let name = trouble.name();
    let file = dir.join(format!("{name}-now"));
    let target = Target {
        name: "gateway",
        part: Part::Gateway,
        transport: Transport::Stdio,
        process: gateway(dir, name, &config(name, &file)?)?,
    };
    let plan = |path: &str| Plan {
        address: target.process.address,
        path: format!("{}/{path}", target.process.path),
        era: Era::Legacy,
        payload: PAYLOAD,
    };
    let mut line = Line::open(runtime, &target, &plan("echo"), SESSIONS)?;
    let victims: Vec<_> = (0..VICTIMS)
        .map(|number| runtime.spawn(call_and_wonder(plan("trouble"), number)))
        .collect();
    let set = |on: bool| {
        let done = if on { std::fs::write(&file, b"") } else { std::fs::remove_file(&file) };
        done.map_err(|error| format!("{}: {error}", file.display()))
    };
    for round in 0..=SLICES {
        line.slice(runtime, SLICE, round > 0)?;
        set(true)?;
        wait(SETTLE);
        line.slice(runtime, SLICE, round > 0)?;
        set(false)?;
        wait(SETTLE);
    }
    victims.iter().for_each(tokio::task::JoinHandle::abort);
    let p99 = |at: usize| line.slices[at].p99.as_secs_f64() * 1e6;
    let calm = median((0..SLICES).map(|round| p99(2 * round)));
    let troubled = median((0..SLICES).map(|round| p99(2 * round + 1)));
    Ok((calm, troubled, median((0..SLICES).map(|round| p99(2 * round + 1) / p99(2 * round)))))
}

fn config(trouble: &str, file: &Path) -> Result<String, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let troubled = serde_json::json!({
        "command": program,
        "args": ["upstream-trouble", trouble, file],
        // It has to go on being troublesome for as long as this takes.
        "manager": { "callTimeout": "1s", "restartsMax": 1000 },
    });
    let servers = serde_json::json!({
        "echo": { "command": program, "args": ["upstream-stdio"] },
        "trouble": troubled,
    });
    Ok(serde_json::json!({ "mcpServers": servers }).to_string())
}

/// Calls the server in trouble, whatever comes of it.
async fn call_and_wonder(plan: Plan, number: usize) {
    let plan = Plan { era: Era::Modern, ..plan };
    let Ok(mut session) = Session::unopened(&plan, number, "echo").await else { return };
    loop {
        let _ = session.once().await;
        tokio::time::sleep(PACE).await;
    }
}
