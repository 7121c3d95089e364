//! The environment of a child process: little, unless more is asked for.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use super::spec::Stdio;

/// What a child needs to find programs, its user's files and its language, and to trust the same
/// certificates. No name here holds a secret by custom.
///
/// Proxies (`HTTPS_PROXY` and others) are left out, since their values often hold a password:
/// a server that needs one says so, `"env": {"HTTPS_PROXY": "${HTTPS_PROXY}"}`.
const INHERITED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
    "TZ",
    "LANG",
    "LANGUAGE",
    "TMPDIR",
    "TMP",
    "TEMP",
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
];

/// Families of names that are inherited as well.
const INHERITED_PREFIXES: &[&str] = &["LC_", "XDG_"];

/// The whole environment of the child that `server` describes, given that of the manager.
///
/// A manager's environment holds keys of every server and often of the machine; a child that sees
/// them all can lose them all. So a child inherits a short list of names, and above that what the
/// file declares for it (`envFile`, then `env`). `inheritEnv: true` passes everything on.
///
/// The result holds secrets in the clear: hand it to the spawn, not to a log.
pub fn child_environment(
    server: &Stdio,
    manager: impl IntoIterator<Item = (OsString, OsString)>,
) -> BTreeMap<OsString, OsString> {
    let inherited = manager.into_iter().filter(|(name, value)| {
        server.inherit_env || (is_inherited(name) && !is_shell_function(value))
    });
    let mut environment: BTreeMap<_, _> = inherited.collect();
    for name in &server.env_unset {
        environment.remove(OsStr::new(name));
    }
    for (name, value) in &server.env {
        environment.insert(name.into(), value.expose().into());
    }
    environment
}

fn is_inherited(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| {
        INHERITED.contains(&name)
            || INHERITED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    })
}

/// Old versions of bash export functions as variables that begin so, and run them on start.
fn is_shell_function(value: &OsStr) -> bool {
    value.as_encoded_bytes().starts_with(b"()")
}
