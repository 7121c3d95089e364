//! A file is one idea: it begins by saying which, it is not long, and it belongs to a crate.

use std::fs;
use std::path::{Path, PathBuf};

use crate::tidy::is_rust;
use crate::workspace::Member;

const LINES_MAX: usize = 500;

pub(super) fn check(root: &Path, members: &[Member], tree: &[PathBuf]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in tree.iter().filter(|file| is_rust(file)) {
        let text = fs::read_to_string(file).unwrap_or_default();
        let lines = text.lines().count();
        let shown = file.display();
        if lines > LINES_MAX {
            faults.push(format!("{shown}: {lines} lines, at most {LINES_MAX}"));
        }
        if !text.starts_with("//!") {
            faults.push(format!("{shown}: begin with a `//!` line that says what it is"));
        }
        if !members.iter().any(|member| member.dir != root && file.starts_with(&member.dir)) {
            faults.push(format!("{shown}: belongs to no member, so nobody compiles it"));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use crate::tidy::files_under;

    #[test]
    fn short_and_introduced() {
        let scratch = Scratch::new("files");
        scratch
            .write("one/src/good.rs", &"//! Good.\n".repeat(LINES_MAX))
            .write("one/src/long.rs", &"//! Long.\n".repeat(LINES_MAX + 1))
            .write("one/src/mute.rs", "\n//! Late.\n")
            .write("one/src/other.txt", "anything");
        let dir = scratch.path().join("one");
        let member = Member { name: "one".into(), dir, manifest: toml::Table::new() };
        let faults = check(scratch.path(), &[member], &files_under(scratch.path()));
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].contains("long.rs: 501 lines"), "{faults:?}");
        assert!(faults[1].contains("mute.rs: begin"), "{faults:?}");
    }
}
