//! Starting a program the same way every time: in the root, with no input, in a clean environment.

use std::process::{Command, Stdio};

use crate::workspace::{root, target};

/// What cargo tells `xtask` about itself. Handed on, it would be taken for news by build scripts
/// that watch these, and rebuild what a plain `cargo test` has built already.
const OWN_PREFIXES: &[&str] = &["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];

/// `program` with the words of `line` as arguments.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>, line: &str) -> Command {
    let mut command = Command::new(program);
    command.args(line.split_whitespace()).current_dir(root()).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if OWN_PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command.env("CARGO_TARGET_DIR", target());
    if std::env::var_os("CI").is_some() {
        // A checkout that is built once has nothing to gain from it, and twice the disk to lose.
        command.env("CARGO_INCREMENTAL", "0");
    }
    command
}

pub(crate) fn cargo(line: &str) -> Command {
    command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), line)
}

/// Runs it to its end; its output goes where ours goes.
pub(crate) fn run(mut command: Command) -> Result<(), String> {
    let line = shown(&command);
    eprintln!("$ {line}");
    let status = command.status().map_err(|error| format!("did not start: {line}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("failed ({status}): {line}")) }
}

/// Whether it runs and succeeds; its output is nobody's business.
pub(crate) fn succeeds(mut command: Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// What it prints, if it succeeds.
pub(crate) fn output(mut command: Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The line that a person would type in the root for the same.
pub(crate) fn shown(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let program = if program.ends_with("/cargo") { "cargo".into() } else { program };
    let words = command.get_args().map(|word| quoted(&word.to_string_lossy()));
    std::iter::once(program.into_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_=/.,:@+".contains(c);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{word}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_typed() {
        let mut command = cargo("nextest run --workspace");
        command.args(["-E", "not package(x)"]);
        assert_eq!(shown(&command), "cargo nextest run --workspace -E 'not package(x)'");
    }
}
