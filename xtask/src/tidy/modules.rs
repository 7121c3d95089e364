//! Nobody keeps a file that nobody compiles: each is a target's first, or some `mod` declares it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use toml::Value;

use crate::tidy::{files_under, is_rust};
use crate::workspace::{Member, at};

pub(super) fn check(member: &Member) -> Vec<String> {
    let mut compiled = BTreeSet::new();
    for root in roots(member) {
        visit(&root, true, &mut compiled);
    }
    let files = files_under(&member.dir).into_iter().filter(|file| is_rust(file));
    let strays = files.filter(|file| !compiled.contains(file) && !is_foreign(file, &member.dir));
    strays
        .map(|file| format!("{}: no `mod` declares it, so nobody compiles it", file.display()))
        .collect()
}

/// Whether `file` belongs to a workspace of its own inside of the member's folder.
fn is_foreign(file: &Path, member: &Path) -> bool {
    let between = file.ancestors().skip(1).take_while(|dir| *dir != member);
    between.into_iter().any(|dir| dir.join("Cargo.toml").exists())
}

/// The files that cargo compiles unasked, and those that the manifest names.
fn roots(member: &Member) -> Vec<PathBuf> {
    let dir = &member.dir;
    let mut roots: Vec<_> =
        ["src/lib.rs", "src/main.rs", "build.rs"].iter().map(|file| dir.join(file)).collect();
    for folder in ["src/bin", "tests", "benches", "examples"] {
        for entry in fs::read_dir(dir.join(folder)).into_iter().flatten().flatten() {
            let path = entry.path();
            roots.push(if path.is_dir() { path.join("main.rs") } else { path });
        }
    }
    let named = ["bin", "test", "bench", "example"]
        .iter()
        .filter_map(|kind| member.manifest.get(*kind).and_then(Value::as_array));
    let paths = named.flatten().filter_map(|target| target.get("path"));
    let single =
        [at(&member.manifest, &["lib", "path"]), at(&member.manifest, &["package", "build"])];
    let paths = paths.chain(single.into_iter().flatten()).filter_map(Value::as_str);
    roots.extend(paths.map(|path| dir.join(path)));
    roots.retain(|path| is_rust(path) && path.exists());
    roots
}

fn visit(file: &Path, is_root: bool, compiled: &mut BTreeSet<PathBuf>) {
    if !compiled.insert(file.to_owned()) {
        return;
    }
    let text = fs::read_to_string(file).unwrap_or_default();
    let beside = file.parent().unwrap_or(file);
    let is_mod = file.file_name().is_some_and(|name| name == "mod.rs");
    let below = if is_root || is_mod { beside.to_owned() } else { file.with_extension("") };
    for Declaration { name, path } in declarations(&text) {
        let places = match path {
            Some(path) => vec![beside.join(path)],
            None => vec![below.join(format!("{name}.rs")), below.join(name).join("mod.rs")],
        };
        for place in places.iter().filter(|place| place.exists()) {
            visit(place, false, compiled);
        }
    }
}

struct Declaration<'a> {
    name: &'a str,
    /// What `#[path = "…"]` says.
    path: Option<&'a str>,
}

/// The lines that declare a module elsewhere: `mod name;`, whatever stands before it.
fn declarations(text: &str) -> Vec<Declaration<'_>> {
    let mut found = Vec::new();
    let mut path = None;
    for line in text.lines() {
        let mut rest = line.trim();
        while let Some((attribute, after)) = leading_attribute(rest) {
            path = attribute.strip_prefix("path = \"").and_then(|p| p.strip_suffix('"')).or(path);
            rest = after.trim_start();
        }
        if rest.is_empty() {
            continue;
        }
        if let Some(name) = declared(rest) {
            found.push(Declaration { name, path });
        }
        path = None;
    }
    found
}

fn leading_attribute(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("#[")?.split_once(']')
}

fn declared(line: &str) -> Option<&str> {
    let line = match line.strip_prefix("pub(") {
        Some(rest) => rest.split_once(')')?.1.trim_start(),
        None => line.strip_prefix("pub ").unwrap_or(line),
    };
    let (name, _) = line.strip_prefix("mod ")?.split_once(';')?;
    name.chars().all(|c| c.is_alphanumeric() || c == '_').then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn strays(scratch: &Scratch, manifest: &str) -> Vec<String> {
        let dir = scratch.path().to_owned();
        let member = Member { name: "one".into(), dir, manifest: manifest.parse().unwrap() };
        let shown = format!("{}/", scratch.path().display());
        let name = |fault: String| fault.replace(&shown, "").split(':').next().unwrap().to_owned();
        check(&member).into_iter().map(name).collect()
    }

    #[test]
    fn what_is_declared_is_compiled() {
        let scratch = Scratch::new("modules");
        scratch
            .write(
                "src/lib.rs",
                "mod a;\npub(crate) mod b;\n#[cfg(unix)] pub mod c;\n// mod d;\n\
                 #[path = \"odd/name.rs\"]\nmod e;\nmod inline {\n}\n",
            )
            .write("src/a.rs", "    pub(in crate::a) mod deep;")
            .write("src/a/deep.rs", "")
            .write("src/b/mod.rs", "mod beside; // why")
            .write("src/b/beside.rs", "")
            .write("src/c.rs", "")
            .write("src/odd/name.rs", "")
            .write("src/d.rs", "")
            .write("src/inline.rs", "")
            .write("src/a/lost.rs", "");
        assert_eq!(strays(&scratch, ""), ["src/a/lost.rs", "src/d.rs", "src/inline.rs"]);
    }

    #[test]
    fn every_kind_of_target_is_a_root() {
        let scratch = Scratch::new("targets");
        scratch
            .write("build.rs", "")
            .write("src/main.rs", "mod a;")
            .write("src/a.rs", "")
            .write("src/bin/one.rs", "")
            .write("src/bin/two/main.rs", "mod part;")
            .write("src/bin/two/part.rs", "")
            .write("tests/story.rs", "mod common;")
            .write("tests/common/mod.rs", "")
            .write("tests/unused/mod.rs", "")
            .write("benches/fast.rs", "")
            .write("examples/guard.rs", "")
            .write("extra/tool.rs", "mod sub;")
            .write("extra/sub.rs", "")
            .write("fuzz/old.rs", "")
            .write("target/generated.rs", "")
            .write("src/target/kept.rs", "")
            .write("build-2/CACHEDIR.TAG", "")
            .write("build-2/debug/generated.rs", "");
        let manifest = "[[bin]]\nname = \"tool\"\npath = \"extra/tool.rs\"\n";
        assert_eq!(
            strays(&scratch, manifest),
            ["fuzz/old.rs", "src/target/kept.rs", "tests/unused/mod.rs"]
        );
    }

    #[test]
    fn another_workspace_within_is_its_own_business() {
        let scratch = Scratch::new("foreign");
        scratch
            .write("src/lib.rs", "//! Root.\n")
            .write("fuzz/Cargo.toml", "[workspace]\n")
            .write("fuzz/src/bin/a.rs", "//! Theirs.\n")
            .write("other/a.rs", "//! Nobody's.\n");
        assert_eq!(strays(&scratch, ""), ["other/a.rs"]);
    }
}
