//! The weathers, seen from a client over real sockets.

use std::io::ErrorKind;

use tokio::time::timeout;

use super::*;
use crate::clock::now;
use crate::serve::runtime;

/// Far more than anything here takes.
const SOON: Duration = Duration::from_secs(10);
/// How long a silence is watched.
const SILENCE: Duration = Duration::from_millis(60);

/// A proxy in front of a server that sends back what it gets.
async fn proxy() -> FaultProxy {
    FaultProxy::start(&Handle::current(), echo(b"").await).unwrap()
}

/// A server that sends `first`, and then back what it gets.
async fn echo(first: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                stream.write_all(first).await?;
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    address
}

async fn ask(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    stream.write_all(b"ping").await?;
    answer(stream).await
}

/// What comes next; nothing at the end.
async fn answer(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 64];
    let count = timeout(SOON, stream.read(&mut bytes)).await.expect("an answer or an end")?;
    bytes.truncate(count);
    Ok(bytes)
}

/// Connects until it comes out as wanted.
async fn until_connecting(proxy: &FaultProxy, refused: bool) {
    let tries = async {
        loop {
            let seen = match TcpStream::connect(proxy.address()).await {
                // Whoever comes while the listener is being closed may be reset instead.
                Err(error) => refused && error.kind() == ErrorKind::ConnectionRefused,
                Ok(mut stream) => {
                    !refused && ask(&mut stream).await.is_ok_and(|said| said == b"ping")
                }
            };
            if seen {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, tries).await.expect("the proxy follows the weather");
}

fn run(test: impl Future<Output = ()>) {
    runtime(0).unwrap().block_on(test);
}

#[test]
fn fine_is_as_if_it_were_not_there() {
    run(async {
        let proxy = proxy().await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut stream).await.unwrap(), b"ping");
    });
}

#[test]
fn down_ends_what_is_open_and_refuses_what_comes_until_it_is_over() {
    run(async {
        let mut proxy = proxy().await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut stream).await.unwrap(), b"ping");
        proxy.set(Weather::Down);
        assert_eq!(answer(&mut stream).await.unwrap(), b"", "an end in good order");
        until_connecting(&proxy, true).await;
        proxy.set(Weather::Fine);
        until_connecting(&proxy, false).await;
    });
}

#[test]
fn reset_breaks_what_is_open_and_what_comes_when_it_is_answered() {
    run(async {
        let mut proxy = proxy().await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut stream).await.unwrap(), b"ping");
        proxy.set(Weather::Reset);
        assert_eq!(answer(&mut stream).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut stream).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        proxy.set(Weather::Fine);
        until_connecting(&proxy, false).await;
    });
}

#[test]
fn stalled_is_silent_and_loses_nothing() {
    run(async {
        let mut proxy = proxy().await;
        let mut old = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut old).await.unwrap(), b"ping");
        proxy.set(Weather::Stalled);
        let mut new = TcpStream::connect(proxy.address()).await.unwrap();
        for stream in [&mut old, &mut new] {
            stream.write_all(b"late").await.unwrap();
            assert!(timeout(SILENCE, stream.read_u8()).await.is_err(), "neither bytes nor an end");
        }
        proxy.set(Weather::Fine);
        assert_eq!(answer(&mut old).await.unwrap(), b"late");
        assert_eq!(answer(&mut new).await.unwrap(), b"late");
    });
}

#[test]
fn answers_are_late_or_somebody_elses() {
    run(async {
        let mut proxy = proxy().await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        proxy.set(Weather::Late(SILENCE));
        let start = now();
        assert_eq!(ask(&mut stream).await.unwrap(), b"ping");
        assert!(now() - start >= SILENCE);
        proxy.set(Weather::Garbage);
        assert_eq!(ask(&mut stream).await.unwrap(), GARBAGE);
    });
}

#[test]
fn flapping_goes_on_until_the_weather_is_said_again() {
    run(async {
        let mut proxy = proxy().await;
        proxy.flap(Weather::Down, Duration::from_millis(20));
        for _ in 0..2 {
            until_connecting(&proxy, true).await;
            until_connecting(&proxy, false).await;
        }
        proxy.set(Weather::Down);
        until_connecting(&proxy, true).await;
        sleep(SILENCE).await;
        until_connecting(&proxy, true).await;
    });
}

#[test]
fn it_can_lead_elsewhere() {
    run(async {
        let proxy = proxy().await;
        proxy.lead_to(echo(b"other").await);
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(answer(&mut stream).await.unwrap(), b"other");
    });
}

#[test]
fn gone_it_answers_nobody() {
    run(async {
        let proxy = proxy().await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(ask(&mut stream).await.unwrap(), b"ping");
        drop(proxy);
        assert_eq!(answer(&mut stream).await.unwrap(), b"");
    });
}
