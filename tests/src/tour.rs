//! Everything that a client can do with a server, once, by clients that other people wrote.

use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

use crate::clients::at_home;
use crate::peers;

/// What a client saw. The plan that it was given has a member for each of these; see the clients,
/// `tests/clients/tour.mjs` and `tour.py`.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Seen {
    /// The protocol version.
    pub version: String,
    /// Names of tools, in order.
    pub tools: Vec<String>,
    /// Names of prompts, in order.
    pub prompts: Vec<String>,
    /// URIs, in order.
    pub resources: Vec<String>,
    /// URI templates, in order.
    pub templates: Vec<String>,
    /// The text of a plain call.
    pub call: String,
    /// The text of a prompt's messages.
    pub prompt: String,
    /// The text of a resource.
    pub read: String,
    /// The text of a tool that asked the model, which says `forty-two`.
    pub sampling: String,
    /// The text of a tool that asked the user, who is called Alice.
    pub elicitation: String,
    /// The text of a tool that asked for roots, of which there is one, `file:///tmp/root`.
    pub roots: String,
    /// What progress was reported.
    pub progress: Vec<f64>,
    /// Completions.
    pub completion: Vec<String>,
    /// `cancelled`, or `answered`.
    pub cancelled: String,
    /// What the server said of the cancelled call, if it keeps count.
    pub ended: Option<String>,
    /// The resource that has changed.
    pub updated: String,
}

/// The official TypeScript client; `mode` is `legacy` or a modern version.
///
/// # Panics
/// With all that it said, when it does not come to the end.
pub fn typescript(url: &str, mode: &str, plan: &Value) -> Seen {
    let mut command = peers::node();
    command.arg(peers::file("clients/tour.mjs")).args([url, mode]);
    command.env("PEERS", peers::npm("..", ""));
    report(command, plan)
}

/// The official Python client; `mode` is `legacy` or a modern version.
///
/// # Panics
/// With all that it said, when it does not come to the end.
pub fn python(url: &str, mode: &str, plan: &Value) -> Seen {
    let mut command = peers::python();
    command.arg(peers::file("clients/tour.py")).args([url, mode]);
    report(command, plan)
}

fn report(command: Command, plan: &Value) -> Seen {
    let finished = at_home(command, plan.to_string().as_bytes());
    match serde_json::from_str(&finished.stdout) {
        Ok(seen) if finished.success() => seen,
        _ => panic!("the tour ended early: {finished:#?}"),
    }
}
