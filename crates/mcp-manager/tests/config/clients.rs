//! Files as the clients write them, and what is understood of each.

use std::path::PathBuf;
use std::time::Duration;

use mcp_manager::config::{Namespace, ProtocolEra, Sessions, Settings};

use crate::world::{World, summary};

macro_rules! check {
    ($file:literal, $expected:literal) => {
        let config = World::ada().parse(include_str!(concat!("../data/", $file))).unwrap();
        let expected: String =
            $expected.lines().map(|line| line.trim().to_owned() + "\n").collect();
        let found: String =
            summary(&config).lines().map(|line| line.trim().to_owned() + "\n").collect();
        assert_eq!(found, expected.trim_start(), "{}", $file);
    };
}

#[test]
fn claude_desktop() {
    check!(
        "claude_desktop.json",
        r#"filesystem: stdio npx [-y] [@modelcontextprotocol/server-filesystem] [/Users/ada/Desktop] [/Users/ada/My Documents]
         GitHub (work): stdio docker [run] [-i] [--rm] [-e] [GITHUB_PERSONAL_ACCESS_TOKEN] [ghcr.io/github/github-mcp-server] GITHUB_PERSONAL_ACCESS_TOKEN=***
         postgres: stdio npx [-y] [@modelcontextprotocol/server-postgres] [postgresql:***]
         カレンダー: stdio C:\Program Files\nodejs\node.exe [C:\Users\ada\calendar\build\index.js]
         Info 2:3: settings of other programs, ignored: `globalShortcut` and `preferences`"#
    );
}

#[test]
fn claude_code() {
    check!(
        "claude_code.mcp.json",
        r#"api: http ${API_BASE_URL:-https://api.example.com}/mcp Authorization: Bearer ${API_KEY} X-Team: ***
         old-events: sse https://events.example.com/sse Authorization: Bearer ${API_KEY}
         db: stdio ${HOME}/bin/db-server [--config] [${DB_CONFIG:-db.json}] DB_URL=${DB_URL} PRICE=***
         private: http https://mcp.example.com/mcp
         Warning 25:7: `oauth` is ignored: give the server its credentials in `headers` or `env`
         Info 26:7: `alwaysLoad` is ignored"#
    );
}

#[test]
fn claude_codes_own_file_of_many_other_things() {
    check!(
        "claude.json",
        r#"playwright: stdio npx [@playwright/mcp@latest]
         sentry: http https://mcp.sentry.dev/mcp
         Info 2:3: settings of other programs, ignored: `numStartups`, `installMethod`, `autoUpdates`, `tipsHistory`, `firstStartTime`, `userID`, `projects`, `oauthAccount` and `cachedChangelog`"#
    );
}

#[test]
fn cursor() {
    check!(
        "cursor.json",
        r#"local: stdio python [${workspaceFolder}/tools/mcp_server.py] [--user] [${userHome}${/}.cache] FROM_FILE=*** REGION=*** API_KEY=${env:API_KEY}
         remote: http https://api.example.com/mcp Authorization: Bearer ${env:API_KEY}
         oauth: http https://oauth.example.com/mcp
         Warning 16:7: `auth` is ignored: give the server its credentials in `headers` or `env`"#
    );
}

#[test]
fn vs_code_with_inputs_and_comments() {
    check!(
        "vscode.jsonc",
        r#"perplexity: stdio npx [-y] [server-perplexity-ask] PERPLEXITY_API_KEY=${input:perplexity-key} REGION=${input:region} RETRIES=*** -NODE_OPTIONS in ${workspaceFolder}
         github: http https://api.githubcopilot.com/mcp
         sandboxed: stdio ./server FROM_FILE=*** REGION=*** in tools
         Info 21:20: `env.RETRIES` is a number, and is passed on as text
         Info 25:7: `dev` is ignored
         Info 30:7: `gallery` is ignored
         Info 31:7: `version` is ignored
         Warning 37:7: `sandboxEnabled` is ignored: the server runs with the rights of mcp-manager
         Warning 38:7: `sandbox` is ignored: the server runs with the rights of mcp-manager"#
    );
}

