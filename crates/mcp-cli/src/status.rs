//! `mcp-manager status`: how the servers of a running manager are doing.

use serde_json::Value;

use crate::args::Status;
use crate::exit::{Error, Exit};
use crate::operator::Operator;
use crate::output::{line, printable};
use crate::source::escaped;

pub(crate) async fn run(args: &Status, json: bool) -> Result<Exit, Error> {
    let operator = Operator::of(&args.to)?;
    let Some(name) = &args.server else {
        let status = operator.get("/status").await?;
        if json {
            line(&status.to_string());
            return Ok(Exit::Ok);
        }
        return Ok(all(&status));
    };
    let server = match operator.get(&format!("/servers/{}", escaped(name))).await {
        Err(error) if error.code == "SERVER_NOT_FOUND" => {
            return Err(unknown(&operator, name, error).await);
        }
        server => server?,
    };
    if json {
        line(&server.to_string())
    } else {
        one(&server)
    };
    Ok(Exit::Ok)
}

async fn unknown(operator: &Operator, name: &str, mut error: Error) -> Error {
    let status = operator.get("/status").await.unwrap_or_default();
    let servers = status["servers"].as_array().cloned().unwrap_or_default();
    let known: Vec<&str> = servers.iter().filter_map(|server| server["name"].as_str()).collect();
    error.message = format!("there is no server {name:?}; there are: {}", known.join(", "));
    error
}

fn all(status: &Value) -> Exit {
    let ready = if status["ready"] == true { "ready" } else { "not ready" };
    line(&format!(
        "mcp-manager {}, {ready}, up {}, {} sessions",
        text(&status["version"]),
        time(status["uptime_seconds"].as_u64()),
        status["sessions"],
    ));
    if status["config"]["ok"] == false {
        let (path, why) = (text(&status["config"]["path"]), text(&status["config"]["error"]));
        line(&format!("the file {path} is not in force: {why}"));
    }
    let figures = &status["figures"];
    line(&format!(
        "{} of {} servers well, {:.1} calls/s, {:.1} ms, {:.2} % failed, {} waiting",
        figures["healthy_servers"],
        figures["total_servers"],
        figures["throughput_per_second"].as_f64().unwrap_or_default(),
        figures["avg_response_time_ms"].as_f64().unwrap_or_default(),
        figures["error_rate"].as_f64().unwrap_or_default() * 100.0,
        figures["queue_size"],
    ));
    line(&format!(
        "\n{:<20} {:<11} {:<9} {:>8} {:>8} {:>9} {:>6}  {}",
        "SERVER", "STATE", "HEALTH", "REPLICAS", "RESTARTS", "IN FLIGHT", "TOOLS", "PIDS"
    ));
    for server in status["servers"].as_array().into_iter().flatten() {
        let replicas = format!("{}/{}", server["replicas_ready"], server["replicas_wanted"]);
        let pids: Vec<String> =
            server["pids"].as_array().into_iter().flatten().map(Value::to_string).collect();
        line(&format!(
            "{:<20} {:<11} {:<9} {replicas:>8} {:>8} {:>9} {:>6}  {}",
            text(&server["name"]),
            text(&server["state"]),
            worst(server),
            // A value of its own would not be aligned.
            server["restarts"].to_string(),
            server["in_flight"].to_string(),
            server["tools"].to_string(),
            pids.join(" "),
        ));
        if let Some(why) = server["error"]["message"].as_str() {
            line(&format!("  {}", printable(why)));
        }
    }
    Exit::Ok
}

fn one(server: &Value) -> bool {
    line(&format!(
        "{}  {}  {}  {} tools",
        text(&server["name"]),
        text(&server["state"]),
        text(&server["transport"]),
        server["tools"],
    ));
    if let Some(why) = server["error"]["message"].as_str() {
        line(&format!("  {}", printable(why)));
    }
    for replica in server["replicas"].as_array().into_iter().flatten() {
        let place = replica["url"].as_str().map(printable);
        let place = place.or_else(|| replica["pid"].as_u64().map(|pid| format!("pid {pid}")));
        line(&format!(
            "  {:>2}  {:<11} {:<9} since {:<8} {} restarts, {} in flight  {}",
            replica["number"].to_string(),
            text(&replica["state"]),
            text(&replica["health"]["state"]),
            time(replica["since_seconds"].as_u64()),
            replica["restarts"],
            replica["in_flight"],
            place.unwrap_or_default(),
        ));
        if let Some(why) = replica["error"]["message"].as_str() {
            line(&format!("      {}", printable(why)));
        }
        if let Some(why) = replica["hold"]["why"].as_str() {
            line(&format!("      it gets no calls: {}", printable(why)));
        }
        if replica["standby"] == true {
            line("      it stands by");
        }
        refusals(&replica["circuit"], "calls");
    }
    for gate in server["gates"].as_array().into_iter().flatten() {
        refusals(&gate["circuit"], &format!("calls of {}", text(&gate["tool"])));
    }
    let lines = server["stderr"].as_array().into_iter().flatten();
    let last: Vec<&Value> = lines.collect();
    for said in &last[last.len().saturating_sub(5)..] {
        line(&format!("  | {}", text(said)));
    }
    true
}

/// Says that a circuit is open, if it is.
fn refusals(circuit: &Value, what: &str) {
    if let Some(why) = circuit["cause"].as_str() {
        let state = text(&circuit["state"]);
        line(&format!("      {what} are refused ({state}): {}", printable(why)));
    }
}

/// The health of the replica that is worst off.
fn worst(server: &Value) -> &'static str {
    const WORDS: [&str; 4] = ["unhealthy", "degraded", "unknown", "healthy"];
    let replicas = server["replicas"].as_array().cloned().unwrap_or_default();
    let is = |word: &&&str| replicas.iter().any(|replica| replica["health"]["state"] == ***word);
    WORDS.iter().find(|word| is(word)).copied().unwrap_or("-")
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| "-".to_owned(), printable)
}

/// A time as people say it: its largest unit and the one below.
fn time(seconds: Option<u64>) -> String {
    let Some(seconds) = seconds else { return "-".to_owned() };
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h{}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{}h", seconds / 86400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        let told = [5, 65, 3700, 90_000].map(|seconds| time(Some(seconds)));
        assert_eq!(told, ["5s", "1m5s", "1h1m", "1d1h"]);
        assert_eq!(time(None), "-");
    }

    #[test]
    fn one_that_is_worse_off_speaks_for_all() {
        let server = |states: &[&str]| {
            let replicas: Vec<Value> = states
                .iter()
                .map(|state| serde_json::json!({ "health": { "state": state } }))
                .collect();
            serde_json::json!({ "replicas": replicas })
        };
        assert_eq!(worst(&server(&["healthy", "unhealthy", "degraded"])), "unhealthy");
        assert_eq!(worst(&server(&["healthy"])), "healthy");
        assert_eq!(worst(&server(&[])), "-");
    }
}
