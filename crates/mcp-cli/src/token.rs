//! Where the admin token is: written by `up`, read by the commands that change something.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use mcp_gateway::AdminToken;

use crate::output::complain;

/// A token for one life of a manager. Without chance there is none, and nothing can be changed.
pub(crate) fn generate() -> Option<AdminToken> {
    let generated = AdminToken::generate();
    generated.inspect_err(|error| complain(&format!("warning: no admin token: {error}"))).ok()
}

/// Writes `token` to `path`, or where the other commands look for that of this port; where it is
/// now. A token that cannot be written is a warning: the fleet can be used without.
pub(crate) fn keep(token: &AdminToken, path: Option<&Path>, admin: SocketAddr) -> Option<PathBuf> {
    if !admin.ip().is_loopback() {
        return None;
    }
    let Some(path) = path.map(Path::to_owned).or_else(|| usual(admin.port())) else {
        complain(
            "warning: nothing can be changed over the admin port: its token needs a place; set \
             XDG_RUNTIME_DIR, XDG_STATE_HOME or HOME, or use --admin-token-file FILE",
        );
        return None;
    };
    match token.write(&path) {
        Ok(()) => Some(path),
        Err(error) => {
            let path = path.display();
            complain(&format!(
                "warning: nothing can be changed over the admin port: {path}: {error}; \
                 --admin-token-file FILE names another place for its token"
            ));
            None
        }
    }
}

/// Where the token of the manager with this admin port is, unless somebody says otherwise.
pub(crate) fn usual(port: u16) -> Option<PathBuf> {
    let set =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = set("XDG_RUNTIME_DIR")
        .or_else(|| set("XDG_STATE_HOME"))
        .or_else(|| set("HOME").map(|home| home.join(".local/state")))?;
    Some(base.join("mcp-manager").join(format!("admin-{port}.token")))
}
