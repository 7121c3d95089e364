//! What is known to fail, by pairing and set, until it is repaired.

use std::collections::BTreeSet;
use std::path::Path;

/// The entries of the file, each behind the name of its run.
pub(super) fn read(file: &Path) -> BTreeSet<String> {
    let text =
        std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    parse(&text)
}

/// Those of one run, `PAIRING/SET`, without that name.
pub(super) fn of(all: &BTreeSet<String>, run: &str) -> BTreeSet<String> {
    let own = |entry: &String| Some(entry.strip_prefix(run)?.strip_prefix('/')?.to_owned());
    all.iter().filter_map(own).collect()
}

fn parse(text: &str) -> BTreeSet<String> {
    let entries = text.lines().filter_map(|line| line.trim().strip_prefix("- "));
    let bare = |entry: &str| {
        let entry = entry.split(" #").next().unwrap_or(entry);
        entry.trim().trim_matches(['"', '\'']).to_owned()
    };
    entries.map(bare).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_belongs_to_one_run() {
        let text = "server:\n  - gateway-http/2026-07-28/caching # why\n  - 'gateway-http-legacy/2026-07-28/a:b'\n";
        let all = parse(text);
        assert_eq!(of(&all, "gateway-http/2026-07-28"), BTreeSet::from(["caching".to_owned()]));
        assert_eq!(of(&all, "gateway-http-legacy/2026-07-28"), BTreeSet::from(["a:b".to_owned()]));
        assert_eq!(of(&all, "gateway-http/2025-11-25"), BTreeSet::new());
        assert_eq!(parse("server: []\nclient: []\n"), BTreeSet::new());
    }
}
