//! Which servers a command is about: a file's, a running manager's, or the demo fleet.

use std::path::Path;
use std::time::Duration;

use mcp_manager::config::{Config, Http, ProcessLookup, ServerKind, ServerSpec, Severity};
use mcp_manager::{Definition, Failure, Fleet, Plan, demo};
use mcp_supervisor::{Cgroups, Shim};

use crate::args::From;
use crate::exit::{Error, Exit};
use crate::{SHIM, output};

/// Where `up` listens when nobody says otherwise.
pub(crate) const LISTEN: &str = "127.0.0.1:7420";
pub(crate) const ADMIN: &str = "127.0.0.1:7421";

/// How long a command waits for the servers that it starts.
const SETTLE: Duration = Duration::from_secs(60);
/// The name of the one server that stands for a running manager.
const REMOTE: &str = "manager";

/// The plan of a file. Warnings go to stderr.
pub(crate) fn of_file(path: &Path) -> Result<Plan, Error> {
    let config = Config::load(path, &ProcessLookup)
        .map_err(|error| Error::new(Exit::Usage, "CONFIG_ERROR", error.to_string()))?;
    for note in config.notes.iter().filter(|note| note.severity == Severity::Warning) {
        output::complain(&format!("warning: {note}"));
    }
    let mut plan = shimmed(Plan::from(config));
    let limits = |definition: &Definition| {
        let limits = &definition.settings.limits;
        limits.memory_bytes.or(limits.processes).or(limits.cpu_millis).is_some()
    };
    if plan.servers.iter().any(limits) {
        // Without a group of our own, limits are watched, or said not to be enforced.
        plan.cgroups = Cgroups::find().ok();
    }
    Ok(plan)
}

/// The plan of the demo fleet.
pub(crate) fn of_demo() -> Plan {
    let mut plan = Plan::default();
    plan.servers = demo::fleet().into_iter().map(Definition::from).collect();
    shimmed(plan)
}

fn shimmed(mut plan: Plan) -> Plan {
    plan.shim = Some(Shim::of_this_program([SHIM]));
    plan
}

/// Servers that a command uses and then lets go of.
pub(crate) struct Source {
    fleet: Fleet,
    /// The fleet has one server, which is a manager or one path of it.
    remote: bool,
}

impl Source {
    /// The servers that `from` names; with a running manager, the view of `server` if one is given.
    pub(crate) async fn open(from: &From, server: Option<&str>) -> Result<Self, Error> {
        let (plan, remote) = match (&from.config, from.demo) {
            (Some(path), _) => (of_file(path)?, false),
            (None, true) => (of_demo(), false),
            (None, false) => (running(from.endpoint.as_deref(), server), true),
        };
        let fleet = Fleet::new(plan)?;
        if remote {
            fleet.start();
            fleet.settled(SETTLE).await;
        }
        let source = Self { fleet, remote };
        source.check(from)?;
        Ok(source)
    }

    /// A manager that is not there is said to be so, with what to do about it.
    fn check(&self, from: &From) -> Result<(), Error> {
        let [server] = &*self.fleet.servers() else { return Ok(()) };
        let state = server.state();
        let Some(failure) = state.failure() else { return Ok(()) };
        if !self.remote {
            return Ok(());
        }
        let hint = if from.endpoint.is_some() {
            String::new()
        } else {
            "; start one with `mcp-manager up`, or name a file with --config FILE, or try --demo"
                .to_owned()
        };
        // A manager that refuses is there all the same.
        if let Failure::Protocol { why, .. } = failure {
            return Err(Error::new(Exit::Tool, failure.code(), format!("the manager says: {why}")));
        }
        let message = format!("no manager answers: {failure}{hint}");
        Err(Error::new(Exit::Unreachable, failure.code(), message))
    }

    pub(crate) fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    pub(crate) fn is_remote(&self) -> bool {
        self.remote
    }

    pub(crate) async fn close(self) {
        self.fleet.stop().await;
    }
}

fn running(endpoint: Option<&str>, server: Option<&str>) -> Plan {
    let default = || format!("http://{LISTEN}/mcp");
    let mut url = endpoint.map_or_else(default, str::to_owned);
    if let Some(server) = server {
        url = format!("{}/{}", url.trim_end_matches('/'), escaped(server));
    }
    let kind = ServerKind::Http(Http::new(url.as_str()));
    let mut plan = Plan::default();
    plan.servers = vec![Definition::from(ServerSpec::new(REMOTE, kind))];
    plan
}

/// A server's name as a segment of a path.
pub(crate) fn escaped(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let one =
        |byte: u8| if plain(byte) { (byte as char).to_string() } else { format!("%{byte:02X}") };
    name.bytes().map(one).collect()
}
