//! `mcp-manager logs`: what a server writes to stderr.

use http_body_util::BodyExt as _;
use serde_json::Value;

use crate::args::Logs;
use crate::exit::{Error, Exit};
use crate::operator::Operator;
use crate::output::{line, printable};
use crate::source::escaped;

/// The longest line of an answer that is waited for.
const LINE_BYTES_MAX: usize = 1 << 20;

pub(crate) async fn run(args: &Logs, json: bool) -> Result<Exit, Error> {
    let (server, lines) = (escaped(&args.server), args.lines);
    let follow = u8::from(args.follow);
    let path = format!("/servers/{server}/logs?lines={lines}&follow={follow}");
    let mut body = Operator::of(&args.to)?.follow(&path).await?;
    let mut pending = Vec::new();
    while let Some(frame) = body.frame().await {
        let lost = |error: hyper::Error| {
            let message = format!("the manager has gone: {error}");
            Error::new(Exit::Unreachable, "CONNECTION_FAILED", message)
        };
        let Ok(chunk) = frame.map_err(lost)?.into_data() else { continue };
        pending.extend_from_slice(&chunk);
        while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
            let rest = pending.split_off(end + 1);
            let whole = std::mem::replace(&mut pending, rest);
            if !show(String::from_utf8_lossy(&whole).trim_end(), json) {
                // Nobody reads any more.
                return Ok(Exit::Ok);
            }
        }
        if pending.len() > LINE_BYTES_MAX {
            let message = "the manager's answer is no log".to_owned();
            return Err(Error::new(Exit::Unexpected, "PROTOCOL_ERROR", message));
        }
    }
    Ok(Exit::Ok)
}

fn show(text: &str, json: bool) -> bool {
    if json {
        return line(text);
    }
    let told: Value = serde_json::from_str(text).unwrap_or_default();
    if let Some(lost) = told["lost"].as_u64() {
        return line(&format!("... {lost} lines lost: they came too fast"));
    }
    let who = match told["replica"].as_u64() {
        Some(replica) => format!("{replica}"),
        None => "session".to_owned(),
    };
    let said = printable(told["line"].as_str().unwrap_or_default());
    line(&format!("{who:>7} {:>7} | {said}", told["pid"]))
}
