//! How servers are kept running: what is said, what is left out, what the root says for all.

use std::time::Duration;

use mcp_manager::config::{
    CheckKind, Checks, Config, RestartPolicy, Restarts, ServerKind, ServerSettings, Sessions,
};

use crate::world::World;

fn config(servers: &str, root: &str) -> Config {
    let text = format!(r#"{{"mcpServers": {{{servers}}}, "manager": {{{root}}}}}"#);
    World::ada().parse(&text).expect("a good file")
}

/// What the server of this entry is told.
fn told(entry: &str) -> ServerSettings {
    config(&format!(r#""a": {{{entry}}}"#), "").servers[0].settings.clone()
}

fn block(keys: &str) -> ServerSettings {
    told(&format!(r#""command": "x", "manager": {{{keys}}}"#))
}

#[test]
fn an_entry_that_says_nothing_has_the_documented_defaults() {
    let settings = block("");
    assert_eq!(settings, ServerSettings::default());
    assert_eq!(settings.sessions, Sessions::PerSession);
    assert_eq!((settings.spares, settings.scaling.target), (1, 4));
    let restarts = &settings.restarts;
    assert_eq!((restarts.policy, restarts.max), (RestartPolicy::Permanent, 8));
    assert_eq!(restarts.pause_max, secs(60));
    assert_eq!((restarts.period, settings.scaling.cooldown), (secs(900), secs(60)));
    let Checks { kind, interval, timeout, unhealthy_after, healthy_after, restart, .. } =
        settings.checks;
    assert_eq!((kind, interval, timeout), (CheckKind::Auto, secs(30), secs(5)));
    assert_eq!((unhealthy_after, healthy_after, restart), (3, 2, true));
    assert_eq!(settings.limits.memory_bytes, None);
    let root = config("", "").settings;
    assert_eq!((root.drain_timeout, root.watch), (secs(10), true));
}

#[test]
fn what_is_not_said_of_replicas_follows_from_what_is() {
    let urls = r#""urls": ["http://a/", "http://b/", "http://c/"]"#;
    let table = [
        (r#""command": "x""#, "", (1, 1, 1)),
        (r#""command": "x""#, r#""replicas": 3"#, (3, 3, 3)),
        (r#""command": "x""#, r#""maxReplicas": 4"#, (1, 1, 4)),
        (r#""command": "x""#, r#""minReplicas": 2"#, (2, 2, 2)),
        (r#""command": "x""#, r#""minReplicas": 2, "maxReplicas": 4"#, (2, 2, 4)),
        (r#""command": "x""#, r#""replicas": 3, "minReplicas": 2, "maxReplicas": 4"#, (3, 2, 4)),
        (urls, "", (3, 3, 3)),
        (urls, r#""maxReplicas": 2"#, (2, 2, 2)),
        (urls, r#""minReplicas": 1"#, (3, 1, 3)),
        (urls, r#""replicas": 6"#, (6, 6, 6)),
    ];
    for (entry, keys, expected) in table {
        let scaling = told(&format!(r#"{entry}, "manager": {{{keys}}}"#)).scaling;
        let found = (scaling.replicas, scaling.replicas_min, scaling.replicas_max);
        assert_eq!(found, expected, "{entry} {keys}");
    }
}

#[test]
fn who_shares_a_session_can_be_said_in_two_ways() {
    let table = [
        ("", Sessions::PerSession),
        (r#""shareable": false"#, Sessions::PerSession),
        (r#""shareable": true"#, Sessions::Shared),
        (r#""sessions": "shared""#, Sessions::Shared),
        (r#""sessions": "shared", "shareable": true"#, Sessions::Shared),
        (r#""sessions": "per-session", "shareable": false"#, Sessions::PerSession),
        (r#""sessions": "pooled", "shareable": false"#, Sessions::Pooled),
    ];
    for (keys, expected) in table {
        assert_eq!(block(keys).sessions, expected, "{keys}");
    }
    assert_eq!(block(r#""sessions": "pooled", "spares": 3"#).spares, 3);
}

#[test]
fn every_check_can_be_named() {
    let check = |keys: &str| block(keys).checks.kind;
    assert_eq!(check(r#""healthCheck": "auto""#), CheckKind::Auto);
    assert_eq!(check(r#""healthCheck": "ping""#), CheckKind::Ping);
    assert_eq!(check(r#""healthCheck": "none""#), CheckKind::None);
    let url = "https://h:1/healthz".to_owned();
    let keys = r#""healthUrl": "https://h:1/healthz", "healthCheck": "http""#;
    assert_eq!(check(keys), CheckKind::Http { url });
    let command = vec!["sh".to_owned(), "-c".to_owned(), "test ${X}".to_owned()];
    let keys = r#""healthCheck": "command", "healthCommand": ["sh", "-c", "test ${X}"]"#;
    assert_eq!(check(keys), CheckKind::Command { command });
    let remote = told(r#""tcp": "h:1", "manager": {"healthCheck": "tcp"}"#);
    assert_eq!(remote.checks.kind, CheckKind::Tcp);
}

#[test]
fn the_root_speaks_for_all_servers_and_an_entry_for_itself() {
    let servers = r#"
        "all": {"command": "x"},
        "own": {"command": "x", "manager": {"restart": "temporary", "restartsMax": 2,
            "healthCheck": "ping", "healthInterval": "2s", "restartUnhealthy": true,
            "maxMemory": "2GiB", "scaleTarget": 2}},
        "far": {"url": "http://h/"}"#;
    let root = r#""restart": "transient", "restartsMax": 5, "restartPeriod": "1m", "restartPauseMax": "4s",
        "healthCheck": "none", "healthInterval": "1m", "healthTimeout": "1s", "unhealthyAfter": 9,
        "healthyAfter": 8, "restartUnhealthy": false, "maxMemory": "1GiB", "maxProcesses": 7,
        "maxOpenFiles": 64, "maxCpu": 0.5, "scaleTarget": 9, "scaleCooldown": "9s",
        "drainTimeout": "3s", "watch": false"#;
    let config = config(servers, root);
    let [all, own, far] = &config.servers[..] else { panic!("three servers") };
    let restarts = |policy, max, period| {
        let mut restarts = Restarts::default();
        (restarts.policy, restarts.max, restarts.period) = (policy, max, period);
        restarts.pause_max = secs(4);
        restarts
    };
    assert_eq!(all.settings.restarts, restarts(RestartPolicy::Transient, 5, secs(60)));
    assert_eq!(own.settings.restarts, restarts(RestartPolicy::Temporary, 2, secs(60)));
    let checks = |settings: &ServerSettings| {
        let Checks { kind, interval, timeout, unhealthy_after, healthy_after, restart, .. } =
            settings.checks.clone();
        (kind, interval, timeout, unhealthy_after, healthy_after, restart)
    };
    assert_eq!(checks(&all.settings), (CheckKind::None, secs(60), secs(1), 9, 8, false));
    assert_eq!(checks(&own.settings), (CheckKind::Ping, secs(2), secs(1), 9, 8, true));
    let limits = |settings: &ServerSettings| {
        let limits = &settings.limits;
        [limits.memory_bytes, limits.processes, limits.open_files, limits.cpu_millis]
    };
    assert_eq!(limits(&all.settings), [Some(1 << 30), Some(7), Some(64), Some(500)]);
    assert_eq!(limits(&own.settings), [Some(2 << 30), Some(7), Some(64), Some(500)]);
    // What is not started here has no processes to limit, and is no other for limits that change.
    assert_eq!(limits(&far.settings), [None; 4]);
    assert_eq!((all.settings.scaling.target, own.settings.scaling.target), (9, 2));
    assert_eq!(own.settings.scaling.cooldown, secs(9));
    assert_eq!((config.settings.drain_timeout, config.settings.watch), (secs(3), false));
}

#[test]
fn a_server_may_be_in_several_places() {
    let servers = r#"
        "http": {"urls": ["http://a/", "https://${HOST:-b}/"], "headers": {"X": "1"}},
        "sse": {"type": "sse", "urls": ["http://a/", "http://b/"]},
        "ws": {"urls": ["ws://a/", "wss://b/"]},
        "tcp": {"urls": ["tcp://a:1", "b:2"]},
        "one": {"urls": ["http://a/"]}"#;
    let config = config(servers, "");
    let places: Vec<(String, Vec<String>)> = config
        .servers
        .iter()
        .map(|server| {
            let (first, more) = match &server.kind {
                ServerKind::Http(http) | ServerKind::Sse(http) => (&http.url, &http.more),
                ServerKind::WebSocket(ws) => (&ws.url, &ws.more),
                ServerKind::Tcp(tcp) => (&tcp.address, &tcp.more),
                other => panic!("{other:?}"),
            };
            let more = more.iter().map(|text| text.expose().to_owned()).collect();
            (first.expose().to_owned(), more)
        })
        .collect();
    let expected = [
        ("http://a/", vec!["https://b/"]),
        ("http://a/", vec!["http://b/"]),
        ("ws://a/", vec!["wss://b/"]),
        ("tcp://a:1", vec!["b:2"]),
        ("http://a/", vec![]),
    ];
    for ((first, more), (expected, others)) in places.iter().zip(expected) {
        assert_eq!(
            (first.as_str(), more),
            (expected, &others.iter().map(|t| (*t).to_owned()).collect())
        );
    }
    let urls: Vec<_> = (0..64).map(|number| format!(r#""http://h/{number}""#)).collect();
    assert_eq!(told(&format!(r#""urls": [{}]"#, urls.join(","))).scaling.replicas, 64);
    let urls = format!(r#"{}, "http://h/64""#, urls.join(","));
    let said = World::ada().parse(&format!(r#"{{"servers": {{"a": {{"urls": [{urls}]}}}}}}"#));
    assert!(said.unwrap_err().contains("`urls`: names 65 URLs; write at most 64"));
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
