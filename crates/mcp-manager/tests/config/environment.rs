//! What a child process inherits.

use std::collections::BTreeMap;
use std::ffi::OsString;

use mcp_manager::config::{ServerKind, child_environment};

use crate::world::World;

const MANAGERS: &[(&str, &str)] = &[
    ("PATH", "/bin"),
    ("HOME", "/home/ada"),
    ("LC_ALL", "C"),
    ("LCX", "no"),
    ("XDG_RUNTIME_DIR", "/run/user/1"),
    ("SSL_CERT_FILE", "/etc/ca.pem"),
    ("SHELL", "() { :; }; echo shellshock"),
    ("AWS_SECRET_ACCESS_KEY", "canary"),
    ("HTTPS_PROXY", "http://ada:canary@proxy"),
    ("path", "other"),
];

/// The child's environment, `NAME=value` in one line.
fn environment(entry: &str) -> String {
    let text = format!(r#"{{"mcpServers": {{"a": {{"command": "x", {entry}}}}}}}"#);
    let config = World::ada().parse(&text).expect(entry);
    let ServerKind::Stdio(stdio) = &config.servers[0].kind else { panic!("a child") };
    let managers = MANAGERS.iter().map(|(name, value)| (OsString::from(name), value.into()));
    let child: BTreeMap<_, _> = child_environment(stdio, managers);
    let shown = child.iter().map(|(name, value)| format!("{}={}", name.display(), value.display()));
    shown.collect::<Vec<_>>().join(" ")
}

#[test]
fn little_is_inherited() {
    assert_eq!(
        environment(r#""env": {}"#),
        "HOME=/home/ada LC_ALL=C PATH=/bin SSL_CERT_FILE=/etc/ca.pem XDG_RUNTIME_DIR=/run/user/1"
    );
}

#[test]
fn what_is_declared_wins() {
    assert_eq!(
        environment(
            r#""env": {"PATH": "/opt/bin:${HOME}", "NEW": "1", "HOME": null, "LC_ALL": null}"#
        ),
        "NEW=1 PATH=/opt/bin:/home/ada SSL_CERT_FILE=/etc/ca.pem XDG_RUNTIME_DIR=/run/user/1"
    );
}

#[test]
fn all_is_inherited_on_demand() {
    let all = environment(r#""env": {"PATH": "/opt/bin"}, "manager": {"inheritEnv": true}"#);
    assert_eq!(all.split(' ').filter(|pair| pair.contains('=')).count(), MANAGERS.len());
    assert!(all.contains("AWS_SECRET_ACCESS_KEY=canary") && all.contains("PATH=/opt/bin"));
}
