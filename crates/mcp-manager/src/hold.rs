//! What operators do to single replicas and to circuits.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::server::Server;

/// Why a replica gets no calls although it may be well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hold {
    /// Somebody has drained it: until it is restored.
    Drained,
    /// Somebody has ejected it, until then.
    Ejected {
        /// When it gets calls again.
        until: std::time::Instant,
    },
}

/// What is done to a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Circuit {
    /// Calls are refused, until somebody says otherwise.
    Open,
    /// Calls go through whatever becomes of them, until somebody says otherwise.
    Close,
    /// It is closed, and decides by itself again.
    Reset,
}

impl Fleet {
    /// How often each rule of the configuration has held; `None` where there is none.
    pub fn rule_stats(&self) -> Option<mcp_router::Stats> {
        self.keep.rules.stats()
    }

    /// Sends no further calls to a replica; its sessions go on at others, and calls in flight finish.
    /// Returns when they have, or the drain timeout has passed: how many are left.
    ///
    /// A server keeps at least one replica that gets calls.
    pub async fn drain_replica(&self, name: &str, replica: usize) -> Result<usize, Failure> {
        let server = self.named(name)?;
        server.hold(replica, Some(Hold::Drained))?;
        let line_up = server.line_up();
        let Some(replica) = line_up.replica(replica) else { return Ok(0) };
        let limit = self.yard.settings.drain_timeout;
        let _ = timeout(limit, replica.opener.load().idle()).await;
        Ok(replica.opener.load().in_flight())
    }

    /// The same for a time, and without waiting.
    pub fn eject_replica(&self, name: &str, replica: usize, time: Duration) -> Result<(), Failure> {
        let server = self.named(name)?;
        let until = (Instant::now() + time).into_std();
        server.hold(replica, Some(Hold::Ejected { until }))?;
        let server = Arc::downgrade(&server);
        tokio::spawn(async move {
            sleep(time).await;
            if let Some(server) = server.upgrade() {
                server.assess();
            }
        });
        Ok(())
    }

    /// Sends calls to a replica again that was drained or ejected.
    pub fn restore_replica(&self, name: &str, replica: usize) -> Result<(), Failure> {
        self.named(name)?.hold(replica, None)
    }

    /// Has a replica serve that stands by: that of this number, or the first that can. Which serve now.
    pub fn fail_over(&self, name: &str, to: Option<usize>) -> Result<Vec<usize>, Failure> {
        let server = self.named(name)?;
        let line_up = server.line_up();
        let none = || {
            let why = format!("all replicas of server {name:?} serve (`failover` says so)");
            Failure::Params { why }
        };
        let duty = line_up.duty().ok_or_else(none)?;
        let change = duty.force(to, Instant::now().into_std()).map_err(|error| {
            let why = format!("server {name:?}: {error}");
            Failure::Params { why }
        })?;
        server.forced(change);
        Ok(duty.active())
    }

    /// Has the preferred replicas serve again. Which serve now.
    pub fn fail_back(&self, name: &str) -> Result<Vec<usize>, Failure> {
        let server = self.named(name)?;
        let line_up = server.line_up();
        let Some(duty) = line_up.duty() else { return Ok(Vec::new()) };
        let change = duty.fail_back(Instant::now().into_std());
        server.forced(change);
        Ok(duty.active())
    }

    /// Opens or closes the circuit of one of a server's tools, or those of all of its replicas.
    pub fn force_circuit(
        &self,
        name: &str,
        tool: Option<&str>,
        circuit: Circuit,
    ) -> Result<(), Failure> {
        let server = self.named(name)?;
        let line_up = server.line_up();
        let now = Instant::now().into_std();
        let forced = match tool {
            Some(tool) => line_up.treatment.tool_gate(tool).is_some_and(|gate| {
                gate.force(circuit, now);
                gate.breaker().is_some()
            }),
            None => {
                line_up.gates().iter().for_each(|gate| gate.force(circuit, now));
                line_up.gates().iter().any(|gate| gate.breaker().is_some())
            }
        };
        server.assess();
        let of = tool.map_or_else(String::new, |tool| format!(", tool {tool:?}"));
        let why = format!("server {name:?}{of} has no breaker (`breaker`) that could be forced");
        if forced { Ok(()) } else { Err(Failure::Params { why }) }
    }
}

impl Server {
    fn hold(&self, number: usize, hold: Option<Hold>) -> Result<(), Failure> {
        let line_up = self.line_up();
        let now = Instant::now().into_std();
        let others = line_up.replicas.iter().filter(|one| one.number() != number);
        let spare = others.filter(|one| one.held(now).is_none()).count();
        let Some(replica) = line_up.replica(number) else {
            let count = line_up.replicas.len();
            let why = format!("server {:?} has no replica {number}, but {count}", self.name());
            return Err(Failure::Params { why });
        };
        if hold.is_some() && spare == 0 {
            let why = format!(
                "replica {number} is the last one of server {:?} that gets calls: add one \
                 (`scale`), restore one, or stop the server",
                self.name()
            );
            return Err(Failure::Params { why });
        }
        replica.hold(hold);
        self.assess();
        Ok(())
    }
}
