//! `cargo xtask setup`: what the gate needs and a machine need not have, installed into `target/`.
//!
//! Nothing outside it is touched, every version is pinned, and what is there already is left alone.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::deny;
use crate::shell::{command, output, run, succeeds};
use crate::workspace::{root, target};

/// What has to be there before, and what to install where it is not.
const NEEDED: &[(&str, &str)] = &[
    ("cc", "a C compiler (Debian: `apt-get install build-essential`)"),
    ("node", "Node.js 20 or later (Debian: `apt-get install nodejs`)"),
    ("npm", "npm, which comes with Node.js (Debian: `apt-get install npm`)"),
    ("python3", "Python 3.10 or later, with venv (Debian: `apt-get install python3-venv`)"),
];

pub(crate) fn run_all() -> Result<(), String> {
    needed()?;
    deny::install()?;
    npm_peers()?;
    python_peers()
}

/// All that is missing at once: nobody likes to be told one thing at a time.
fn needed() -> Result<(), String> {
    let missing = NEEDED.iter().filter(|(program, _)| !succeeds(command(program, "--version")));
    let lines: Vec<_> = missing.map(|(program, what)| format!("`{program}`: {what}")).collect();
    if lines.is_empty() {
        return Ok(());
    }
    Err(format!("missing on this machine, install them first:\n  {}", lines.join("\n  ")))
}

/// The peers that come from npm, in `target/peers/npm/node_modules`.
fn npm_peers() -> Result<(), String> {
    let (from, to) = (root().join("tests/peers"), target().join("peers/npm"));
    let files = ["package.json", "package-lock.json"];
    let wanted = contents(&from, &files)?;
    once(&to, &wanted, || {
        fs::create_dir_all(&to).map_err(|error| format!("{}: {error}", to.display()))?;
        for file in files {
            fs::copy(from.join(file), to.join(file)).map_err(|error| format!("{file}: {error}"))?;
        }
        let mut npm = command("npm", "ci --no-audit --no-fund --loglevel=error --prefix");
        npm.arg(&to);
        run(npm)
    })
}

/// The peers that come from PyPI, in `target/peers/venv/bin`.
fn python_peers() -> Result<(), String> {
    let (from, to) = (root().join("tests/peers"), target().join("peers/venv"));
    // A virtual environment breaks when the Python that made it goes.
    let python = output(command("python3", "--version")).unwrap_or_default();
    let wanted = python + "\n" + &contents(&from, &["requirements.txt"])?;
    once(&to, &wanted, || {
        let mut venv = command("python3", "-m venv --clear");
        venv.arg(&to);
        run(venv).map_err(|why| format!("{why} (Debian: `apt-get install python3-venv`)"))?;
        let mut pip: Command = command(to.join("bin/python"), "-m pip install --quiet");
        pip.arg("--disable-pip-version-check")
            .arg("--requirement")
            .arg(from.join("requirements.txt"));
        run(pip)
    })
}

fn contents(dir: &Path, files: &[&str]) -> Result<String, String> {
    let read = |file: &&str| {
        let path = dir.join(file);
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    files.iter().map(read).collect()
}

/// Installs into `dir` unless the stamp in it says that exactly this was installed, and there. The
/// stamp goes first and comes last, so that an installation that broke off is done again.
fn once(
    dir: &Path,
    wanted: &str,
    install: impl FnOnce() -> Result<(), String>,
) -> Result<(), String> {
    let stamp = dir.join("installed");
    let wanted = format!("{}\n{wanted}", dir.display());
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let _ = fs::remove_file(&stamp);
    install()?;
    fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn installs_once_and_again_when_the_wish_changes_or_it_broke_off() {
        let scratch = Scratch::new("once");
        let dir = scratch.path();
        let mut runs = 0;
        let mut wish = |wanted, works: bool| {
            let result = once(dir, wanted, || {
                runs += 1;
                if works { Ok(()) } else { Err("broke off".to_owned()) }
            });
            (result.is_ok(), runs)
        };
        assert_eq!(wish("a", true), (true, 1));
        assert_eq!(wish("a", true), (true, 1));
        assert_eq!(wish("b", true), (true, 2));
        assert_eq!(wish("c", false), (false, 3));
        assert_eq!(wish("b", true), (true, 4));
    }
}
