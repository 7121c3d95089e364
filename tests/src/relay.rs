//! A network between a client and a server that can be cut: an address that stays, and connections
//! that do not.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// Listens for one client, and carries its bytes to wherever the server is now.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    /// Such as `127.0.0.1:40001`.
    server: String,
    open: Vec<TcpStream>,
}

impl Relay {
    /// A relay to the host of `url`.
    pub fn to(url: &str) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Mutex::new(Shared { server: host(url), open: Vec::new() }));
        let serving = Arc::clone(&shared);
        // It ends with the test's process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = lock(&serving).server.clone();
                // A server that is not there looks to the client like one that hangs up.
                if let Ok(server) = TcpStream::connect(server) {
                    let _ = carry(&serving, &client, &server);
                }
            }
        });
        Ok(Self { address, shared })
    }

    /// The endpoint as the client is to know it.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        for stream in lock(&self.shared).open.drain(..) {
            // It may be cut already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// New connections go to the host of `url` from now on.
    pub fn redirect(&self, url: &str) {
        lock(&self.shared).server = host(url);
    }
}

fn carry(shared: &Mutex<Shared>, client: &TcpStream, server: &TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    lock(shared).open.extend([client.try_clone()?, server.try_clone()?]);
    for (from, to) in [(client, server), (server, client)] {
        let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            // One side that ends is a connection that ends.
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
        });
    }
    Ok(())
}

fn host(url: &str) -> String {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    rest.split('/').next().unwrap_or(rest).to_owned()
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
