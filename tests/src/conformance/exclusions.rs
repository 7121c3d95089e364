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

/// All of them.
pub const ALL: &[Exclusion] = &[];

/// What is not judged in one run, and is left out of its count.
pub(super) fn of(pairing: Pairing, set: Set) -> Vec<&'static str> {
    let crosses = pairing.era != Era::Both && pairing.era != set.era();
    let own = ALL.iter().filter(|it| crosses && it.client == set.era());
    own.map(|it| it.what).collect()
}
