//! `mcp-manager up`: the fleet, and its endpoint.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use mcp_gateway::{Gateway, Options, serve_stdio};
use mcp_manager::reload::{ConfigFile, Reloader};
use mcp_manager::{Fleet, Server, State};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::args::Up;
use crate::exit::{Error, Exit};
use crate::listening::cannot_start;
use crate::notify::{READY, STOPPING, notify};
use crate::output::{complain, line, printable};
use crate::reload::Reloads;
use crate::sockets::Sockets;
use crate::source::{self, ADMIN, LISTEN};
use crate::token;

/// A start that takes longer than this is worth a line.
const QUICK: Duration = Duration::from_millis(500);

/// Tells how the fleet is doing: on stdout, unless that belongs to the protocol.
#[derive(Clone, Copy)]
pub(crate) struct Herald {
    pub(crate) json: bool,
    stdio: bool,
}

pub(crate) async fn run(up: Up, json: bool, sockets: Sockets) -> Result<Exit, Error> {
    let herald = Herald { json, stdio: up.stdio };
    // Before it is read: what changes from now on is seen.
    let file = up.config.as_ref().map(ConfigFile::new);
    let plan = match &up.config {
        Some(path) => source::of_file(path)?,
        None => source::of_demo(),
    };
    let settings = plan.settings.clone();
    let fleet = Arc::new(Fleet::new(plan)?);
    let (mut signals, mut reloads) = (Signals::new()?, Reloads::new()?);
    let mut token = None;
    let mut gateway = open(&up, &fleet, sockets, &mut token).await?;
    herald.begin(&fleet, gateway.as_ref(), token.as_deref(), up.config.is_none());
    let reloader = file.map(|file| Reloader::new(Arc::clone(&fleet), file));
    if let (Some(gateway), Some(reloader)) = (&gateway, &reloader) {
        gateway.reload_with(reloader.clone());
    }
    fleet.start();
    reloads.begin(herald, &fleet, reloader, settings.watch && !up.no_watch);
    for server in &*fleet.servers() {
        tokio::spawn(herald.follow(Arc::clone(server)));
    }
    notify(READY);
    let stop = watch::Sender::new(false);
    let mut told = stop.subscribe();
    let mut serving = pin!(async {
        if up.stdio {
            let (stdin, stdout) = (tokio::io::stdin(), tokio::io::stdout());
            let told = async { _ = told.wait_for(|told| *told).await };
            serve_stdio(Arc::clone(&fleet), stdin, stdout, told).await;
        } else {
            std::future::pending::<()>().await;
        }
    });
    let (mut talking, mut exit) = (up.stdio, Ok(Exit::Ok));
    tokio::select! {
        () = &mut serving => talking = false,
        () = signals.next() => {}
        () = reloads.hung_up() => {}
        () = broken(gateway.as_mut()) => {
            let why = "a part of the gateway has failed; nothing can be served any more";
            exit = Err(Error::new(Exit::Unexpected, "GATEWAY_FAILED", why));
        }
    }
    notify(STOPPING);
    reloads.end();
    stop.send_replace(true);
    let stopping = async {
        let talk = async {
            if talking {
                fleet.end_subscriptions();
                serving.await;
            }
        };
        let drain = async {
            if let Some(gateway) = gateway {
                gateway.stop().await;
            }
        };
        tokio::join!(talk, drain);
        fleet.stop().await;
    };
    tokio::select! {
        () = stopping => exit,
        // Twice means now. The shims end what is left when we are gone.
        () = signals.next() => Ok(Exit::Interrupted),
    }
}

/// Where clients and operators connect; nowhere, if the only client is on stdio.
///
/// `token` becomes the file in which the admin token is.
async fn open(
    up: &Up,
    fleet: &Arc<Fleet>,
    sockets: Sockets,
    token: &mut Option<PathBuf>,
) -> Result<Option<Gateway>, Error> {
    let settings = fleet.settings();
    let listen = up.listen.or(settings.listen);
    let admin = up.admin.or(settings.admin);
    if sockets.any() && up.listen.is_some() {
        return Err(Error::usage(
            "--listen is not for a manager whose socket is passed (LISTEN_FDS)",
        ));
    }
    let nowhere = listen.is_none() && !sockets.any();
    if up.stdio && up.admin.is_some() && nowhere {
        return Err(Error::usage("--admin with --stdio needs --listen as well"));
    }
    if up.stdio && nowhere {
        return Ok(None);
    }
    let listen = listen.map_or_else(|| parsed(LISTEN), Ok)?;
    let admin = admin.map_or_else(|| parsed(ADMIN), Ok)?;
    let (listen, admin) = sockets.or(listen, admin);
    let mut options = Options::from(settings);
    let secret = token::generate();
    options.admin_token.clone_from(&secret);
    let started = Gateway::start_on(Arc::clone(fleet), listen, admin, options).await;
    let gateway = started.map_err(cannot_start)?;
    if let Some(secret) = secret {
        *token = token::keep(&secret, up.admin_token_file.as_deref(), gateway.admin_address());
    }
    Ok(Some(gateway))
}

