//! The same requests, straight to a server and through the gateway: the same bytes come back.
//!
//! Between a client and a server of one era, whole messages are compared, as the text that they are.
//! Between two eras the result's members are, each as its text, but for those that
//! `docs/protocol.md` says are added.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "differential/scripts.rs"]
mod scripts;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use system_tests::gateway::{Gateway, mcp_manager};
use system_tests::lines::Lines;
use system_tests::process::Running;
use system_tests::raw::{self, Client, Era};

use system_tests::peers;
use system_tests::wait::PATIENCE;
use tempfile::TempDir;

use self::scripts::Step;

const LEGACY: Era = Era::Legacy("2025-11-25");
/// What the gateway adds to the results of a server with sessions, for a stateless client.
const ADDED: [&str; 4] = ["resultType", "ttlMs", "cacheScope", "_meta"];

/// One way to a server, with a client of one era.
struct Wire {
    era: Era,
    kind: Kind,
    _gateway: Option<Gateway>,
    _home: Option<TempDir>,
}

enum Kind {
    Http(Client),
    Lines(Lines),
}

impl Wire {
    fn to_http(url: &str, era: Era) -> Self {
        let client = Client::connect(url, era).unwrap();
        Self { era, kind: Kind::Http(client), _gateway: None, _home: None }
    }

    fn through_http(config: &Value, era: Era) -> Self {
        let gateway = Gateway::settled(config);
        let wire = Self::to_http(gateway.url(), era);
        Self { _gateway: Some(gateway), ..wire }
    }

    fn to_lines(command: Command, era: Era) -> Self {
        let lines = Lines::start(command);
        if let Era::Legacy(version) = era {
            lines.send(&raw::initialize(version, "{}"));
            lines.until_answer("0");
            lines.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        }
        Self { era, kind: Kind::Lines(lines), _gateway: None, _home: None }
    }

    fn through_lines(config: &Value, era: Era) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("mcp.json"), config.to_string()).unwrap();
        let wire = Self::to_lines(mcp_manager(&home, &["up", "mcp.json", "--stdio"]), era);
        Self { _home: Some(home), ..wire }
    }

    /// Everything that comes back for one request, the answer last.
    fn ask(&self, number: usize, step: Step) -> Vec<String> {
        match &self.kind {
            Kind::Http(client) => {
                let answer = client.request_with_meta(step.method, step.params, step.meta).unwrap();
                [answer.before, vec![answer.message]].concat()
            }
            Kind::Lines(lines) => {
                // As the other kind counts.
                let id = (number + 1).to_string();
                lines.send(&raw::body(self.era, "{}", &id, step.method, step.params, step.meta));
                lines.until_answer(&id)
            }
        }
    }
}

/// A client and a server of the same era: all bytes are equal.
fn is_transparent(direct: &Wire, through: &Wire, script: &[Step]) {
    for (number, step) in script.iter().enumerate() {
        let (expected, seen) = (direct.ask(number, *step), through.ask(number, *step));
        assert!(!expected.is_empty() && !expected[0].is_empty(), "{step:?}: nothing came");
        assert_eq!(seen, expected, "{step:?}");
    }
}

