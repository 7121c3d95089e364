//! What may happen to a file: mistakes, removal, replacement, half of it, links, storms.

use std::fs;
use std::os::unix::fs::symlink;

use rustix::process::Signal;
use serde_json::{Value, json};
use system_tests::census::{Marker, VARIABLE};
use system_tests::gateway::Gateway;
use system_tests::peers;
use system_tests::process::Running;
use system_tests::servers::{fleet, fleet_with, misbehave, with_env};
use system_tests::wait::{PATIENCE, pause, see, timed};

use crate::bystander::{self, Bystander};
use crate::{overwrite, reloads, said, save, see_said};

/// The bystander, and a server of this name.
fn with(name: &str) -> Value {
    fleet([("bystander", bystander::entry()), (name, misbehave(&[]))])
}

#[test]
fn fault_42_a_file_that_cannot_be_used_changes_nothing() {
    let gateway = Gateway::settled(&with("other"));
    let bystander = Bystander::of(&gateway);
    let before = gateway.server("other")["pids"].take();
    let good = with("other").to_string();
    let mistake = good.replacen('{', "{\n  \"manager\": { \"watsh\": true },", 1);
    let half = &good[..good.len() / 2];
    let refusals = [
        (
            mistake.as_str(),
            "mcp.json:2:16: unknown key `watsh` in `manager`; did you mean `watch`?",
        ),
        (half, "mcp.json:1:"),
        ("", "mcp.json:1:1: "),
        ("{}", "no servers"),
    ];
    for (number, (text, words)) in refusals.iter().enumerate() {
        overwrite(&gateway, text);
        see(PATIENCE, || reloads(&gateway).len(), |count| *count == number + 1);
        see_said(&gateway, words);
        assert!(gateway.process().stderr().contains(words), "{words} is not in the log");
        bystander.assert_untouched(&gateway);
        assert_eq!(gateway.server("other")["pids"], before, "{words}");
    }
    fs::remove_file(gateway.config_file()).unwrap();
    see_said(&gateway, "cannot read the file: there is no such file");
    bystander.assert_untouched(&gateway);

    // What is in force is the last good file: it, once more, is no change; another one is.
    overwrite(&gateway, &good);
    see_said(&gateway, "2 unchanged");
    assert_eq!(gateway.server("other")["pids"], before);
    save(&gateway, &with("another"));
    see_said(&gateway, "added another; removed other; 1 unchanged");
    gateway.server_in("another", "ready");
    bystander.assert_untouched(&gateway);
    assert!(reloads(&gateway)[..5].iter().all(|line| line.starts_with("refused")));
    assert_eq!(reloads(&gateway).len(), 7, "{:?}", said(&gateway));
}

#[test]
fn fault_42_half_a_file_is_waited_for() {
    let gateway = Gateway::settled(&with("one"));
    let bystander = Bystander::of(&gateway);
    let text = with("two").to_string();
    // Slowly, but never at rest for long.
    for end in 1..=10 {
        overwrite(&gateway, &text[..text.len() * end / 10]);
        pause(std::time::Duration::from_millis(60));
    }
    see_said(&gateway, "added two; removed one; 1 unchanged");
    assert_eq!(reloads(&gateway).len(), 1, "{:?}", said(&gateway));
    bystander.assert_untouched(&gateway);
}

#[test]
fn fault_42_files_that_are_replaced_are_followed() {
    let gateway = Gateway::settled(&with("s0"));
    let bystander = Bystander::of(&gateway);
    let (file, dir) = (gateway.config_file(), gateway.config_file().with_file_name("data"));
    let write = |path: &std::path::Path, name: &str| {
        fs::write(path, with(name).to_string()).unwrap();
    };
    // By renaming, three times, as editors do; and by removing it first.
    for number in 1..=3 {
        save(&gateway, &with(&format!("s{number}")));
        see_said(&gateway, &format!("added s{number}; removed s{}", number - 1));
    }
    fs::rename(&file, file.with_extension("old")).unwrap();
    write(&file, "s4");
    see_said(&gateway, "added s4; removed s3");

    // By a link to where the file is kept.
    fs::create_dir(&dir).unwrap();
    write(&dir.join("kept.json"), "s5");
    fs::remove_file(&file).unwrap();
    symlink("data/kept.json", &file).unwrap();
    see_said(&gateway, "added s5; removed s4");
    write(&dir.join("kept.json"), "s6");
    see_said(&gateway, "added s6; removed s5");

    // As a cluster mounts it: a link to a link to a directory, of which the second is replaced.
    let home = file.parent().unwrap();
    for (version, name) in [("..1", "s7"), ("..2", "s8")] {
        fs::create_dir(home.join(version)).unwrap();
        write(&home.join(version).join("mcp.json"), name);
    }
    symlink("..1", home.join("..data")).unwrap();
    fs::remove_file(&file).unwrap();
    symlink("..data/mcp.json", &file).unwrap();
    see_said(&gateway, "added s7; removed s6");
    symlink("..2", home.join("..next")).unwrap();
    fs::rename(home.join("..next"), home.join("..data")).unwrap();
    fs::remove_dir_all(home.join("..1")).unwrap();
    see_said(&gateway, "added s8; removed s7");
    bystander.assert_untouched(&gateway);
    assert_eq!(reloads(&gateway).len(), 8, "{:?}", said(&gateway));
}

