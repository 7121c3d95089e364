//! The suite's client scenarios: the suite plays the server, the gateway its client, and a reference
//! client says what is to be done.
//!
//! ```text
//!   reference client ── http ── gateway ── http ── suite
//! ```
//!
//! What the suite checks is what the gateway sent, so a client of the other era shows that the gateway
//! keeps the obligations of the era that the server is of.

use crate::fixture::Era;

/// Scenarios that one era of client goes through with servers of one version.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clients {
    pub(super) era: Era,
    pub(super) version: &'static str,
    pub(super) scenarios: &'static [&'static str],
}

/// All of them but authorization, which the gateway does not do.
///
/// A scenario stands under the other era, too, where that has a meaning. What is about the headers
/// and the `_meta` of stateless requests has none for a client with a session: for that client the
/// gateway asks the server for a session first, and a server that has one gets no such request.
pub(super) const ALL: [Clients; 4] = [
    Clients {
        era: Era::Legacy,
        version: "2025-11-25",
        scenarios: &[
            "initialize",
            "tools_call",
            "elicitation-sep1034-client-defaults",
            "sse-retry",
            "json-schema-2020-12-preservation",
        ],
    },
    Clients {
        era: Era::Modern,
        version: "2025-11-25",
        scenarios: &[
            "initialize",
            "tools_call",
            "elicitation-sep1034-client-defaults",
            "sse-retry",
            "json-schema-2020-12-preservation",
        ],
    },
    Clients {
        era: Era::Modern,
        version: "2026-07-28",
        scenarios: &[
            "tools_call",
            "request-metadata",
            "http-standard-headers",
            "http-custom-headers",
            "http-invalid-tool-headers",
            "json-schema-ref-no-deref",
            "json-schema-2020-12-preservation",
            "sep-2322-client-request-state",
        ],
    },
    Clients {
        era: Era::Legacy,
        version: "2026-07-28",
        scenarios: &[
            "tools_call",
            "json-schema-ref-no-deref",
            "json-schema-2020-12-preservation",
            "sep-2322-client-request-state",
        ],
    },
];
