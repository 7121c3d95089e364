//! A manager in front of several replicas of one server, all of them ours.

use std::time::Duration;

use serde_json::{Value, json};

use super::Bench;
use super::features::Block;
use crate::answer::Outcome;
use crate::arrivals::{Clients, Tally};
use crate::clock::{now, wait};
use crate::fault_proxy::FaultProxy;
use crate::process::{Started, gateway};
use crate::session::{Era, Plan};

/// The tool that says of itself that it only reads.
pub(super) const SAFE: &str = "echo";
/// The one that says nothing.
pub(super) const UNSAFE: &str = "write";

const READY_WITHIN: Duration = Duration::from_secs(20);

/// What one replica can do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Service {
    pub(super) work_ms: u64,
    pub(super) at_a_time: usize,
}

impl Service {
    fn arguments(self, role: &str) -> [String; 5] {
        let (work, places) = (self.work_ms.to_string(), self.at_a_time.to_string());
        [role.to_owned(), "--work-ms".to_owned(), work, "--at-a-time".to_owned(), places]
    }

    /// Starts a replica that is reached over HTTP.
    pub(super) fn start(self) -> Result<Started, String> {
        let arguments = self.arguments("upstream-http");
        Started::role(&arguments.each_ref().map(String::as_str))
    }
}

/// Dropped, all of it ends.
#[derive(Debug)]
pub(super) struct Stand {
    // In this order: the manager does not see its servers go.
    pub(super) manager: Started,
    pub(super) proxies: Vec<FaultProxy>,
    pub(super) upstreams: Vec<Started>,
}

impl Stand {
    /// Replicas with a fault proxy before each, in fine weather.
    pub(super) fn of_urls(
        bench: &mut Bench,
        replicas: usize,
        service: Service,
        block: &Block,
    ) -> Result<Self, String> {
        let (mut upstreams, mut proxies) = (Vec::new(), Vec::new());
        for _ in 0..replicas {
            let upstream = service.start()?;
            let proxy = FaultProxy::start(bench.runtime.handle(), upstream.address);
            proxies.push(proxy.map_err(|error| error.to_string())?);
            upstreams.push(upstream);
        }
        let urls = proxies.iter().map(|proxy| format!("http://{}/mcp", proxy.address()));
        let server = json!({ "urls": urls.collect::<Vec<_>>(), "manager": block });
        let manager = manager(bench, &server)?;
        Self { manager, proxies, upstreams }.ready(bench)
    }

    /// Replicas that the manager starts itself.
    pub(super) fn of_children(
        bench: &mut Bench,
        replicas: usize,
        service: Service,
        block: &Block,
    ) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut block = block.clone();
        block.insert("replicas".to_owned(), replicas.into());
        let arguments = service.arguments("upstream-stdio");
        let server = json!({ "command": program, "args": arguments, "manager": block });
        let manager = manager(bench, &server)?;
        Self { manager, proxies: Vec::new(), upstreams: Vec::new() }.ready(bench)
    }

    /// Clients of one of the tools.
    pub(super) fn clients(&self, tool: &'static str) -> Clients {
        let plan = Plan {
            address: self.manager.address,
            path: format!("{}/echo", self.manager.path),
            era: Era::Modern,
            payload: 16,
        };
        Clients::new(plan, tool)
    }

    /// Waits for a right answer.
    fn ready(self, bench: &Bench) -> Result<Self, String> {
        let clients = self.clients(SAFE);
        let start = now();
        loop {
            match bench.runtime.block_on(clients.call_since(now())) {
                Outcome::Right => return Ok(self),
                other if now() - start > READY_WITHIN => {
                    return Err(format!("the fleet does not get ready: {other:?}"));
                }
                _ => wait(Duration::from_millis(20)),
            }
        }
    }
}

fn manager(bench: &mut Bench, server: &Value) -> Result<Started, String> {
    bench.started += 1;
    let config = json!({ "mcpServers": { "echo": server } });
    gateway(bench.dir.path(), &format!("fleet-{}", bench.started), &config.to_string())
}

/// Runs the loads at the same time.
pub(super) fn together<F>(
    bench: &mut Bench,
    loads: impl IntoIterator<Item = F>,
) -> Result<Vec<Tally>, String>
where
    F: Future<Output = Tally> + Send + 'static,
{
    let running: Vec<_> = loads.into_iter().map(|load| bench.runtime.spawn(load)).collect();
    let mut tallies = Vec::new();
    for load in running {
        let tally = bench.runtime.block_on(load).map_err(|error| error.to_string())?;
        bench.note(&tally);
        tallies.push(tally);
    }
    Ok(tallies)
}
