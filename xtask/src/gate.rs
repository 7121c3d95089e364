//! `cargo xtask ci`: every step in order, up to the first that fails.
//!
//! What is cheap comes first, then what fails most. One set of features is used throughout, save
//! where a crate is tried alone: another set compiles every dependency anew. `--locked` everywhere:
//! a check rewrites nothing, the lock file included.

use crate::shell::{cargo, run as shell};
use crate::tally::Tally;
use crate::watch::Watch;
use crate::workspace::{at, members, root};
use crate::{deny, setup, suites, tidy};

type Step = (&'static str, fn(&mut Tally) -> Result<(), String>);

const STEPS: &[Step] = &[
    ("setup", |_| setup::run_all()),
    ("tidy", |_| tidy::run(&root())),
    ("format", |_| shell(cargo("fmt --all --check"))),
    ("clippy", |_| shell(cargo(CLIPPY))),
    ("clippy for macOS", |_| elsewhere()),
    ("build", |_| suites::build()),
    ("tests", suites::tests),
    ("documentation tests", suites::doctests),
    ("documentation", |_| documentation()),
    ("each crate alone", |_| each_alone()),
    ("dependencies", |_| deny::check()),
    ("end to end", suites::end_to_end_built),
];

const CLIPPY: &str = "clippy --locked --workspace --all-targets --all-features -- -D warnings";

/// What knows the operating system is checked for the other one that it is for.
const ELSEWHERE: &str = "aarch64-apple-darwin";

pub(crate) fn run(tally: &mut Tally) -> Result<(), String> {
    let whole = Watch::start();
    let mut times = String::new();
    for (number, (name, step)) in (1..).zip(STEPS) {
        eprintln!("\n== {number}/{} {name}", STEPS.len());
        let watch = Watch::start();
        let result = step(tally);
        let seconds = watch.elapsed().as_secs_f64();
        eprintln!("== {name}: {seconds:.1} s");
        times += &format!("{seconds:8.1} s  {name}\n");
        result.map_err(|why| format!("the gate stopped at `{name}`\n{why}"))?;
    }
    let seconds = whole.elapsed().as_secs_f64();
    eprintln!("\n{times}{seconds:8.1} s  the whole gate\n");
    Ok(())
}

/// Where the target is installed (`rustup target add aarch64-apple-darwin`): a gate installs nothing
/// outside of `target`.
fn elsewhere() -> Result<(), String> {
    let mut ask = std::process::Command::new("rustc");
    ask.args(["--print", "target-libdir", "--target", ELSEWHERE]);
    let told = ask.output().map_err(|error| format!("rustc: {error}"))?;
    if !std::path::Path::new(String::from_utf8_lossy(&told.stdout).trim()).is_dir() {
        eprintln!("skipped: the target {ELSEWHERE} is not installed");
        return Ok(());
    }
    let clippy = format!("clippy --locked -p mcp-supervisor --target {ELSEWHERE} -- -D warnings");
    shell(cargo(&clippy))
}

/// Of the libraries: a program's manual is its `--help`, and the page of the program `mcp-manager`
/// would overwrite that of the library of this name.
fn documentation() -> Result<(), String> {
    let mut doc = cargo("doc --locked --workspace --all-features --no-deps --lib");
    doc.env("RUSTDOCFLAGS", "-D warnings");
    shell(doc).map_err(|why| format!("{why} (with RUSTDOCFLAGS='-D warnings')"))
}

/// Every published crate builds without its siblings' features, and without its own where it has
/// some that are on by default: adoptable alone.
fn each_alone() -> Result<(), String> {
    for member in members(&root())?.iter().filter(|member| member.published()) {
        let name = &member.name;
        shell(cargo(&format!("check --locked -p {name}")))?;
        if at(&member.manifest, &["features", "default"]).is_some() {
            shell(cargo(&format!("check --locked -p {name} --no-default-features")))?;
        }
    }
    Ok(())
}
