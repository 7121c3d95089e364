//! Keeps one connection of ours to a replica open: what is done to open it, and to end it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use mcp_supervisor::{Launch, Policy, Restart};
use tokio::time::timeout;

use crate::config::RestartPolicy;
use crate::definition::Definition;
use crate::failure::Failure;
use crate::hear::attend;
use crate::live::Live;
use crate::opener::{Opener, Wish};
use crate::server::Server;
use crate::upstream::Upstream;

/// After the end of a connection its process is given this long to end, too.
const EXIT_TIMEOUT: Duration = Duration::from_millis(80);
/// The opener keeps the start timeout; the supervisor stands by with a later one.
const LATER: Duration = Duration::from_secs(5);

/// Opens and ends the connection of ours to one replica.
#[derive(Debug)]
pub(crate) struct Keeper {
    server: Weak<Server>,
    opener: Arc<Opener>,
}

impl Keeper {
    pub(crate) fn new(server: Weak<Server>, opener: Arc<Opener>) -> Self {
        Self { server, opener }
    }

    /// The processes that an attempt to start has left.
    fn live(&self) -> &Live {
        &self.opener.live
    }
}

/// What is done about a replica that ends or does not start.
///
/// A process is dear, and one that dies again and again stays dead until somebody looks. What is
/// not started here costs nothing to knock at: that goes on for ever.
pub(crate) fn policy(definition: &Definition) -> Policy {
    let settings = &definition.settings;
    let mut policy = Policy::default();
    policy.start_timeout = settings.start_timeout.saturating_add(LATER);
    if definition.has_processes() {
        policy.restart = match settings.restarts.policy {
            RestartPolicy::Permanent => Restart::Permanent,
            RestartPolicy::Transient => Restart::Transient,
            RestartPolicy::Temporary => Restart::Temporary,
        };
        policy.restarts_max = Some(u32::try_from(settings.restarts.max).unwrap_or(u32::MAX));
        policy.restart_period = settings.restarts.period;
        policy.backoff.max = settings.restarts.pause_max;
        policy.backoff.first = policy.backoff.first.min(policy.backoff.max);
    } else {
        policy.restarts_max = None;
        policy.nudge = true;
    }
    policy
}

impl Launch for Keeper {
    type Running = Upstream;
    type Error = Failure;

    async fn launch(&self) -> Result<Arc<Upstream>, Failure> {
        let opened = self.opener.open(Wish::Ours).await;
        let (upstream, inbox) = opened.inspect_err(|failure| {
            let (server, replica) = (&self.opener.name, self.opener.number);
            let code = failure.code();
            tracing::warn!(%server, replica, code, %failure, "server failed to start");
        })?;
        tokio::spawn(attend(Weak::clone(&self.server), Arc::downgrade(&upstream), inbox));
        Ok(upstream)
    }

    async fn abandon(&self) {
        self.live().none_left().await;
    }

    async fn ended(&self, upstream: &Arc<Upstream>) -> Result<(), Failure> {
        let error = upstream.connection.ended().await;
        if let (Some(process), RestartPolicy::Transient | RestartPolicy::Temporary) =
            (upstream.process(), self.opener.definition.settings.restarts.policy)
            && let Ok(exit) = timeout(EXIT_TIMEOUT, process.wait()).await
            && exit.success()
        {
            return Ok(());
        }
        let failure = upstream.explain(error).await;
        tracing::warn!(server = %self.opener.name, replica = self.opener.number, %failure, "server ended");
        Err(failure)
    }

    async fn end(&self, upstream: Arc<Upstream>) {
        upstream.end().await;
    }

    fn late(&self, _: Duration) -> Failure {
        self.opener.late()
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Http, ServerKind, ServerSpec, Stdio};

    use super::*;

    #[test]
    fn a_process_is_given_up_as_its_entry_says_and_an_endpoint_never() {
        let of = |kind: ServerKind| {
            let mut spec = ServerSpec::new("a", kind);
            let restarts = &mut spec.settings.restarts;
            (restarts.policy, restarts.max) = (RestartPolicy::Transient, 3);
            restarts.period = Duration::from_secs(7);
            restarts.pause_max = Duration::from_millis(500);
            policy(&Definition::from(spec))
        };
        let process = of(ServerKind::Stdio(Stdio::new("sh")));
        assert_eq!((process.restart, process.restarts_max), (Restart::Transient, Some(3)));
        assert_eq!(process.restart_period, Duration::from_secs(7));
        let pause = Duration::from_millis(500);
        assert_eq!((process.backoff.first, process.backoff.max), (pause, pause));
        assert!(!process.nudge);
        let endpoint = of(ServerKind::Http(Http::new("http://h/")));
        assert_eq!((endpoint.restart, endpoint.restarts_max), (Restart::Permanent, None));
        assert!(endpoint.nudge);
    }
}
