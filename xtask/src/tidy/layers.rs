//! Who may know whom: each crate declares its layer, and depends only on lower ones.
//!
//! Strictly lower, so two crates of one layer never know each other. A face that is built on
//! another face is a program: it is the last thing that anyone adopts, and nothing is built on it.

use crate::tidy::dependencies;
use crate::workspace::Member;

/// Lowest first. Declared by each crate: `[package.metadata.workspace] layer = "leaf"`.
const LAYERS: &[&str] = &["leaf", "umbrella", "face", "program", "tool"];

pub(super) fn check(members: &[Member]) -> Vec<String> {
    let mut faults = Vec::new();
    for member in members {
        let name = &member.name;
        let Some(own) = height(member) else {
            faults.push(format!("{name}: declare its layer, one of {LAYERS:?}"));
            continue;
        };
        for (dependency, _) in dependencies(member) {
            let Some(sibling) = members.iter().find(|other| other.name == *dependency) else {
                continue;
            };
            if height(sibling).is_none_or(|layer| layer >= own) {
                faults.push(format!("{name}: may not know `{dependency}`, which is not below it"));
            }
        }
    }
    faults
}

fn height(member: &Member) -> Option<usize> {
    let name = member.layer()?;
    LAYERS.iter().position(|layer| *layer == name)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn member(name: &str, layer: &str, more: &str) -> Member {
        let manifest = format!("package.metadata.workspace.layer = \"{layer}\"\n{more}");
        Member { name: name.to_owned(), dir: PathBuf::new(), manifest: manifest.parse().unwrap() }
    }

    #[test]
    fn downwards_only() {
        let leaf = || member("leaf", "leaf", "");
        let door = || member("door", "face", "dependencies.leaf.workspace = true");
        let program = member("program", "program", "dependencies.door.workspace = true");
        assert!(check(&[leaf(), door(), program]).is_empty());

        let sibling = member("other", "leaf", "dev-dependencies.leaf.workspace = true");
        assert_eq!(check(&[leaf(), sibling]).len(), 1);
        let upwards = member("up", "leaf", "target.'cfg(unix)'.dependencies.door.workspace = true");
        assert_eq!(check(&[leaf(), door(), upwards]).len(), 1);
        let tool = member("tool", "tool", "");
        let user = member("user", "tool", "build-dependencies.tool.workspace = true");
        assert_eq!(check(&[tool, user]).len(), 1);
    }

    #[test]
    fn a_layer_is_declared_and_known() {
        assert_eq!(check(&[member("odd", "common", "")]).len(), 1);
    }
}