async fn broken(gateway: Option<&mut Gateway>) {
    match gateway {
        Some(gateway) => gateway.broken().await,
        None => std::future::pending().await,
    }
}

/// What asks the program to end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self, Error> {
        let watch = |kind| {
            signal(kind).map_err(|error| {
                Error::new(Exit::Unexpected, "SIGNALS", format!("cannot watch signals: {error}"))
            })
        };
        let (interrupt, terminate) = (SignalKind::interrupt(), SignalKind::terminate());
        Ok(Self { interrupt: watch(interrupt)?, terminate: watch(terminate)? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn parsed(address: &str) -> Result<SocketAddr, Error> {
    address.parse().map_err(|_| Error::usage(format!("{address:?} is not an address")))
}

impl Herald {
    pub(crate) fn say(self, text: &str) {
        // Whether somebody reads is not what a server lives for.
        if self.stdio {
            complain(text);
        } else {
            line(text);
        }
    }

    fn begin(self, fleet: &Fleet, gateway: Option<&Gateway>, token: Option<&Path>, demo: bool) {
        let endpoint = gateway.map(|gateway| format!("http://{}/mcp", gateway.address()));
        let admin = gateway.map(|gateway| format!("http://{}", gateway.admin_address()));
        let count = fleet.servers().len();
        if self.json {
            let token = token.map(|token| token.display().to_string());
            let event = json!({
                "event": "up", "endpoint": endpoint, "admin": admin, "token_file": token, "servers": count,
            });
            return self.say(&event.to_string());
        }
        let what = if demo { "the demo fleet" } else { "your fleet" };
        self.say(&format!("mcp-manager {}: {what}, {count} servers", env!("CARGO_PKG_VERSION")));
        let (Some(endpoint), Some(admin)) = (endpoint, admin) else { return };
        let servers = fleet.servers();
        let alone = servers.first().map_or("SERVER", |server| server.name());
        self.say(&format!("  endpoint   {endpoint}"));
        self.say(&format!("  one alone  {endpoint}/{}", source::escaped(alone)));
        self.say(&format!("  status     {admin}/status"));
        if let Some(token) = token {
            self.say(&format!("  token      {}", printable(&token.display().to_string())));
        }
        self.say("\nFor your client's configuration:");
        self.say(&format!(
            "  {{ \"mcpServers\": {{ \"mcp-manager\": {{ \"type\": \"http\", \"url\": \"{endpoint}\" }} }} }}\n"
        ));
    }

    /// Says how a server is doing each time that changes.
    pub(crate) async fn follow(self, server: Arc<Server>) {
        let (mut states, name, transport) =
            (server.watch(), server.name().to_owned(), server.transport());
        // A server that is removed ends with the last one who holds it, and so does this.
        drop(server);
        let mut said = String::new();
        loop {
            let state = states.borrow_and_update().clone();
            if said.is_empty() && state == State::Starting {
                // Most servers start faster than anybody reads that they do.
                match timeout(QUICK, states.changed()).await {
                    Ok(Ok(())) => continue,
                    Ok(Err(_)) => return,
                    Err(_) => {}
                }
            }
            let text = self.describe(&name, &transport, &state);
            if text != said {
                self.say(&text);
                said = text;
            }
            if states.changed().await.is_err() {
                return;
            }
        }
    }

    fn describe(self, name: &str, transport: &str, state: &State) -> String {
        let word = state.word();
        let error = state.failure();
        if self.json {
            let error = error
                .map(|failure| json!({ "code": failure.code(), "message": failure.to_string() }));
            let event = json!({
                "event": "server", "name": name, "state": word, "transport": transport, "error": error,
            });
            return event.to_string();
        }
        let why = error.map(|failure| format!("  {}", printable(&failure.to_string())));
        format!("  {:<20} {word:<10} {transport}{}", printable(name), why.unwrap_or_default())
    }
}
