//! A new session: from the connection to the answer of its first request.

use std::path::Path;
use std::time::Duration;

use super::{front, own_child, verdict};
use crate::clock::now;
use crate::process::Started;
use crate::report::median;
use crate::serve::runtime;
use crate::session::{Era, Plan, Session};

/// Sessions for each target, taken in turn.
const ROUNDS: usize = 300;
/// Over stdio each of them starts a process.
const ROUNDS_STDIO: usize = 60;
/// A hop that copies opens nothing; a gateway opens a session of its own behind each.
const HTTP_MAX: f64 = 2.5;
/// Both start a child. The gateway's is behind a shim, which is a process as well.
const STDIO_MAX: f64 = 3.0;

pub(super) fn run(dir: &Path) -> Result<Vec<String>, String> {
    let upstream = Started::role(&["upstream-http"])?;
    let address = upstream.address.to_string();
    let floor = Started::role(&["hop-copy", &address])?;
    let url = format!("http://{address}/mcp");
    let ours = front(dir, "new-http", &serde_json::json!({ "url": url }))?;
    let http = compare("over HTTP", &floor, &ours, ROUNDS)?;

    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let floor = Started::role(&["hop-stdio", "--", &program.to_string_lossy(), "upstream-stdio"])?;
    let ours = front(dir, "new-stdio", &own_child(&["upstream-stdio"])?)?;
    let stdio = compare("over stdio", &floor, &ours, ROUNDS_STDIO)?;
    Ok(vec![verdict("new-http", http, HTTP_MAX), verdict("new-stdio", stdio, STDIO_MAX)])
}

/// How many times longer a session takes to open with `ours`: the median of pairs.
fn compare(what: &str, floor: &Started, ours: &Started, rounds: usize) -> Result<f64, String> {
    let runtime = runtime(0).map_err(|error| error.to_string())?;
    let open = |target: &Started, number| {
        let plan = Plan {
            address: target.address,
            path: target.path.clone(),
            era: Era::Legacy,
            payload: 16,
        };
        let start = now();
        let session = runtime.block_on(Session::open(&plan, number))?;
        let took = now() - start;
        runtime.block_on(session.close())?;
        Ok::<_, String>(took)
    };
    let mut pairs = Vec::with_capacity(rounds);
    for number in 0..rounds {
        pairs.push((open(floor, number)?, open(ours, number)?));
    }
    // The first few warm up.
    let pairs = &pairs[rounds / 10..];
    let micros = |time: &Duration| time.as_secs_f64() * 1e6;
    let of_floor = median(pairs.iter().map(|(floor, _)| micros(floor)));
    let of_ours = median(pairs.iter().map(|(_, ours)| micros(ours)));
    println!("a new session {what}: floor {of_floor:.0} us, gateway {of_ours:.0} us");
    Ok(median(pairs.iter().map(|(floor, ours)| micros(ours) / micros(floor))))
}
