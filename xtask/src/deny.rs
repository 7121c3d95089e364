//! What may be depended on: `cargo deny`, with the rules of `deny.toml`.

use std::ffi::OsString;
use std::process::Command;

use crate::shell::{cargo, command, output, run, succeeds};
use crate::workspace::target;

const VERSION: &str = "0.20.2";

/// Licences, sources and duplicates always; advisories only when their database, which lives
/// elsewhere, can be fetched. An advisory that is found then fails like any other rule.
pub(crate) fn check() -> Result<(), String> {
    run(deny("--locked check bans licenses sources"))?;
    let mut fetch = deny("fetch db");
    // Without a terminal git would still try to ask one for a name.
    fetch.env("GIT_TERMINAL_PROMPT", "0");
    if !succeeds(fetch) {
        eprintln!("advisories skipped: database not reachable");
        return Ok(());
    }
    run(deny("--locked check --disable-fetch advisories"))
}

/// Installs the pinned version into `target/tools`, unless there or on the path it is already.
///
/// Unoptimized: it takes a third of the time to compile, and a check takes a second all the same.
pub(crate) fn install() -> Result<(), String> {
    if program().is_some() {
        return Ok(());
    }
    let tools = target().join("tools");
    let mut install = cargo(&format!("install --locked --debug cargo-deny@{VERSION}"));
    install.arg("--root").arg(&tools).arg("--target-dir").arg(tools.join("build"));
    install.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_INCREMENTAL", "0");
    run(install)?;
    // The program is a fiftieth of what its build leaves behind.
    let _ = std::fs::remove_dir_all(tools.join("build"));
    Ok(())
}

fn deny(line: &str) -> Command {
    command(program().unwrap_or_else(|| "cargo-deny".into()), &format!("deny {line}"))
}

fn program() -> Option<OsString> {
    let own = target().join("tools/bin/cargo-deny").into_os_string();
    let pinned = format!("cargo-deny {VERSION}");
    let is_pinned = |program: &OsString| {
        output(command(program, "deny --version")).is_some_and(|said| said == pinned)
    };
    [own, "cargo-deny".into()].into_iter().find(is_pinned)
}
