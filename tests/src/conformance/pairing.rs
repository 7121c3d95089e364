//! Starts what a pairing consists of.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::Pairing;
use crate::gateway::Gateway;
use crate::peers;
use crate::process::Running;

const START_MAX: Duration = Duration::from_secs(10);

/// The servers of one pairing, stopped when dropped: first the gateway, then what is behind it.
pub(super) struct Servers {
    pub(super) url: String,
    _gateway: Option<Gateway>,
    _fixture: Option<Running>,
}

impl Servers {
    pub(super) fn start(pairing: Pairing) -> Self {
        let fixture = || {
            let mut command = Command::new(peers::own("conformance-fixture"));
            command.args(["http", "--until-stdin-closes"]);
            Running::start(command)
        };
        let in_front_of = |server: Value| {
            Gateway::start(&json!({
                "mcpServers": { "fixture": server },
                // The suite calls tools by the fixture's own names.
                "manager": { "namespace": "none" },
            }))
        };
        match pairing {
            Pairing::DirectHttp => {
                let fixture = fixture();
                let url = fixture.endpoint(START_MAX);
                Self { url, _gateway: None, _fixture: Some(fixture) }
            }
            Pairing::GatewayStdio => {
                let program = peers::own("conformance-fixture");
                let gateway = in_front_of(json!({ "command": program, "args": ["stdio"] }));
                Self { url: gateway.url().to_owned(), _gateway: Some(gateway), _fixture: None }
            }
            Pairing::GatewayHttp => {
                let fixture = fixture();
                let gateway = in_front_of(json!({ "url": fixture.endpoint(START_MAX) }));
                let url = gateway.url().to_owned();
                Self { url, _gateway: Some(gateway), _fixture: Some(fixture) }
            }
        }
    }
}
