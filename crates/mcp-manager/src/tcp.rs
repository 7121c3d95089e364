//! Connects to a server that speaks over TCP: a message per line, a session per connection.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// How long one address of a host may take, before the next one is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The two directions of a connection to the first address of `host` that takes one.
pub(crate) async fn connect(
    host: &str,
    port: u16,
) -> Result<(OwnedReadHalf, OwnedWriteHalf), String> {
    let addresses = lookup_host((host, port)).await;
    let addresses = addresses.map_err(|error| format!("{host:?} cannot be looked up: {error}"))?;
    let mut failures = Vec::new();
    for address in addresses {
        match one(address).await {
            Ok(stream) => return Ok(stream.into_split()),
            Err(why) => failures.push(format!("{address}: {why}")),
        }
    }
    if failures.is_empty() {
        return Err(format!("{host:?} has no address"));
    }
    let tried = failures.join(", ");
    Err(format!("cannot connect to {tried}; is the server running, and the address right?"))
}

async fn one(address: SocketAddr) -> Result<TcpStream, String> {
    let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
    let stream = stream.map_err(|_| format!("no connection within {CONNECT_TIMEOUT:?}"))?;
    let stream = stream.map_err(|error| error.to_string())?;
    // Without this, small messages wait for the acknowledgement of the ones before.
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpSocket};
    use tokio::time::Instant;

    use super::*;

    #[tokio::test]
    async fn both_directions_are_open() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mut reader, mut writer) = connect("127.0.0.1", port).await.unwrap();
        let (mut peer, _) = listener.accept().await.unwrap();
        writer.write_all(b"a").await.unwrap();
        peer.write_all(b"b").await.unwrap();
        assert_eq!((peer.read_u8().await.unwrap(), reader.read_u8().await.unwrap()), (b'a', b'b'));
        assert!(reader.as_ref().nodelay().unwrap());
    }

    /// `localhost` is two addresses on most machines, and one of them may have no server.
    #[tokio::test]
    async fn every_address_is_tried_and_named() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        connect("localhost", port).await.unwrap();
        drop(listener);
        let why = connect("localhost", port).await.unwrap_err();
        assert!(why.contains(&format!("127.0.0.1:{port}: Connection refused")), "{why}");
        assert!(why.ends_with("is the server running, and the address right?"), "{why}");
        let why = connect("no such host", port).await.unwrap_err();
        assert!(why.starts_with("\"no such host\" cannot be looked up: "), "{why}");
    }

    #[tokio::test]
    async fn an_address_that_is_silent_is_given_up() {
        // A queue of one place that nobody takes a connection from: further ones are not answered.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut filling = Vec::new();
        while let Ok(Ok(stream)) =
            timeout(Duration::from_millis(300), TcpStream::connect(address)).await
        {
            filling.push(stream);
        }
        tokio::time::pause();
        let begun = Instant::now();
        let why = connect("127.0.0.1", address.port()).await.unwrap_err();
        assert!(why.contains("no connection within 10s"), "{why}");
        assert_eq!(begun.elapsed().as_secs(), CONNECT_TIMEOUT.as_secs());
    }
}
