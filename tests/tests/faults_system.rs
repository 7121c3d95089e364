//! Faults of the system around the manager: no descriptor left, addresses that cannot be had, a
//! disk that cannot be written, an environment that is not what one is used to.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use system_tests::gateway::{Gateway, mcp_manager};
use system_tests::peers;
use system_tests::process::{self, Finished, Running};
use system_tests::raw::{self, Client, Era};
use system_tests::servers::{fleet, fleet_with, misbehave, shell};
use system_tests::wait::{PATIENCE, pause, see};

const LIMIT: Duration = Duration::from_secs(60);
const ECHO: &str = r#"{"message":"hi"}"#;

fn two() -> Value {
    fleet([("a", misbehave(&[])), ("b", misbehave(&[]))])
}

fn code(finished: &Finished) -> Option<i32> {
    finished.status.and_then(|status| status.code())
}

/// A program that has `mcp-manager` run in surroundings of its making: `script` finds it in `$0`.
fn inside(dir: &tempfile::TempDir, script: &str) -> Command {
    let mut shell = Command::new("/bin/bash");
    shell.args(["-c", script]).arg(peers::own("mcp-manager")).current_dir(dir.path());
    shell.env("HOME", dir.path()).env_remove("MCP_MANAGER_LOG");
    shell
}

fn with_config(config: &Value) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("mcp.json"), config.to_string()).unwrap();
    dir
}

/// The processor time that a process has used, in ticks of 10 ms.
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    rest.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
}

#[test]
fn fault_46_a_manager_without_descriptors_waits_and_recovers() {
    let gateway = {
        let manager = peers::own("mcp-manager");
        Gateway::start_with(&two(), |command| {
            let args: Vec<OsString> = command.get_args().map(OsStr::to_owned).collect();
            let mut limited = Command::new("/usr/bin/prlimit");
            limited.arg("--nofile=64:64").arg(&manager).args(args);
            limited.current_dir(command.get_current_dir().unwrap());
            limited.env("HOME", command.get_current_dir().unwrap());
            *command = limited;
        })
    };
    for name in ["a", "b"] {
        gateway.server_in(name, "ready");
    }
    let pid = gateway.process().pid();
    let address: SocketAddr = gateway.url()[7..].trim_end_matches("/mcp").parse().unwrap();
    // Far more than there are descriptors: the rest waits in the kernel.
    let held: Vec<TcpStream> = (0..100).map(|_| TcpStream::connect(address).unwrap()).collect();
    let open = || fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    see(PATIENCE, open, |open| *open >= 62);
    let before = ticks(pid);
    for _ in 0..20 {
        let health = raw::get(&format!("{}/healthz", gateway.admin()), &[]).unwrap();
        assert_eq!(health.status, 200, "operators are heard");
        pause(Duration::from_millis(100));
    }
    assert_eq!(gateway.status()["servers"][0]["state"], "ready");
    let used = ticks(pid) - before;
    assert!(used < 60, "{used} ticks in two seconds: it spins");
    drop(held);
    let answer = Client::connect(gateway.url(), Era::Modern).unwrap().call("a__echo", ECHO);
    assert!(answer.unwrap().result().contains("Echo: hi"));
    let said = gateway.process().stderr();
    assert!(!said.contains("panicked"), "{said}");
    assert!(said.matches("cannot be accepted").count() < 10, "{said}");
}

#[test]
fn fault_43_an_address_that_cannot_be_had_is_said_with_what_to_do() {
    let dir = with_config(&fleet([("a", shell("echo > started; exec \"$MISBEHAVE\""))]));
    // Who has the port is named.
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap();
    let held = format!("process {} (", std::process::id());
    let up = |before: &str, listen: &str| {
        format!("{before} \"$0\" up mcp.json --listen {listen} --admin 127.0.0.1:0")
    };
    let cases = [
        (up("exec", &taken.to_string()), vec!["Address already in use", &*held, "--listen"]),
        (
            up("exec setpriv --bounding-set=-net_bind_service", "127.0.0.1:80"),
            vec!["127.0.0.1:80", "Permission denied", "port 80", "LISTEN_FDS"],
        ),
        (up("exec unshare --net", "[::1]:0"), vec!["[::1]:0", "IPv6 off", "127.0.0.1:0"]),
        (up("exec", "192.0.2.1:0"), vec!["192.0.2.1:0", "no interface of this machine"]),
        (
            "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" up mcp.json 3</dev/null".to_owned(),
            vec!["socket 0 of LISTEN_FDS", "not a socket"],
        ),
    ];
    for (script, words) in cases {
        let refused = process::run(inside(&dir, &script), b"", LIMIT);
        assert_eq!(code(&refused), Some(1), "{script}: {refused:?}");
        assert_eq!(refused.stderr.lines().count(), 1, "{script}: {refused:?}");
        for word in words {
            assert!(refused.stderr.contains(word), "{script}: no {word:?} in {refused:?}");
        }
        assert!(!dir.path().join("started").exists(), "{script}: a server was started");
    }
}

