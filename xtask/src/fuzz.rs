//! `cargo xtask fuzz`: coverage-guided search, on the stable compiler.
//!
//! What cargo-fuzz does, less the sanitizer that needs a nightly one: the parsers have no unsafe
//! code that it could watch. The instrumentation is LLVM's, the search libFuzzer's.

use std::fs;

use crate::shell::{command, output, run};
use crate::workspace::{root, target};

const TARGETS: &[&str] = &["lines", "messages", "edits", "events", "agreement"];
/// Executions of each target, unless the arguments say otherwise.
const RUNS: &str = "-runs=10000000";
/// Inputs beyond this length find nothing that shorter ones do not, and take longer.
const LENGTH: &str = "-max_len=1024";

const FLAGS: &str = "--cfg fuzzing -C passes=sancov-module \
    -C llvm-args=-sanitizer-coverage-level=4 \
    -C llvm-args=-sanitizer-coverage-inline-8bit-counters \
    -C llvm-args=-sanitizer-coverage-pc-table \
    -C llvm-args=-sanitizer-coverage-trace-compares";

/// `[TARGET] [LIBFUZZER-ARGUMENT...]`. What is found is kept in `target/fuzz`, and the corpus in
/// `tests/fuzz/corpus` is read, never written: `-merge=1` is how it grows.
pub(crate) fn run_named(arguments: &[String]) -> Result<(), String> {
    let (named, rest) = match arguments.split_first() {
        Some((name, rest)) if !name.starts_with('-') => (vec![name.as_str()], rest),
        _ => (TARGETS.to_vec(), arguments),
    };
    if let Some(unknown) = named.iter().find(|name| !TARGETS.contains(name)) {
        return Err(format!("there is no target {unknown:?}, but {}", TARGETS.join(", ")));
    }
    build()?;
    for name in named {
        eprintln!("\n== {name}");
        search(name, rest)?;
    }
    Ok(())
}

/// For a named target, so that build scripts and macros are not instrumented.
fn build() -> Result<(), String> {
    let mut cargo = command("cargo", "build --locked --release --bins --manifest-path");
    cargo.arg(root().join("tests/fuzz/Cargo.toml"));
    cargo.arg("--target-dir").arg(target().join("fuzz/build"));
    cargo.args(["--target", &host()?]).env("RUSTFLAGS", FLAGS);
    run(cargo)
}

fn search(name: &str, arguments: &[String]) -> Result<(), String> {
    let work = target().join("fuzz");
    let (found, crashes) = (work.join("corpus").join(name), work.join("crashes"));
    for folder in [&found, &crashes] {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let program = work.join("build").join(host()?).join("release").join(name);
    let mut fuzzer = command(program, LENGTH);
    fuzzer.arg(format!("-artifact_prefix={}/{name}-", crashes.display()));
    if !arguments.iter().any(|argument| argument.starts_with("-runs=")) {
        fuzzer.arg(RUNS);
    }
    fuzzer.args(arguments).arg(found).arg(root().join("tests/fuzz/corpus").join(name));
    run(fuzzer)
}

fn host() -> Result<String, String> {
    let version = output(command("rustc", "-vV")).unwrap_or_default();
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc does not say what it runs on".to_owned())
}
