//! Where to listen: at an address, or on a socket that somebody has opened for us.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

/// Where a gateway listens.
#[derive(Debug)]
#[non_exhaustive]
pub enum Listen {
    /// An address to bind; port 0 takes a free one.
    At(SocketAddr),
    /// A socket that listens already, and that others may listen on as well: the next life of this
    /// program, or a service manager that keeps it while there is none.
    On(std::net::TcpListener),
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Self::At(address)
    }
}

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {why}")]
#[non_exhaustive]
pub struct ListenError {
    /// The address, if it is known.
    pub address: SocketAddr,
    /// What the system says.
    pub why: io::Error,
}

/// A socket that listens.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) listener: TcpListener,
    pub(crate) address: SocketAddr,
    /// Whether others may listen on it, too: then whoever connects while we stop is theirs.
    pub(crate) shared: bool,
}

impl Listen {
    pub(crate) async fn open(self) -> Result<Socket, ListenError> {
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let (address, shared, listener) = match self {
            Self::At(address) => (address, false, TcpListener::bind(address).await),
            Self::On(socket) => {
                let address = socket.local_addr().unwrap_or(unknown);
                // Tokio would wait for ever in a socket that does not say that it has nothing.
                let listener = socket.set_nonblocking(true);
                (address, true, listener.and_then(|()| TcpListener::from_std(socket)))
            }
        };
        let failed = |why| ListenError { address, why };
        let listener = listener.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Socket { listener, address, shared })
    }
}