#[test]
fn copilot() {
    check!(
        "copilot.json",
        r#"playwright: stdio npx [@playwright/mcp@latest]
         context7: http https://mcp.context7.com/mcp CONTEXT7_API_KEY: ***
         Warning 13:7: `tools` is ignored: every tool of the server is offered"#
    );
}

#[test]
fn windsurf() {
    check!(
        "windsurf.json",
        r#"remote-http-mcp: http https://mcp.example.com/mcp?*** API_KEY: Bearer ${env:AUTH_TOKEN} X-Key: ${file:/run/secrets/key}
         both: (disabled) http https://mcp.example.com/mcp
         Warning 9:7: `disabledTools` is ignored: every tool of the server is offered"#
    );
}

#[test]
fn gemini() {
    check!(
        "gemini.json",
        r#"pythonTools: stdio python [-m] [my_mcp_server] [--port] [8080] DATABASE_URL=*** in ./mcp-servers/python
         github: http https://api.githubcopilot.com/mcp/ Authorization: ***
         Info 3:3: settings of other programs, ignored: `selectedAuthType`, `theme` and `mcp`
         Warning 11:32: `env.DATABASE_URL`: `$VAR` is not replaced here, though some clients do; write `${VAR}`
         Info 12:7: `timeout` is ignored, since clients differ on its unit; write "manager": {"callTimeout": "60s"}
         Info 13:7: `trust` is ignored
         Warning 14:7: `includeTools` is ignored: every tool of the server is offered
         Info 19:7: `timeout` is ignored, since clients differ on its unit; write "manager": {"callTimeout": "60s"}
         Info 20:7: `description` is ignored"#
    );
}

#[test]
fn inspector() {
    check!(
        "inspector.json",
        r#"everything: stdio node [build/index.js] VERBOSE=***
         modern: http http://localhost:3900/mcp
         Info 6:27: `env.VERBOSE` is a truth value, and is passed on as text
         Info 7:7: `roots` is ignored
         Info 8:7: `requestTimeout` is ignored
         Info 14:7: `modernLogLevel` is ignored
         Info 15:7: `metadata` is ignored"#
    );
}

#[test]
fn our_own_settings() {
    let text = include_str!("../data/ours.jsonc");
    let config = World::ada().parse(text).unwrap();
    let [slow, plain] = &config.servers[..] else { panic!("two servers") };
    let seconds = Duration::from_secs;

    let mut settings = Settings::default();
    settings.namespace = Namespace::None;
    settings.listen = Some("127.0.0.1:8080".parse().unwrap());
    settings.admin = Some("[::1]:9090".parse().unwrap());
    settings.allowed_hosts =
        ["mcp.example.com", "mcp.example.com:8443", "[::1]:8080"].map(String::from).to_vec();
    settings.allowed_origins =
        ["https://app.example.com", "http://localhost:3000"].map(String::from).to_vec();
    settings.list_timeout = seconds(2);
    settings.call_timeout = seconds(90);
    settings.call_timeout_max = seconds(20 * 60);
    settings.start_timeout = seconds(45);
    settings.sessions_max = 12;
    settings.session_idle = seconds(600);
    settings.resume_timeout = seconds(30);
    settings.state_dir = Some(PathBuf::from("/work/engine/state"));
    settings.frame_bytes_max = 1 << 20;
    assert_eq!(config.settings, settings);
    assert_eq!(plain.settings, settings.for_server());

    let mut own = settings.for_server();
    (own.sessions, own.protocol_era) = (Sessions::Shared, ProtocolEra::Legacy);
    (own.call_timeout, own.call_timeout_max) = (seconds(120), seconds(3600));
    (own.start_timeout, own.list_timeout) = (Duration::from_millis(500), seconds(1));
    assert_eq!(slow.settings, own);
}

