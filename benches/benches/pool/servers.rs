//! What a pool of sessions saves with real servers: a checkout and a ping, beside a session that is
//! opened for one ping. The official server that has a bit of everything, as a process and over
//! HTTP. `cargo xtask setup` installs it; without it there is nothing to measure.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mcp_pool::{Config, KeyedPool, Manage, Pool};
use mcp_supervisor::{Process, Spec, spawn};
use mcp_wire::http::Endpoint;
use mcp_wire::{Connection, Inbox, Message, Options, Request, Timing, initialize};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::runtime::Builder;

use crate::median;

/// Sessions that are opened for a ping each.
const SESSIONS: usize = 15;
/// Checkouts that are beside each of them.
const CHECKOUTS: u32 = 50;
const LIMIT: Duration = Duration::from_secs(60);
/// How many times as long a session takes whose process is not there yet, at least.
const TIMES: f64 = 100.0;

const PARAMS: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}"#;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Transport {
    Stdio,
    Http,
}

/// Opens sessions.
struct Sessions {
    endpoint: Endpoint,
}

struct Session {
    connection: Connection,
    _inbox: Inbox,
    process: Option<Process>,
}

impl Manage for Sessions {
    type Key = Transport;
    type Connection = Session;
    type Error = Infallible;

    async fn connect(&self, transport: &Transport) -> Result<Session, Infallible> {
        let options = Options::default();
        let (connection, inbox, process) = match transport {
            Transport::Http => {
                let (connection, inbox) = Connection::over_http(self.endpoint.clone(), &options);
                (connection, inbox, None)
            }
            Transport::Stdio => {
                let process = spawn(&everything(None)).await.expect("the server starts");
                let (stdin, stdout) = (process.take_stdin(), process.take_stdout());
                let (stdin, stdout) = (stdin.expect("a pipe"), stdout.expect("a pipe"));
                let (connection, inbox) = Connection::over_streams(stdout, stdin, &options);
                (connection, inbox, Some(process))
            }
        };
        initialize(&connection, PARAMS, LIMIT).await.expect("a session");
        Ok(Session { connection, _inbox: inbox, process })
    }

    fn is_broken(&self, session: &Session) -> bool {
        session.connection.is_ended()
    }

    async fn close(&self, _: &Transport, session: Session) {
        session.connection.close("it has served");
        if let Some(process) = &session.process {
            process.stop().await;
        }
    }
}

impl Session {
    async fn ping(&self) {
        let ping = Request::read(Message::request("0", "ping", "{}")).expect("a request");
        let answer = self.connection.call(ping, Timing::default()).reply().await;
        assert!(answer.expect("an answer").result_json().is_some(), "the server refused to answer");
    }
}

/// The ratios, if the server is installed.
pub(crate) fn run(verdict: impl Fn(&str, f64, &str, f64)) {
    if !node().exists() {
        return println!("no real servers: `cargo xtask setup` installs them");
    }
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (server, endpoint) = serve().await;
        let sessions = Sessions { endpoint: endpoint.clone() };
        let pool = Pool::new(Sessions { endpoint }, Config::default()).expect("a pool");
        for transport in [Transport::Stdio, Transport::Http] {
            let keyed = pool.key(&transport).expect("a key");
            let (mut new, mut pooled) = (Vec::new(), Vec::new());
            for _ in 0..SESSIONS {
                new.push(opened(&sessions, transport).await);
                pooled.push(lent(&keyed).await);
            }
            let ratio = median(new.iter().zip(&pooled).map(|(new, pooled)| new / pooled));
            let name = format!("{transport:?}").to_lowercase();
            let (new, pooled) = (median(new.into_iter()), median(pooled.into_iter()));
            println!(
                "{name}: a new session and a ping {new:.0} us, pooled {pooled:.0} us: {ratio:.1} times"
            );
            // Over HTTP there is no process to start: three requests are saved, which no pool can
            // make a hundred of.
            if transport == Transport::Stdio {
                verdict("pool/new-process-over-pooled", ratio, ">=", TIMES);
            }
        }
        pool.close(LIMIT).await.expect("all sessions end");
        server.stop().await;
    });
}

/// Microseconds until a session that is opened for it has answered.
async fn opened(sessions: &Sessions, transport: Transport) -> f64 {
    let start = Instant::now();
    let Ok(session) = sessions.connect(&transport).await;
    session.ping().await;
    let time = start.elapsed();
    sessions.close(&transport, session).await;
    time.as_secs_f64() * 1e6
}

/// Microseconds until one that was lent has answered, and is back.
async fn lent(pool: &KeyedPool<Sessions>) -> f64 {
    // The first of all is made here.
    drop(pool.acquire().await.expect("a session"));
    let start = Instant::now();
    for _ in 0..CHECKOUTS {
        pool.acquire().await.expect("a session").ping().await;
    }
    start.elapsed().as_secs_f64() * 1e6 / f64::from(CHECKOUTS)
}

/// The server over HTTP, and where it is.
async fn serve() -> (Process, Endpoint) {
    let process = spawn(&everything(Some("streamableHttp"))).await.expect("the server starts");
    let mut lines = BufReader::new(process.take_stdout().expect("a pipe")).lines();
    loop {
        let line = lines.next_line().await.expect("its words").expect("an address");
        if let Some(url) = line.strip_prefix("listening on ") {
            let endpoint = Endpoint::new(url, []).expect("a URL");
            // What else it prints has to go somewhere.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return (process, endpoint);
        }
    }
}

fn everything(served: Option<&str>) -> Spec {
    let peers = workspace().join("target/peers/npm/node_modules/@modelcontextprotocol");
    let mut spec = Spec::new(node());
    if served.is_some() {
        spec.args = vec!["--require".into(), workspace().join("tests/peers/loopback.cjs").into()];
    }
    spec.args.push(peers.join("server-everything/dist/index.js").into());
    spec.args.extend(served.map(Into::into));
    spec
}

fn node() -> PathBuf {
    workspace().join("target/peers/npm/node_modules/.bin/node")
}

fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}
