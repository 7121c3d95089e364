//! The workspace's own commands: `cargo xtask ci` is what CI runs, word for word.

mod bench;
mod deny;
mod fuzz;
mod gate;
#[cfg(test)]
mod scratch;
mod setup;
mod shell;
mod stream;
mod suites;
mod tally;
mod tidy;
mod watch;
mod workspace;

use std::process::ExitCode;

use crate::shell::{cargo, run};
use crate::tally::Tally;
use crate::workspace::root;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  ci                     the whole gate, read-only; ends with `N passed, N failed`
  fix                    repairs what clippy and rustfmt can repair
  setup                  installs what the gate needs into target/, where it is missing
  tidy                   the rules of layers, manifests and files
  e2e                    the end-to-end suites alone
  conformance [ARG...]   the MCP conformance suite alone; ARGs go to its driver
  soak [ARG...]          a fleet under a killer for ten minutes; ARGs go to its driver
  fuzz [TARGET [ARG...]] searches for bytes that break the parsers; ARGs go to libFuzzer
  bench [NAME [ARG...]]  a benchmark (`gateway`, `isolation`, `lists`, ...) or all; ends with their targets";

const FIX: &[&str] = &[
    "clippy --workspace --all-targets --all-features --fix --allow-dirty --allow-staged",
    "fmt --all",
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (task, rest) = arguments.split_first().map_or(("", &[][..]), |(t, r)| (t.as_str(), r));
    let result = match task {
        "ci" => return counted(gate::run),
        "fix" => FIX.iter().try_for_each(|line| run(cargo(line))),
        "setup" => setup::run_all(),
        "tidy" => tidy::run(&root()),
        "e2e" => return counted(|tally| setup::run_all().and_then(|()| suites::end_to_end(tally))),
        "conformance" => setup::run_all().and_then(|()| suites::conformance_alone(rest)),
        "soak" => setup::run_all().and_then(|()| suites::soak(rest)),
        "fuzz" => fuzz::run_named(rest),
        "bench" => bench::run_named(rest),
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Whatever happens, the last line counts.
#[expect(clippy::print_stdout, reason = "the closing line is the command's answer")]
fn counted(work: impl FnOnce(&mut Tally) -> Result<(), String>) -> ExitCode {
    let mut tally = Tally::default();
    let result = work(&mut tally);
    if let Err(why) = &result {
        eprintln!("\n{why}\n");
        // A step that holds no tests failed: never say `0 failed` of a run that did.
        tally.failed = tally.failed.max(1);
    }
    println!("{tally}");
    if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
