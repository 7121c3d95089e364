//! The rules that neither rustc, rustfmt nor clippy can hold; one file each.

mod files;
mod layers;
mod manifests;
mod modules;
mod papers;
mod places;

use std::fs;
use std::path::{Path, PathBuf};

use crate::workspace::{Member, members};

/// Every fault at once, each on a line of its own that begins with where it is.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let members = members(root)?;
    let mut faults = layers::check(&members);
    faults.extend(manifests::check(root, &members)?);
    for member in &members {
        faults.extend(modules::check(member));
        faults.extend(papers::check(member));
    }
    let tree = files_under(root);
    faults.extend(files::check(root, &members, &tree));
    faults.extend(places::check(root, &tree));
    if faults.is_empty() {
        return Ok(());
    }
    // The folder is the same everywhere and says nothing.
    let shown = faults.join("\n").replace(&format!("{}/", root.display()), "");
    Err(shown)
}

/// The tables of dependencies of a member, those for one platform included.
fn dependencies(member: &Member) -> impl Iterator<Item = (&String, &toml::Value)> {
    const SECTIONS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let targets = member.manifest.get("target").and_then(toml::Value::as_table);
    let targets = targets.into_iter().flat_map(|table| table.values());
    let tables = targets.filter_map(toml::Value::as_table).chain([&member.manifest]);
    tables
        .flat_map(|table| SECTIONS.iter().filter_map(|section| table.get(*section)))
        .filter_map(toml::Value::as_table)
        .flatten()
}

/// Every file that someone wrote: what is built or installed is not looked at.
fn files_under(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    walk(dir, &|name| name == "target" || name.starts_with("target-"), &mut files);
    files
}

fn walk(dir: &Path, is_built: &dyn Fn(&str) -> bool, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> =
        fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // A link is followed nowhere: it may lead out of the tree, or round in it.
        if path.is_symlink() || name == ".git" || name == "node_modules" {
            continue;
        }
        if !path.is_dir() {
            files.push(path);
        } else if !is_built(&name) && !path.join("CACHEDIR.TAG").exists() {
            // Further down, `target` is a word like any other; cargo's own mark is not.
            walk(&path, &|_| false, files);
        }
    }
}

fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn a_small_workspace_and_all_its_faults() {
        let scratch = Scratch::new("tidy");
        scratch
            .write("Cargo.toml", "[workspace]\nmembers = [\"crates/*\"]\n")
            .write(
                "crates/one/Cargo.toml",
                "[package]\nname = \"one\"\nmetadata.workspace.layer = \"leaf\"\n\
                 [lints]\nworkspace = true\n",
            )
            .write("crates/one/README.md", "one")
            .write("crates/one/CHANGELOG.md", "one")
            .write("crates/one/src/lib.rs", "//! One.\n\nmod part;\n")
            .write("crates/one/src/part.rs", "//! A part.\n");
        assert_eq!(run(scratch.path()), Ok(()));

        scratch.write("crates/one/src/lib.rs", "// One.\n").write("docs/old.rs", "//! Old.\n");
        let faults = run(scratch.path()).unwrap_err();
        assert_eq!(faults.lines().count(), 3, "{faults}");
        assert!(faults.contains("crates/one/src/part.rs: no `mod` declares it"), "{faults}");
    }
}