#[test]
fn fault_42_a_storm_of_changes_is_a_few_reloads() {
    let gateway = Gateway::settled(&with("one"));
    let bystander = Bystander::of(&gateway);
    let call = bystander.busy(&gateway, 4000);
    let storm = || {
        for number in 0..300 {
            let entry = with_env(misbehave(&[]), "NUMBER", &number.to_string());
            save(&gateway, &fleet([("bystander", bystander::entry()), ("one", entry)]));
            gateway.process().signal(Signal::HUP);
            pause(std::time::Duration::from_millis(10));
        }
    };
    let ((), time) = timed(storm);
    save(&gateway, &with("last"));
    see_said(&gateway, "added last; removed one");
    // Each takes at least as long as the start of a server; the watch adds one in two seconds.
    let count = reloads(&gateway).len();
    assert!(count <= 150, "{count} in {time:?}");
    call.join().unwrap();
    bystander.assert_untouched(&gateway);
}

#[test]
fn without_a_watch_a_signal_reloads() {
    let start = |flags: &[&str], manager: Value| {
        let servers = [("bystander", bystander::entry()), ("one", misbehave(&[]))];
        Gateway::start_with(&fleet_with(manager, servers), |command| {
            command.args(flags);
        })
    };
    for gateway in [start(&["--no-watch"], json!({})), start(&[], json!({ "watch": false }))] {
        let bystander = Bystander::of(&gateway);
        save(&gateway, &with("other"));
        // Longer than a watch takes at most.
        pause(std::time::Duration::from_secs(5));
        assert_eq!(said(&gateway), Vec::<String>::new());
        gateway.process().signal(Signal::HUP);
        see_said(&gateway, "added other; removed one; 1 unchanged");
        gateway.server_in("other", "ready");
        bystander.assert_untouched(&gateway);
    }
}

#[test]
fn settings_that_are_read_once_are_named() {
    let servers = || [("bystander", bystander::entry()), ("other", misbehave(&[]))];
    let gateway = Gateway::settled(&fleet_with(json!({ "maxSessions": 50 }), servers()));
    let bystander = Bystander::of(&gateway);
    let changed = json!({ "maxSessions": 60, "stateDir": "state", "listen": "127.0.0.1:1" });
    save(&gateway, &fleet_with(changed, servers()));
    see_said(&gateway, "needs a restart to take effect: listen, maxSessions, stateDir");
    bystander.assert_untouched(&gateway);
    save(&gateway, &fleet_with(json!({ "maxSessions": 50 }), servers()));
    see(PATIENCE, || reloads(&gateway).len(), |count| *count == 2);
    assert_eq!(said(&gateway).len(), 3, "{:?}", said(&gateway));
}

#[test]
fn programs_are_told_what_has_changed() {
    let gateway = Gateway::start_with(&with("one"), |command| {
        command.arg("--json");
    });
    let events = || {
        let out = gateway.process().stdout();
        let events = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        events.filter(|event| event["event"] == "reload").collect::<Vec<_>>()
    };
    save(&gateway, &with("two"));
    let first = see(PATIENCE, events, |events| events.len() == 1).remove(0);
    let expected = json!({
        "event": "reload", "ok": true, "generation": 2, "added": ["two"], "changed": [],
        "removed": ["one"], "unchanged": 1, "failed": [], "needs_restart": [],
    });
    assert_eq!(first, expected);
    overwrite(&gateway, "[");
    let second = see(PATIENCE, events, |events| events.len() == 2).remove(1);
    assert_eq!((&second["ok"], second["error"].is_string()), (&json!(false), true), "{second}");
}

/// A terminal that is closed means the end, as for any program; it is no wish for a reload.
#[test]
fn without_a_file_a_hang_up_ends_the_manager() {
    let dir = tempfile::tempdir().unwrap();
    let ports = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let command = system_tests::gateway::mcp_manager(&dir, &[&["up"], &ports[..]].concat());
    let manager = Running::start(command);
    manager.endpoint(PATIENCE);
    manager.signal(Signal::HUP);
    assert_eq!(manager.wait(PATIENCE).and_then(|status| status.code()), Some(0));
}

/// Runs its arguments at a terminal of their own, sends SIGHUP, then closes the terminal.
const AT_A_TERMINAL: &str = r#"
import os, pty, signal, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
said = b""
def until(words):
    global said
    while words not in said:
        said += os.read(terminal, 4096)
until(b"bystander            ready")
os.kill(pid, signal.SIGHUP)
until(b"1 unchanged")
print("reloaded", flush=True)
os.close(terminal)
print("ended", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"#;

#[test]
fn a_terminal_that_is_closed_ends_the_manager() {
    let dir = tempfile::tempdir().unwrap();
    let marker = Marker::new("terminal");
    let entry = with_env(bystander::entry(), VARIABLE, marker.text());
    fs::write(dir.path().join("mcp.json"), fleet([("bystander", entry)]).to_string()).unwrap();
    let mut command = peers::python();
    command.args(["-c", AT_A_TERMINAL]).arg(peers::own("mcp-manager"));
    command.args(["up", "mcp.json", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    command.current_dir(dir.path());
    let terminal = Running::start(command);
    let ended = terminal.wait_for(PATIENCE, |out, _| out == "reloaded\nended 0\n");
    assert!(ended, "{} {}", terminal.stdout(), terminal.stderr());
    see(PATIENCE, || marker.processes(), |left| left.is_empty());
}
