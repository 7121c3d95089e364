//! Starts what a pairing consists of.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Door, Pairing};
use crate::gateway::Gateway;
use crate::peers;
use crate::process::Running;

/// Several runs start at once, on a machine that may have two cores.
const START_MAX: Duration = Duration::from_secs(30);

/// The servers of one pairing, stopped when dropped: first the gateway, then what is behind it.
pub(super) struct Servers {
    pub(super) url: String,
    _gateway: Option<Gateway>,
    _fixture: Option<Running>,
}

impl Servers {
    pub(super) fn start(pairing: Pairing) -> Self {
        let era = &pairing.era.to_string();
        let program = peers::own("conformance-fixture");
        let listening = |face| {
            let mut command = Command::new(&program);
            command.args([face, "--until-stdin-closes", "--era", era]);
            let fixture = Running::start(command);
            (fixture.endpoint(START_MAX), fixture)
        };
        match pairing.door {
            Door::Direct => {
                let (url, fixture) = listening("http");
                Self { url, _gateway: None, _fixture: Some(fixture) }
            }
            Door::Stdio => {
                let args = ["stdio", "--era", era];
                Self::in_front_of(json!({ "command": program, "args": args }), None)
            }
            Door::Http | Door::WebSocket => {
                let face = if pairing.door == Door::Http { "http" } else { "ws" };
                let (url, fixture) = listening(face);
                Self::in_front_of(json!({ "url": url }), Some(fixture))
            }
        }
    }

    fn in_front_of(server: Value, fixture: Option<Running>) -> Self {
        let gateway = Gateway::start(&json!({
            "mcpServers": { "fixture": server },
            // The suite calls tools by the fixture's own names.
            "manager": { "namespace": "none" },
        }));
        Self { url: gateway.url().to_owned(), _gateway: Some(gateway), _fixture: fixture }
    }
}
