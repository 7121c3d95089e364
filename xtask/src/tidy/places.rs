//! The tree works wherever it lies and wherever packages come from: no file says where that was
//! for the one who wrote it.

use std::fs;
use std::path::{Path, PathBuf};

pub(super) fn check(root: &Path, tree: &[PathBuf]) -> Vec<String> {
    let here = root.display().to_string();
    let mut faults = Vec::new();
    for file in tree {
        let Ok(text) = fs::read_to_string(file) else { continue };
        let shown = file.display();
        // A checkout in `/app` would find itself in every container example.
        if root.components().count() > 2
            && let Some(line) = text.lines().position(|line| line.contains(&here))
        {
            faults.push(format!("{shown}:{}: names the folder it lies in", line + 1));
        }
        let is_lock = file.file_name().is_some_and(|name| name == "package-lock.json");
        if is_lock && text.contains("\"resolved\": \"http") {
            faults.push(format!(
                "{shown}: names a registry's host; npm with `omit-lockfile-registry-resolved` does not"
            ));
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
    fn no_file_knows_its_place() {
        let scratch = Scratch::new("places");
        let root = scratch.path();
        scratch.write("README.md", "cd somewhere/else\n").write("package-lock.json", "{}");
        assert!(check(root, &files_under(root)).is_empty());

        let lock = "{ \"resolved\": \"https://registry.invalid/a.tgz\" }";
        let named = format!("first\ncd {}/crates\n", root.display());
        scratch.write("README.md", &named).write("package-lock.json", lock);
        let faults = check(root, &files_under(root));
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].contains("README.md:2:"), "{faults:?}");
    }
}
