//! The state directory: what is refused, and that what is refused stays as it is.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use system_tests::gateway::{Gateway, mcp_manager};
use system_tests::process::{self, Finished};
use system_tests::servers::{fleet_with, misbehave};
use tempfile::TempDir;

const START_MAX: Duration = Duration::from_secs(60);

/// Starts a manager with this state directory, which must not come up.
fn refused(state: &Path) -> Finished {
    let dir = tempfile::tempdir().unwrap();
    let manager = json!({ "stateDir": state });
    let config = fleet_with(manager, [("one", misbehave(&[]))]).to_string();
    std::fs::write(dir.path().join("mcp.json"), config).unwrap();
    let args = ["--json", "up", "mcp.json", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let finished = process::run(mcp_manager(&dir, &args), b"", START_MAX);
    assert_eq!(finished.status.and_then(|status| status.code()), Some(1), "{finished:?}");
    assert!(finished.stderr.contains("STATE_UNAVAILABLE"), "{finished:?}");
    finished
}

#[test]
fn fault_44_two_managers_do_not_share_a_state_directory() {
    let dir: TempDir = tempfile::tempdir().unwrap();
    let state = dir.path().join("deep/state");
    let manager = json!({ "stateDir": state });
    let gateway = Gateway::settled(&fleet_with(manager, [("one", misbehave(&[]))]));
    // Ids of sessions are secrets.
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let file = state.join("sessions.redb");
    assert_eq!((mode(&state), mode(&file)), (0o700, 0o600));
    let second = refused(&state);
    assert!(second.stderr.contains("in use by another"), "{second:?}");
    assert_eq!(gateway.status()["ready"], json!(true));
}

#[test]
fn fault_45_a_state_that_is_not_ours_to_read_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sessions.redb");
    for text in ["this is no database", "redb\u{1a}\nor is it?", &"x".repeat(100_000)] {
        std::fs::write(&file, text).unwrap();
        let said = refused(dir.path());
        assert!(said.stderr.contains("move the file away"), "{said:?}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    }
    // A file where the directory should be.
    let said = refused(&file);
    assert!(said.stderr.contains("cannot be used"), "{said:?}");
}
