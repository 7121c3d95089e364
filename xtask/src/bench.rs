//! `cargo xtask bench`: the benchmarks, and at the end what they were to reach.

use crate::shell::{cargo, command, run};
use crate::stream::lines;
use crate::workspace::target;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(2 * 60 * 60);
const NAMES: &[&str] = &[
    "balance",
    "breaker",
    "bulkhead",
    "fleet",
    "gateway",
    "isolation",
    "lists",
    "pool",
    "router",
    "sessions",
    "supervisor",
    "wire",
];

/// `[NAME [ARG...]]`: no name means all of them, and the arguments go to the benchmark.
#[expect(clippy::print_stdout, reason = "the targets are the command's answer")]
pub(crate) fn run_named(arguments: &[String]) -> Result<(), String> {
    let (names, arguments) = match arguments.split_first() {
        None => (NAMES, arguments),
        Some((name, rest)) => {
            let known = NAMES.iter().position(|known| known == name);
            let at = known.ok_or_else(|| format!("no benchmark `{name}`: {}", NAMES.join(", ")))?;
            (&NAMES[at..=at], rest)
        }
    };
    let mut targets = Vec::new();
    for name in names {
        one(name, arguments, &mut targets)?;
    }
    println!();
    for line in targets {
        println!("{line}");
    }
    Ok(())
}

fn one(name: &str, arguments: &[String], targets: &mut Vec<String>) -> Result<(), String> {
    let mut bench = if matches!(name, "fleet" | "gateway" | "isolation" | "sessions") {
        // All in one build and started as built: alone, each would choose features of its own.
        run(cargo("build --locked --release -p mcp-cli -p benches --bins"))?;
        command(target().join("release/gateway"), if name == "gateway" { "" } else { name })
    } else {
        cargo(&format!("bench --locked -p benches --bench {name} --"))
    };
    bench.args(arguments);
    lines(bench, LIMIT, |line| targets.extend(is_target(line).then(|| line.trim().to_owned())))
}

/// `NAME/case value target ok|short`; a value or a target may be more than one word.
fn is_target(line: &str) -> bool {
    let words: Vec<_> = line.split_whitespace().collect();
    let named = words.first().and_then(|word| word.split_once('/'));
    let known = named.is_some_and(|(name, case)| NAMES.contains(&name) && !case.is_empty());
    known && words.len() >= 4 && matches!(words.last(), Some(&"ok" | &"short"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_told_from_the_rest() {
        assert!(is_target("gateway/http-p50 1.9x 2x ok\n"));
        assert!(is_target("wire/parse-64k 310 MB/s 400 MB/s short"));
        assert!(!is_target("wire/parse-64k          time:   [1.20 µs 1.21 µs 1.22 µs]"));
        assert!(!is_target("everything is ok"));
        assert!(!is_target("gateway/http-p50 ok"));
    }
}
