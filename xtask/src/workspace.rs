//! What the workspace is made of: where it lies, where it builds, and who its members are.

use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// The folder of the top-level `Cargo.toml`.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// Where cargo builds, absolute: a relative `CARGO_TARGET_DIR` means the caller's folder, and the
/// commands run in the root.
pub(crate) fn target() -> PathBuf {
    let own = || root().join("target");
    let Some(named) = std::env::var_os("CARGO_TARGET_DIR") else { return own() };
    std::path::absolute(named).unwrap_or_else(|_| own())
}

/// One package of the workspace.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    pub(crate) manifest: Table,
}

impl Member {
    fn read(dir: PathBuf) -> Result<Self, String> {
        let manifest = manifest(&dir)?;
        let name = at(&manifest, &["package", "name"]).and_then(Value::as_str);
        let name = name.ok_or_else(|| format!("{}: a package has a name", dir.display()))?;
        Ok(Self { name: name.to_owned(), dir, manifest })
    }

    pub(crate) fn published(&self) -> bool {
        at(&self.manifest, &["package", "publish"]).is_none()
    }

    pub(crate) fn layer(&self) -> Option<&str> {
        at(&self.manifest, &["package", "metadata", "workspace", "layer"])?.as_str()
    }
}

/// The manifest in a folder.
pub(crate) fn manifest(dir: &Path) -> Result<Table, String> {
    let path = dir.join("Cargo.toml");
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    text.parse().map_err(|e| format!("{}: {e}", path.display()))
}

/// The value under a path of keys.
pub(crate) fn at<'a>(table: &'a Table, keys: &[&str]) -> Option<&'a Value> {
    let (first, rest) = keys.split_first()?;
    rest.iter().try_fold(table.get(*first)?, |value, key| value.get(*key))
}

/// Every member that the root manifest names, `folder/*` included, in the order of their names.
pub(crate) fn members(root: &Path) -> Result<Vec<Member>, String> {
    let top = manifest(root)?;
    let named = at(&top, &["workspace", "members"]).and_then(Value::as_array);
    let mut members = Vec::new();
    for pattern in named.into_iter().flatten().filter_map(Value::as_str) {
        let Some(parent) = pattern.strip_suffix("/*") else {
            members.push(Member::read(root.join(pattern))?);
            continue;
        };
        for entry in fs::read_dir(root.join(parent)).into_iter().flatten().flatten() {
            if entry.path().join("Cargo.toml").exists() {
                members.push(Member::read(entry.path())?);
            }
        }
    }
    members.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(members)
}