#[test]
fn fault_52_without_home_and_with_a_strict_umask_all_is_well() {
    let config = fleet_with(
        json!({ "stateDir": "state" }),
        [("a", misbehave(&[])), ("b", shell("umask >&2; exec \"$MISBEHAVE\""))],
    );
    let dir = with_config(&config);
    let script = "umask 077; exec env -i PATH=/usr/bin:/bin \"$0\" up mcp.json --listen 127.0.0.1:0 --admin 127.0.0.1:0";
    let running = Running::start(inside(&dir, script));
    let url = running.endpoint(PATIENCE);
    let client = Client::connect(&url, Era::Legacy("2025-11-25")).unwrap();
    for tool in ["a__echo", "b__echo"] {
        assert!(client.call(tool, ECHO).unwrap().result().contains("Echo: hi"));
    }
    let mut kept = fs::read_dir(dir.path().join("state")).unwrap().flatten().peekable();
    assert!(kept.peek().is_some());
    for file in kept {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{file:?}");
    }
    assert_eq!(running.stop().and_then(|status| status.code()), Some(0));
    for command in [
        "check mcp.json",
        "list --config mcp.json",
        "call a/echo message=hi --config mcp.json",
        "list --demo",
    ] {
        let script = format!("exec env -i \"$0\" {command}");
        let ended = process::run(inside(&dir, &script), b"", LIMIT);
        assert_eq!(code(&ended), Some(0), "{command}: {ended:?}");
    }
}

#[test]
fn fault_52_a_disk_that_cannot_be_written_is_said_or_does_not_matter() {
    // A file system of its own, for the manager alone, which cannot be written.
    let read_only =
        "mount -t tmpfs none {0} && cp mcp.json {0} && mount -o remount,ro {0} && cd {0}";
    let state = fleet_with(json!({ "stateDir": "state" }), [("a", misbehave(&[]))]);
    for (config, works) in [(state, false), (two(), true)] {
        let dir = with_config(&config);
        let at = dir.path().join("disk");
        fs::create_dir(&at).unwrap();
        let mount = read_only.replace("{0}", &at.to_string_lossy());
        let listen = "--listen 127.0.0.1:0 --admin 127.0.0.1:0";
        let script =
            format!("unshare --mount sh -c '{mount} && exec \"$0\" up mcp.json {listen}' \"$0\"");
        if works {
            let running = Running::start(inside(&dir, &format!("exec {script}")));
            let client = Client::connect(&running.endpoint(PATIENCE), Era::Modern).unwrap();
            assert!(client.call("a__echo", ECHO).unwrap().result().contains("Echo: hi"));
            assert_eq!(running.stop().and_then(|status| status.code()), Some(0));
        } else {
            let refused = process::run(inside(&dir, &script), b"", LIMIT);
            assert_eq!(code(&refused), Some(1), "{refused:?}");
            assert!(refused.stderr.contains("state directory"), "{refused:?}");
            assert!(refused.stderr.contains("Read-only file system"), "{refused:?}");
        }
    }
}

/// What is no text to us may be a name to the system: it is used as it is.
#[test]
fn fault_52_names_and_values_that_are_not_utf_8_are_passed_on() {
    let dir = tempfile::tempdir().unwrap();
    let odd = OsStr::from_bytes(b"caf\xe9");
    let at = dir.path().join(odd);
    fs::create_dir(&at).unwrap();
    let print =
        shell("printf '%s' \"$ODD\" | od -An -tx1 >&2; pwd | od -An -tx1 >&2; exec \"$MISBEHAVE\"");
    let mut print = print;
    print["manager"] = json!({ "inheritEnv": true });
    fs::write(at.join("mcp.json"), fleet([("a", print), ("b", misbehave(&[]))]).to_string())
        .unwrap();
    let file = at.join("mcp.json");
    let manager = |words: &[&str], file: &Path, rest: &[&str]| {
        let mut command = mcp_manager(&dir, words);
        command.arg(file).args(rest).env("ODD", OsStr::from_bytes(b"\xff\xfe"));
        command
    };
    let listen = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let running = Running::start(manager(&["up"], &file, &listen));
    let client = Client::connect(&running.endpoint(PATIENCE), Era::Modern).unwrap();
    assert!(client.call("a__echo", ECHO).unwrap().result().contains("Echo: hi"));
    let status = || {
        let line = running
            .stdout()
            .lines()
            .find_map(|l| l.trim().strip_prefix("status     ").map(str::to_owned));
        raw::get(&line.unwrap(), &[]).unwrap().text().unwrap()
    };
    see(PATIENCE, status, |status| status.contains("ff fe"));
    assert_eq!(running.stop().and_then(|status| status.code()), Some(0));
    for words in [&["check"][..], &["list", "--config"]] {
        let ended = process::run(manager(words, &file, &[]), b"", LIMIT);
        assert_eq!(code(&ended), Some(0), "{words:?}: {ended:?}");
    }
    // One that is not there is named as well as it can be.
    for words in [&["up"][..], &["check"], &["list", "--config"]] {
        let ended = process::run(manager(words, &at.join(odd), &[]), b"", LIMIT);
        assert_eq!(code(&ended), Some(2), "{words:?}: {ended:?}");
        assert!(ended.stderr.contains("caf\u{fffd}"), "{words:?}: {ended:?}");
        assert!(!ended.stderr.contains("panicked"), "{ended:?}");
    }
    // A word that is no text is wrong usage, and no panic.
    let mut command = mcp_manager(&dir, &["call"]);
    command.arg(odd);
    let ended = process::run(command, b"", LIMIT);
    assert_eq!(code(&ended), Some(2), "{ended:?}");
}

