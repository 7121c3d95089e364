//! A network that can be bad: a TCP port in front of one server, and what becomes of its bytes.
//!
//! The port belongs to the proxy for as long as that lives, also while nobody listens at it: a
//! second socket is bound to it all the time, so that no other program is given it meanwhile.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

const CHUNK_BYTES: usize = 16 << 10;
const BACKLOG: u32 = 1024;
/// What a server of something else would say.
const GARBAGE: &[u8] = b"\x16\x03\x01 this is not HTTP\r\n\r\n";

/// What becomes of the bytes of all connections, from the moment it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    Fine,
    /// Every answer is late by this.
    Late(Duration),
    /// Connections end, and new ones are refused: what is seen of a server whose process is gone.
    Down,
    /// Connections are reset; so are new ones, when the answer to what was asked is on its way.
    Reset,
    /// A black hole: nothing is passed on and nothing ends. What was held up comes through later.
    Stalled,
    /// Something answers that is not the server.
    Garbage,
}

#[derive(Clone, Copy, Debug)]
struct State {
    weather: Weather,
    server: SocketAddr,
    /// How often the weather was set: a clock of before that has nothing more to say.
    sets: u64,
}

type Sight = watch::Receiver<State>;

/// A port in front of one server. Dropped, it and its connections are gone.
#[derive(Debug)]
pub(crate) struct FaultProxy {
    address: SocketAddr,
    state: watch::Sender<State>,
    runtime: Handle,
    clock: JoinSet<()>,
    _serving: JoinSet<()>,
}

impl FaultProxy {
    /// Listens at a free port of the loopback interface, in fine weather.
    pub(crate) fn start(runtime: &Handle, server: SocketAddr) -> io::Result<Self> {
        let _entered = runtime.enter();
        let door = socket_at((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = door.local_addr()?;
        let state = watch::Sender::new(State { weather: Weather::Fine, server, sets: 0 });
        // The first listener is there before anybody is told the address.
        let listener = listener_at(address)?;
        let mut serving = JoinSet::new();
        serving.spawn(serve(door, listener, address, state.subscribe()));
        let (runtime, clock) = (runtime.clone(), JoinSet::new());
        Ok(Self { address, state, runtime, clock, _serving: serving })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The weather from now on.
    pub(crate) fn set(&mut self, weather: Weather) {
        self.clock.abort_all();
        self.state.send_modify(|state| {
            state.weather = weather;
            state.sets += 1;
        });
    }

    /// From now on one `period` of this weather, one of fine weather, and so on.
    pub(crate) fn flap(&mut self, weather: Weather, period: Duration) {
        self.set(weather);
        let state = self.state.clone();
        let sets = state.borrow().sets;
        let clock = async move {
            for weather in [Weather::Fine, weather].into_iter().cycle() {
                sleep(period).await;
                state.send_if_modified(|state| {
                    state.weather = if state.sets == sets { weather } else { state.weather };
                    state.sets == sets
                });
            }
        };
        self.clock.spawn_on(clock, &self.runtime);
    }

    /// Where new connections lead from now on.
    pub(crate) fn lead_to(&self, server: SocketAddr) {
        self.state.send_modify(|state| state.server = server);
    }
}

fn socket_at(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Two sockets share a port if both allow it and only one of them listens.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn listener_at(address: SocketAddr) -> io::Result<TcpListener> {
    socket_at(address)?.listen(BACKLOG)
}

/// `_door` keeps the port.
async fn serve(_door: TcpSocket, first: TcpListener, address: SocketAddr, mut sight: Sight) {
    let mut connections = JoinSet::new();
    let mut listener = Some(first);
    loop {
        if let Some(listener) = listener.take() {
            accept(&listener, &mut sight, &mut connections).await;
        }
        // Nobody listens here: the system refuses whoever comes.
        if sight.wait_for(|state| state.weather != Weather::Down).await.is_err() {
            return;
        }
        let Ok(again) = listener_at(address) else { return };
        listener = Some(again);
    }
}

/// Takes connections until it is not to.
async fn accept(listener: &TcpListener, sight: &mut Sight, connections: &mut JoinSet<()>) {
    let watched = sight.clone();
    let down = sight.wait_for(|state| state.weather == Weather::Down);
    let mut down = std::pin::pin!(down);
    loop {
        tokio::select! {
            biased;
            _ = &mut down => return,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    connections.spawn(carry(client, watched.clone()));
                }
            }
        }
    }
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    InOrder,
    ByReset,
}

async fn carry(mut client: TcpStream, mut sight: Sight) {
    let State { weather, server, .. } = *sight.borrow_and_update();
    if weather == Weather::Down {
        return;
    }
    let Ok(mut server) = TcpStream::connect(server).await else {
        let _ = client.set_zero_linger();
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let end = {
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        // One side's end is that of both: nobody here closes one half and reads on.
        tokio::select! {
            end = ordered(sight.clone()) => end,
            end = pass(&mut from_client, &mut to_server, sight.clone(), false) => end,
            end = pass(&mut from_server, &mut to_client, sight.clone(), true) => end,
        }
    };
    if end == End::ByReset {
        let _ = client.set_zero_linger();
    }
}

/// Waits until a change of the weather ends what is under way.
async fn ordered(mut sight: Sight) -> End {
    while sight.changed().await.is_ok() {
        match sight.borrow_and_update().weather {
            Weather::Down => return End::InOrder,
            Weather::Reset => return End::ByReset,
            _ => {}
        }
    }
    // The proxy is gone.
    End::InOrder
}

async fn pass(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut sight: Sight,
    answers: bool,
) -> End {
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        let passing = sight.wait_for(|state| state.weather != Weather::Stalled).await;
        let Ok(weather) = passing.map(|state| state.weather) else { break };
        let bytes = match weather {
            Weather::Late(time) if answers => {
                sleep(time).await;
                &chunk[..count]
            }
            Weather::Reset if answers => return End::ByReset,
            Weather::Garbage if answers => GARBAGE,
            _ => &chunk[..count],
        };
        if to.write_all(bytes).await.is_err() {
            break;
        }
    }
    End::InOrder
}

#[cfg(test)]
mod tests;
