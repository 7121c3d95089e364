//! Sockets that were opened for us: `LISTEN_FDS`, as systemd and others pass them.

use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;
use mcp_gateway::Listen;

use crate::exit::{Error, Exit};

/// What was passed: the first socket is for clients, the second for operators.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    listen: Option<TcpListener>,
    admin: Option<TcpListener>,
}

impl Sockets {
    /// Takes what was passed to this process. Its environment does not say so any more after that,
    /// and no server inherits it; so this comes before there are other threads.
    pub(crate) fn take() -> Result<Self, Error> {
        let mut passed = ListenFd::from_env();
        let mut socket = |index| {
            passed.take_tcp_listener(index).map_err(|error| {
                let why = format!("cannot listen on socket {index} of LISTEN_FDS: {error}");
                Error::new(Exit::Unexpected, "CANNOT_LISTEN", why)
            })
        };
        let (listen, admin) = (socket(0)?, socket(1)?);
        if passed.len() > 2 {
            let why = "LISTEN_FDS passes more than two sockets: one for clients, one for operators";
            return Err(Error::new(Exit::Unexpected, "CANNOT_LISTEN", why));
        }
        Ok(Self { listen, admin })
    }

    /// Whether any was passed.
    pub(crate) fn any(&self) -> bool {
        self.listen.is_some()
    }

    /// Where to listen for clients and for operators, where nothing was passed.
    pub(crate) fn or(self, listen: SocketAddr, admin: SocketAddr) -> (Listen, Listen) {
        let one =
            |socket: Option<TcpListener>, address| socket.map_or(Listen::At(address), Listen::On);
        (one(self.listen, listen), one(self.admin, admin))
    }
}
