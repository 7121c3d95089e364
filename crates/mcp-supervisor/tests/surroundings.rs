//! Names that are no UTF-8, an environment without anything in it, a narrow umask.
#![cfg(all(feature = "tokio", feature = "shim", target_os = "linux"))]

mod common;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;

use common::Mark;
use mcp_supervisor::{Exit, Ledger, Spec, spawn};
use rustix::fs::Mode;
use rustix::process::umask;
use tokio::io::AsyncReadExt;

const ODD: &[u8] = b"caf\xe9 \xff\n'\"$";

fn odd() -> OsString {
    OsStr::from_bytes(ODD).to_owned()
}

async fn said_by(spec: &Spec) -> Vec<u8> {
    let process = spawn(spec).await.expect("it starts");
    let mut said = Vec::new();
    process.take_stdout().expect("not taken").read_to_end(&mut said).await.expect("it is read");
    assert_eq!(process.wait().await, Exit::Code(0), "{:?}", process.stderr().lines());
    said
}

#[tokio::test]
async fn bytes_arrive_as_they_are() {
    let (mark, root) = (Mark::new(), tempfile::tempdir().unwrap());
    let dir = root.path().join(odd());
    fs::create_dir(&dir).unwrap();
    let program = dir.join(odd());
    fs::write(&program, "#!/bin/sh\nprintf '%s|%s|' \"$1\" \"$ODD\"; pwd -P\n").unwrap();
    fs::set_permissions(&program, PermissionsExt::from_mode(0o700)).unwrap();
    for mut spec in [mark.sh(""), mark.shimmed("")] {
        // By a path, and by a name in a directory of PATH.
        for (name, path) in [(program.clone().into(), "/bin".into()), (odd(), dir.clone().into())] {
            (spec.program, spec.args, spec.cwd) = (name, vec![odd()], Some(dir.clone()));
            spec.env.insert("ODD".into(), odd());
            spec.env.insert("PATH".into(), path);
            let real = fs::canonicalize(&dir).unwrap();
            let expected = [ODD, b"|", ODD, b"|", real.as_os_str().as_bytes(), b"\n"].concat();
            assert_eq!(said_by(&spec).await, expected);
        }
    }
    mark.gone().await;
}

#[tokio::test]
async fn nothing_in_the_environment() {
    let mark = Mark::new();
    for mut spec in [mark.sh("exec env"), mark.shimmed("exec env")] {
        spec.env.clear();
        let said = String::from_utf8(said_by(&spec).await).unwrap();
        assert!(!said.contains("HOME=") && !said.contains("PATH=/root"), "{said}");
    }
}

#[tokio::test]
async fn a_narrow_umask_is_inherited_and_kept_to() {
    let (mark, root) = (Mark::new(), tempfile::tempdir().unwrap());
    let before = umask(Mode::from_raw_mode(0o077));
    let ledger = Ledger::open(root.path().join("processes")).unwrap();
    let mut spec = mark.shimmed("umask; touch made");
    (spec.cwd, spec.ledger) = (Some(root.path().to_owned()), Some(ledger.clone()));
    let said = said_by(&spec).await;
    umask(before);
    assert_eq!(said, b"0077\n");
    let mode = |name: &str| fs::metadata(root.path().join(name)).unwrap().permissions().mode();
    assert_eq!((mode("made") & 0o777, mode("processes") & 0o777), (0o600, 0o700));
    assert_eq!((ledger.stats().recorded, ledger.stats().failed), (1, 0));
}
