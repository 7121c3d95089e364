//! Scenarios that have no meaning where client and server are of different eras.
//!
//! This list is what the driver reads; `docs/protocol.md` repeats it for people, and a test keeps the
//! two equal.

use super::{Pairing, Set};
use crate::fixture::Era;

/// Something that is not judged in a cross pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exclusion {
    /// The era of the client; the server only speaks the other one.
    pub client: Era,
    /// `scenario` or `scenario:check-id`.
    pub what: &'static str,
    /// Why no gateway could do what it asks for.
    pub why: &'static str,
}

const NO_TASKS: &str =
    "tasks are an extension of 2026-07-28, which a server with sessions does not offer";

/// All of them.
pub const ALL: &[Exclusion] = &[
    modern("tasks-lifecycle", NO_TASKS),
    modern("tasks-capability-negotiation", NO_TASKS),
    modern("tasks-wire-fields", NO_TASKS),
    modern("tasks-request-state-removal", NO_TASKS),
    modern("tasks-mrtr-input", NO_TASKS),
    modern("tasks-mrtr-composition", NO_TASKS),
    modern("tasks-request-headers", NO_TASKS),
    modern("tasks-dispatch-and-envelope", NO_TASKS),
    modern(
        "input-required-result-basic-elicitation:sep-2322-elicitation-incomplete",
        "wants the question under the key `user_name`; in a session it has an id, and no key",
    ),
    modern(
        "input-required-result-ignore-extra-params:sep-2322-ignore-unexpected-params",
        "answers a question that was not asked; a server with sessions takes answers to its own",
    ),
];

const fn modern(what: &'static str, why: &'static str) -> Exclusion {
    Exclusion { client: Era::Modern, what, why }
}

/// What is not judged in one run, and is left out of its count.
pub(super) fn of(pairing: Pairing, set: Set) -> Vec<&'static str> {
    let crosses = pairing.era != Era::Both && pairing.era != set.era();
    let own = ALL.iter().filter(|it| crosses && it.client == set.era());
    own.map(|it| it.what).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of `docs/protocol.md`, row by row.
    #[test]
    fn the_table_in_the_docs_is_this_list() {
        let docs = std::fs::read_to_string(crate::peers::workspace().join("docs/protocol.md"));
        let docs = docs.expect("docs/protocol.md");
        let (_, table) = docs.split_once("no meaning in a cross pair\n").expect("the section");
        let rows = table.lines().skip_while(|line| !line.starts_with("|---"));
        let rows: Vec<_> = rows.skip(1).take_while(|line| line.starts_with('|')).collect();
        let row = |it: &Exclusion| format!("| {} | `{}` | {} |", it.client, it.what, it.why);
        assert_eq!(rows, ALL.iter().map(row).collect::<Vec<_>>());
    }
}