/// A stateless client before a server with sessions: all is there, and only what must be is added.
fn is_translated(direct: &Wire, through: &Wire, script: &[Step]) {
    for (number, step) in script.iter().enumerate() {
        let (mut expected, mut seen) = (direct.ask(number, *step), through.ask(number, *step));
        // What a session is told beside its calls, a stateless client has to ask for.
        let of_the_call = |line: &String| !line.contains("list_changed");
        expected.retain(of_the_call);
        seen.retain(of_the_call);
        let (own, translated) = (expected.pop().unwrap(), seen.pop().unwrap());
        assert_eq!(seen, expected, "{step:?}: what came before the answer");
        let (own, translated) = (members(&own), members(&translated));
        assert_eq!(own.get("id"), translated.get("id"), "{step:?}");
        let (Some(own_result), Some(result)) = (own.get("result"), translated.get("result")) else {
            let error = own.get("error").cloned().unwrap_or_default();
            let error = error.replace(r#""code":-32002"#, r#""code":-32602"#);
            assert_eq!(translated.get("error"), Some(&error), "{step:?}");
            continue;
        };
        let (own, mut result) = (members(own_result), members(result));
        result.retain(|name, _| own.contains_key(name) || !ADDED.contains(&name.as_str()));
        assert_eq!(result, own, "{step:?}");
    }
}

/// The members of an object, each as the text that it is.
fn members(json: &str) -> BTreeMap<String, String> {
    let members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(json).unwrap();
    members.into_iter().map(|(name, value)| (name, value.get().to_owned())).collect()
}

fn one(server: Value) -> Value {
    json!({ "mcpServers": { "one": server } })
}

fn fixture(args: &[&str]) -> Command {
    let mut command = Command::new(peers::own("conformance-fixture"));
    command.args(args);
    command
}

fn everything() -> Command {
    let mut command = peers::server_everything();
    command.arg("stdio");
    command
}

/// Each era, and what it alone has.
fn eras() -> [(Era, &'static [Step]); 2] {
    [(LEGACY, scripts::FIXTURE_LEGACY), (Era::Modern, scripts::FIXTURE_MODERN)]
}

#[test]
fn the_fixture_over_stdio_in_both_eras() {
    for (era, script) in eras() {
        let script = [scripts::FIXTURE, script].concat();
        let direct = Wire::to_lines(fixture(&["stdio"]), era);
        let config = one(peers::as_config(&fixture(&["stdio"])));
        is_transparent(&direct, &Wire::through_lines(&config, era), &script);
        is_transparent(
            &Wire::to_lines(fixture(&["stdio"]), era),
            &Wire::through_http(&config, era),
            &script,
        );
    }
}

#[test]
fn the_fixture_over_http_in_both_eras() {
    let server = Running::start(fixture(&["http", "--until-stdin-closes"]));
    let url = server.endpoint(PATIENCE);
    for (era, script) in eras() {
        let logging = if era == Era::Modern { scripts::LOGGING } else { &[] };
        let script = [scripts::FIXTURE, script, logging].concat();
        let through = Wire::through_http(&one(json!({ "url": url })), era);
        is_transparent(&Wire::to_http(&url, era), &through, &script);
    }
}

#[test]
fn server_everything_over_stdio_and_http() {
    let config = one(peers::as_config(&everything()));
    let through = Wire::through_lines(&config, LEGACY);
    is_transparent(&Wire::to_lines(everything(), LEGACY), &through, scripts::EVERYTHING);
    let server = Running::start(peers::server_everything_http());
    let url = server.endpoint(PATIENCE);
    let through = Wire::through_http(&one(json!({ "url": url })), LEGACY);
    is_transparent(&Wire::to_http(&url, LEGACY), &through, scripts::EVERYTHING);
}

#[test]
fn server_filesystem_over_stdio() {
    let dir = files();
    let server = || peers::server_filesystem(dir.path());
    let script = scripts::filesystem(dir.path());
    let script: Vec<_> = script.iter().map(|(method, params)| Step::new(method, params)).collect();
    let through = Wire::through_lines(&one(peers::as_config(&server())), LEGACY);
    is_transparent(&Wire::to_lines(server(), LEGACY), &through, &script);
}

#[test]
fn across_the_eras_only_what_must_be_is_added() {
    let legacy = || fixture(&["stdio", "--era", "legacy"]);
    for (server, script) in [
        (legacy as fn() -> Command, scripts::FIXTURE),
        (everything as fn() -> Command, scripts::EVERYTHING),
    ] {
        let direct = Wire::to_lines(server(), LEGACY);
        let config = one(peers::as_config(&server()));
        is_translated(&direct, &Wire::through_lines(&config, Era::Modern), script);
        let direct = Wire::to_lines(server(), LEGACY);
        is_translated(&direct, &Wire::through_http(&config, Era::Modern), script);
    }
}

fn files() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write =
        |name: &str, text: &str| std::fs::write(Path::join(dir.path(), name), text).unwrap();
    write("plain.txt", "one\ntwo\nthree\n");
    write("umlaute.txt", "äöü \u{1f600}\n");
    dir
}