#[test]
fn inspectors_era_is_taken_unless_ours_says_otherwise() {
    let text = r#"{"mcpServers": {
        "a": {"url": "http://h", "protocolEra": "modern"},
        "b": {"url": "http://h", "protocolEra": "modern", "manager": {"protocolEra": "auto"}},
        "c": {"url": "http://h", "protocolEra": "next"}
    }}"#;
    let config = World::ada().parse(text).unwrap();
    let eras: Vec<_> = config.servers.iter().map(|server| server.settings.protocol_era).collect();
    assert_eq!(eras, [ProtocolEra::Modern, ProtocolEra::Auto, ProtocolEra::Auto]);
    assert_eq!(config.notes.len(), 1);
}

#[test]
fn transports_by_name_and_by_guess() {
    let table = [
        (r#""type": "streamableHttp", "url": "http://h/""#, "http http://h/"),
        (r#""type": "streamable_http", "url": "http://h/""#, "http http://h/"),
        (r#""transport": "http", "url": "http://h/""#, "http http://h/"),
        (r#""url": "https://h""#, "http https://h"),
        (r#""url": "ws://h/""#, "ws ws://h/"),
        (r#""type": "websocket", "url": "wss://h/", "headers": {"A": "b"}"#, "ws wss://h/ A: ***"),
        (r#""transportType": "stdio", "command": "x""#, "stdio x"),
        (r#""type": null, "command": "x", "url": null"#, "stdio x"),
        (r#""command": "x", "enabled": false"#, "(disabled) stdio x"),
        (r#""command": "x", "enabled": true"#, "stdio x"),
        (r#""type": "sse", "url": "http://h/""#, "sse http://h/"),
        (r#""url": "tcp://h:1""#, "tcp tcp://h:1"),
        (r#""tcp": "[::1]:1""#, "tcp [::1]:1"),
        (r#""type": "tcp", "url": "h:1", "tcp": null"#, "tcp h:1"),
    ];
    for (entry, expected) in table {
        let config =
            World::ada().parse(&format!(r#"{{"servers": {{"a": {{{entry}}}}}}}"#)).unwrap();
        assert_eq!(summary(&config), format!("a: {expected}\n"), "{entry}");
    }
}

#[test]
fn both_roots_are_one_fleet() {
    let text = r#"{"servers": {"a": {"command": "x"}}, "mcpServers": {"b": {"command": "y"}}}"#;
    assert_eq!(summary(&World::ada().parse(text).unwrap()), "a: stdio x\nb: stdio y\n");
}

#[test]
fn no_servers_yet() {
    let config = World::ada().parse(r#"{"mcpServers": {}}"#).unwrap();
    assert_eq!(summary(&config), "Warning 1:2: `mcpServers` is empty: no servers\n");
}

#[test]
fn odd_but_accepted() {
    let text = r#"{"mcpServers": {
        "a": {"command": "npx -y thing"},
        "b": {"command": "/opt/my tools/run"},
        "c": {"command": "x", "headers": {"A": "b"}, "_comment": "hello", "//": "hello"},
        "d": {"url": "http://h", "args": ["x"], "env": {}, "headers": {"X-Key": "$KEY"}}
    }, "$schema": "x", "_comment": 1}"#;
    let config = World::ada().parse(text).unwrap();
    let notes: Vec<_> = config.notes.iter().map(ToString::to_string).collect();
    assert_eq!(
        notes,
        [
            "mcp.json:2:26: `command` is one program with spaces in its name; if they separate \
         arguments, move those to `args`, since no shell reads it",
            "mcp.json:4:31: `headers` is ignored: the server is not reached by URL",
            "mcp.json:5:34: `args` is ignored: the server is not started here",
            "mcp.json:5:81: `headers.X-Key`: `$VAR` is not replaced here, though some clients do; \
         write `${VAR}`",
        ]
    );
}
