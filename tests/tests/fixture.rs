//! The fixture speaks the eras that it is told to, and refuses the others as such a server would.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::Command;

use serde_json::Value;
use system_tests::lines::Lines;
use system_tests::peers;
use system_tests::process::Running;
use system_tests::raw::{self, Client, Era, MODERN};
use system_tests::wait::PATIENCE;

const LEGACY: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

fn fixture(face: &[&str], era: &str) -> Command {
    let mut command = Command::new(peers::own("conformance-fixture"));
    command.args(face).args(["--era", era]);
    command
}

/// What it answers to `message`, which has the id 0, as the first of a connection.
fn first(era: &str, message: &str) -> Value {
    let lines = Lines::start(fixture(&["stdio"], era));
    lines.send(message);
    serde_json::from_str(lines.until_answer("0").last().unwrap()).unwrap()
}

fn discover() -> String {
    raw::body(Era::Modern, "{}", "0", "server/discover", "{}", "")
}

#[test]
fn a_legacy_server_opens_sessions_of_every_version_and_knows_nothing_else() {
    for version in LEGACY {
        let answer = first("legacy", &raw::initialize(version, "{}"));
        assert_eq!(answer["result"]["protocolVersion"], version, "{answer}");
        assert!(answer["result"]["capabilities"].get("extensions").is_none(), "{answer}");
    }
    let answer = first("legacy", &discover());
    assert!(answer.get("result").is_none(), "{answer}");
}

#[test]
fn a_modern_server_opens_no_session() {
    for version in LEGACY {
        let answer = first("modern", &raw::initialize(version, "{}"));
        let code = answer["error"]["code"].as_i64().unwrap();
        assert!([-32022, -32601].contains(&code), "{answer}");
    }
    let answer = first("modern", &discover());
    assert_eq!(answer["result"]["supportedVersions"], serde_json::json!([MODERN]), "{answer}");
}

#[test]
fn over_http_it_is_the_same() {
    let serve = |era| Running::start(fixture(&["http", "--until-stdin-closes"], era));
    let (legacy, modern) = (serve("legacy"), serve("modern"));
    let (legacy, modern) = (legacy.endpoint(PATIENCE), modern.endpoint(PATIENCE));
    for version in LEGACY {
        assert!(Client::connect(&legacy, Era::Legacy(version)).unwrap().session().is_some());
        let refused = raw::post(&modern, &[], &raw::initialize(version, "{}")).unwrap();
        assert!(refused.text().unwrap().contains("-32022"));
    }
    let list = |url: &str| {
        let client = Client::connect(url, Era::Modern).unwrap();
        client.request("tools/list", "{}").unwrap().value()
    };
    assert!(list(&modern)["result"]["tools"].is_array());
    assert!(list(&legacy)["error"].is_object());
}
