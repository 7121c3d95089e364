//! A fleet that runs becomes what its file says now. What the file does not change is not touched:
//! neither its processes nor its sessions nor its calls.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "reload/bystander.rs"]
mod bystander;
#[path = "reload/files.rs"]
mod files;
#[path = "reload/servers.rs"]
mod servers;

use std::fs;

use serde_json::Value;
use system_tests::gateway::Gateway;
use system_tests::raw::{Client, Era};
use system_tests::wait::{PATIENCE, see};

const LEGACY: Era = Era::Legacy("2025-11-25");

/// Writes the file as most editors do: another one takes its place.
fn save(gateway: &Gateway, config: &Value) {
    let (path, beside) = (gateway.config_file(), gateway.config_file().with_extension("tmp"));
    fs::write(&beside, config.to_string()).unwrap();
    fs::rename(beside, path).unwrap();
}

/// Writes it as others do: the same file, with other contents.
fn overwrite(gateway: &Gateway, text: &str) {
    fs::write(gateway.config_file(), text).unwrap();
}

/// What was said of reloads so far, a line each.
fn said(gateway: &Gateway) -> Vec<String> {
    let out = gateway.process().stdout();
    let lines = out.lines().filter_map(|line| line.strip_prefix("  reload "));
    lines.map(|line| line.trim().to_owned()).collect()
}

/// How often the file was read again, and with what outcome: the first line of each.
fn reloads(gateway: &Gateway) -> Vec<String> {
    let is_first = |line: &String| line.contains("unchanged") || line.starts_with("refused");
    said(gateway).into_iter().filter(is_first).collect()
}

/// Waits for a line about a reload that contains `words`.
fn see_said(gateway: &Gateway, words: &str) {
    see(PATIENCE, || said(gateway), |said| said.iter().any(|line| line.contains(words)));
}

/// The process that answers a call to this tool.
fn pid(client: &Client, tool: &str) -> u32 {
    let answer = client.call(tool, "{}").unwrap();
    let text = answer.value()["result"]["content"][0]["text"].take();
    text.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{answer:?}"))
}
