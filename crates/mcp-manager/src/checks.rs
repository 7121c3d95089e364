//! The health of a replica: what it is asked, and what is done about the answers.

use std::sync::{Arc, Weak};
use std::time::Duration;

use mcp_health::{Config, Outcome, Prober, State};
use mcp_supervisor::{Spec, spawn};
use mcp_wire::http::Endpoint;
use mcp_wire::{CallError, Era, HandshakeError, Kind, Message, Request, Timing, discover};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::config::{CheckKind, Checks};
use crate::definition::Source;
use crate::failure::Failure;
use crate::link::own_info;
use crate::replica::Replica;
use crate::server::Server;
use crate::tcp;
use crate::upstream::Upstream;

/// The check keeps its own time; the prober stands by with a later one.
const LATER: Duration = Duration::from_secs(1);

/// What a check needs that is made once.
enum Means {
    /// A ping in the connection that there is.
    Ping,
    Tcp(String, u16),
    Http(Endpoint),
    Command(Box<Spec>),
}

impl Replica {
    /// Begins to look after the health of this replica. `None` if its settings say not to.
    pub(crate) fn look_after(
        self: &Arc<Self>,
        server: &Weak<Server>,
    ) -> Result<Option<Prober>, Failure> {
        let checks = &self.opener.definition.settings.checks;
        if checks.kind == CheckKind::None {
            return Ok(None);
        }
        let refused = |why: String| Failure::Config { server: self.opener.name.to_string(), why };
        let means = self.means(&checks.kind).map_err(refused)?;
        let (replica, limit) = (Arc::downgrade(self), checks.timeout);
        let means = Arc::new(means);
        let check = move || {
            let (replica, means) = (Weak::clone(&replica), Arc::clone(&means));
            async move {
                match replica.upgrade() {
                    Some(replica) => replica.check(&means, limit).await,
                    None => Outcome::Unclear,
                }
            }
        };
        let prober = Prober::start(config(checks), check);
        let prober = prober.map_err(|error| refused(error.to_string()))?;
        tokio::spawn(act(Weak::clone(server), Arc::downgrade(self), prober.watch()));
        Ok(Some(prober))
    }

    fn means(&self, kind: &CheckKind) -> Result<Means, String> {
        Ok(match kind {
            CheckKind::Auto | CheckKind::Ping | CheckKind::None => Means::Ping,
            CheckKind::Tcp => {
                let authority = self.opener.address().and_then(|address| address.authority());
                let (host, port) = authority.ok_or("it has no port to connect to")?;
                Means::Tcp(host, port)
            }
            CheckKind::Http { url } => {
                Means::Http(Endpoint::new(url, []).map_err(|error| error.to_string())?)
            }
            CheckKind::Command { command } => {
                let (program, args) = command.split_first().ok_or("its healthCommand is empty")?;
                let mut spec = Spec::new(program);
                spec.args = args.iter().map(Into::into).collect();
                spec.shim = self.opener.shim();
                spec.stdin_grace = Duration::ZERO;
                Means::Command(Box::new(spec))
            }
        })
    }

    /// Asks once. Only what there is is asked: nothing is opened for it.
    async fn check(&self, means: &Means, limit: Duration) -> Outcome {
        // What is being started, or waits for that, is looked after by its supervisor.
        let Some(ours) = self.ours() else { return Outcome::Unclear };
        let asked = async {
            if let Source::Custom(custom) = &self.opener.definition.source
                && let Err(why) = custom.is_well()
            {
                return Outcome::Bad(why);
            }
            match means {
                Means::Ping => ping(&ours).await,
                Means::Tcp(host, port) => match tcp::connect(host, *port).await {
                    Ok(_) => Outcome::Good,
                    Err(why) => Outcome::Bad(why),
                },
                Means::Http(endpoint) => match endpoint.get_status().await {
                    Ok(200..=299) => Outcome::Good,
                    Ok(status) => Outcome::Bad(format!("HTTP status {status}")),
                    Err(error) => Outcome::Bad(error.to_string()),
                },
                Means::Command(spec) => run(spec).await,
            }
        };
        match timeout(limit, asked).await {
            Ok(outcome) => outcome,
            // Many servers do one thing at a time, and their calls have deadlines of their own.
            Err(_) if self.opener.load().in_flight() > 0 => Outcome::Unclear,
            Err(_) => Outcome::Bad(format!("no answer within {limit:?}")),
        }
    }
}

fn config(checks: &Checks) -> Config {
    let mut config = Config::default();
    config.interval = checks.interval;
    config.timeout = checks.timeout.saturating_add(LATER);
    config.slow = checks.timeout;
    config.unhealthy_after = checks.unhealthy_after;
    config.healthy_after = checks.healthy_after;
    config
}

/// Whether the server answers in the connection that it has with us. A server that does not know
/// the question has answered it.
async fn ping(ours: &Upstream) -> Outcome {
    let asked = match ours.era() {
        Era::Legacy => match Request::read(Message::request("0", "ping", "{}")) {
            Ok(request) => answer(ours, request).await,
            Err(_) => return Outcome::Unclear,
        },
        // The stateless era has no ping: this is the least that every server must answer.
        Era::Modern => match discover(&ours.connection, &own_info(), Duration::MAX).await {
            Ok(_) => Ok(Outcome::Good),
            Err(HandshakeError::Call(error)) => Err(error),
            Err(_) => Ok(Outcome::Unsupported),
        },
    };
    match asked {
        Ok(outcome) => outcome,
        // Whatever stands in the way is on our side.
        Err(CallError::Overloaded | CallError::Cancelled | CallError::SlowCaller { .. }) => {
            Outcome::Unclear
        }
        Err(error) => Outcome::Bad(error.to_string()),
    }
}

async fn answer(ours: &Upstream, request: Request) -> Result<Outcome, CallError> {
    let timing = Timing { timeout: Duration::MAX, timeout_max: Duration::MAX };
    let reply = ours.connection.call(request, timing).reply().await?;
    Ok(match reply.kind() {
        Kind::Error => Outcome::Unsupported,
        _ => Outcome::Good,
    })
}

async fn run(spec: &Spec) -> Outcome {
    let process = match spawn(spec).await {
        Ok(process) => process,
        Err(error) => return Outcome::Bad(error.to_string()),
    };
    drop((process.take_stdin(), process.take_stdout()));
    let exit = process.wait().await;
    if exit.success() {
        return Outcome::Good;
    }
    let last = process.stderr().lines().pop().unwrap_or_default();
    Outcome::Bad(format!("its health command ended with {exit}: {last}"))
}

/// Does what a state asks for: who is unhealthy gets no calls while others are well, and is opened
/// anew.
async fn act(server: Weak<Server>, replica: Weak<Replica>, mut states: watch::Receiver<State>) {
    while states.changed().await.is_ok() {
        let state = *states.borrow_and_update();
        let Some(replica) = replica.upgrade() else { return };
        if let Some(server) = server.upgrade() {
            server.tell();
        }
        let settings = &replica.opener.definition.settings;
        if state == State::Unhealthy
            && settings.checks.restart
            && let Some(ours) = replica.ours()
        {
            let why = replica.health().and_then(|report| report.trouble).unwrap_or_default();
            let server = replica.opener.name.to_string();
            let why = format!("its health checks failed: {why}");
            tracing::warn!(%server, %why, "server is unhealthy");
            replica.fail(&ours, Failure::Unavailable { server, why, stderr: Vec::new() });
        }
    }
}
