//! One place for each fact of a manifest: versions and lints come from the workspace.

use std::collections::BTreeSet;
use std::path::Path;

use toml::Value;

use crate::tidy::dependencies;
use crate::workspace::{Member, at, manifest};

pub(super) fn check(root: &Path, members: &[Member]) -> Result<Vec<String>, String> {
    let mut faults = Vec::new();
    let mut used = BTreeSet::new();
    for member in members {
        let name = &member.name;
        for (dependency, how) in dependencies(member) {
            used.insert(dependency.as_str());
            if how.get("workspace").and_then(Value::as_bool) != Some(true) {
                faults.push(format!("{name}: inherit `{dependency}` from the workspace"));
            }
        }
        if at(&member.manifest, &["lints", "workspace"]).and_then(Value::as_bool) != Some(true) {
            faults.push(format!("{name}: inherit the lints, `[lints] workspace = true`"));
        }
    }
    let top = manifest(root)?;
    let offered = at(&top, &["workspace", "dependencies"]).and_then(Value::as_table);
    for dependency in offered.into_iter().flat_map(|table| table.keys()) {
        // The crates themselves are offered to each other whether or not anyone takes them.
        let own = members.iter().any(|member| member.name == *dependency);
        if !own && !used.contains(dependency.as_str()) {
            faults.push(format!("Cargo.toml: no member inherits `{dependency}`, remove it"));
        }
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use crate::workspace::members;

    #[test]
    fn versions_and_lints_are_inherited_and_what_is_offered_is_taken() {
        let scratch = Scratch::new("manifests");
        let top = "[workspace]\nmembers = [\"one\"]\n\
                   [workspace.dependencies]\na = \"1\"\nb = \"1\"\n";
        scratch.write("Cargo.toml", top).write(
            "one/Cargo.toml",
            "[package]\nname = \"one\"\n[lints]\nworkspace = true\n\
             [dependencies]\na.workspace = true\n[dev-dependencies]\nb = { workspace = true }\n",
        );
        let faults = || check(scratch.path(), &members(scratch.path()).unwrap()).unwrap();
        assert!(faults().is_empty());

        scratch.write(
            "one/Cargo.toml",
            "[package]\nname = \"one\"\n[target.'cfg(unix)'.dependencies]\na = \"1\"\n",
        );
        assert_eq!(
            faults(),
            [
                "one: inherit `a` from the workspace",
                "one: inherit the lints, `[lints] workspace = true`",
                "Cargo.toml: no member inherits `b`, remove it",
            ]
        );
    }
}
