//! Tells whoever started us how far we are, if they want to know (`NOTIFY_SOCKET`, sd_notify(3)).

use std::env;
use std::ffi::OsStr;
use std::os::unix::net::UnixDatagram;

/// New clients may come.
pub(crate) const READY: &str = "READY=1";
/// What is in flight is finished, then we end.
pub(crate) const STOPPING: &str = "STOPPING=1";

/// Says `state`. Nobody needs to listen.
pub(crate) fn notify(state: &str) {
    if let Some(path) = env::var_os("NOTIFY_SOCKET")
        && let Err(error) = send(&path, state.as_bytes())
    {
        tracing::warn!(%error, "NOTIFY_SOCKET takes no message");
    }
}

fn send(path: &OsStr, state: &[u8]) -> std::io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    // Whoever does not read is not waited for.
    socket.set_nonblocking(true)?;
    #[cfg(target_os = "linux")]
    if let Some(name) = path.as_encoded_bytes().strip_prefix(b"@") {
        use std::os::linux::net::SocketAddrExt as _;
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
        return socket.send_to_addr(state, &address).map(drop);
    }
    socket.send_to(state, path).map(drop)
}