/// Every command with nobody at the other end of stdout, of stderr, and of both.
#[test]
fn fault_51_no_command_minds_that_nobody_listens() {
    let dir = with_config(&two());
    fs::write(dir.path().join("bad.json"), "{").unwrap();
    let commands = [
        ("--version", 0),
        ("--help", 0),
        ("nonsense", 2),
        ("check mcp.json", 0),
        ("--json check mcp.json", 0),
        ("check bad.json", 2),
        ("up bad.json", 2),
        ("list --config mcp.json", 0),
        ("--json call a/echo message=hi --config mcp.json", 0),
        ("call a/nothing --config mcp.json", 5),
        ("list --endpoint http://127.0.0.1:1/mcp", 4),
    ];
    for (command, expected) in commands {
        let words: Vec<&str> = command.split(' ').collect();
        for (out, err) in [(true, false), (false, true), (true, true)] {
            let mut nobody = mcp_manager(&dir, &words);
            // With a log, so that there is a lot to say.
            nobody.env("MCP_MANAGER_LOG", "trace").stdin(Stdio::null());
            let broken = || {
                let (reader, writer) = std::io::pipe().unwrap();
                drop(reader);
                Stdio::from(writer)
            };
            nobody.stdout(if out { broken() } else { Stdio::piped() });
            nobody.stderr(if err { broken() } else { Stdio::piped() });
            let ended = nobody.output().unwrap();
            let said = String::from_utf8_lossy(&ended.stderr);
            assert_eq!(ended.status.code(), Some(expected), "{command}, {out}, {err}: {said}");
            assert!(!said.contains("panicked"), "{command}: {said}");
        }
    }
}

/// What the log cannot be told is told to nobody, and whoever wanted to tell it goes on.
#[test]
fn fault_51_a_manager_whose_log_nobody_reads_still_keeps_its_fleet() {
    let dies = shell("echo start >> starts; exit 1");
    let dir = with_config(&fleet([("a", misbehave(&[])), ("dies", dies)]));
    let listen = ["up", "mcp.json", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let mut command = inside(&dir, "exec \"$0\" \"$@\" 2> >(exit)");
    command.args(listen).env("MCP_MANAGER_LOG", "trace");
    let running = Running::start(command);
    let client = Client::connect(&running.endpoint(PATIENCE), Era::Modern).unwrap();
    assert!(client.call("a__echo", ECHO).unwrap().result().contains("Echo: hi"));
    // It is started again and again by itself, and each failure is a line in the log.
    let starts =
        || fs::read_to_string(dir.path().join("starts")).unwrap_or_default().lines().count();
    see(PATIENCE, starts, |starts| *starts >= 6);
    assert!(client.call("a__echo", ECHO).unwrap().result().contains("Echo: hi"));
    assert_eq!(running.stop().and_then(|status| status.code()), Some(0));
}

/// A manager at a terminal that goes away ends, with all of its servers.
#[test]
fn fault_51_a_manager_whose_terminal_is_gone_ends() {
    let dir = with_config(&two());
    let mut python = peers::python();
    python.args([
        "-c",
        "import os, pty, sys\npid, terminal = pty.fork()\nif pid == 0:\n os.execv(sys.argv[1], sys.argv[1:])\n\
         seen = b''\nwhile b'b                    ready' not in seen: seen += os.read(terminal, 4096)\n\
         os.close(terminal)\n_, status = os.waitpid(pid, 0)\nsys.exit(os.waitstatus_to_exitcode(status))",
    ]);
    python.arg(peers::own("mcp-manager")).args(["up", "mcp.json", "--listen", "127.0.0.1:0"]);
    python.args(["--admin", "127.0.0.1:0"]).current_dir(dir.path()).env("HOME", dir.path());
    let ended = process::run(python, b"", LIMIT);
    assert_eq!(code(&ended), Some(0), "{ended:?}");
}
