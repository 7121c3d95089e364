//! A call whose server died, or forgot the session, under it: it is sent again where nobody can
//! notice more than a delay, and else it fails and says why.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use mcp_wire::{CallError, Kind, Members, Message, Request};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use crate::care::{Care, harm, only_reads};
use crate::client::Client;
use crate::connect::Hope;
use crate::dispatch::{Attempt, attempt};
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::fallback;
use crate::handles::Owner;
use crate::keep::Keep;
use crate::route::route;
use crate::scope::Scope;
use crate::server::Server;
use crate::upstream::Upstream;
use crate::verdict::{History, PAUSE, TRIES_MAX, Verdict, is_about_one};

/// What it takes to send a call again.
#[derive(Debug)]
pub(crate) struct Again {
    keep: Arc<Keep>,
    owner: Owner,
    /// The request as its client sent it. Shares the request's bytes.
    request: Message,
    scope: Scope,
    history: History,
    /// The replicas that have failed it, by number.
    failed: Vec<usize>,
    care: Care,
    /// The last progress that the client was told of.
    progress: Option<Message>,
}

impl Again {
    pub(crate) fn new(
        keep: Arc<Keep>,
        owner: Owner,
        request: Message,
        scope: Scope,
        care: Care,
        hasty: bool,
    ) -> Self {
        let (history, failed) = (History { hasty, ..History::default() }, Vec::new());
        Self { keep, owner, request, scope, history, failed, care, progress: None }
    }

    /// The call had its answer after this time.
    pub(crate) fn took(&self, latency: Duration) {
        self.care.treated.took(latency);
    }

    /// A second attempt at the call at another replica than that of `upstream`. `None`: there is no
    /// other one, it may change something, or there were too many of these.
    pub(crate) fn second(
        &self,
        client: Option<Arc<Client>>,
        server: Arc<Server>,
        upstream: &Upstream,
    ) -> impl Future<Output = Option<Exchange>> + Send + use<> {
        let (keep, owner, scope) = (Arc::clone(&self.keep), self.owner, self.scope.clone());
        let (message, care) = (self.request.clone(), self.care.clone());
        let first = upstream.replica();
        async move {
            let failed = [first?];
            let mut request = Request::read(message).ok()?;
            let routed = route(&keep.handles, owner, &scope, &mut request).await.ok()?;
            let may = is_still(&keep, &care, &routed, &server)
                && only_reads(&server, &request, &care.treated)
                && server.is_open_beside(&failed)
                && care.treatment.affords_repeat();
            if !may {
                return None;
            }
            let again = Attempt { failed: &failed, timeout: None, care: &care };
            let client = client.as_ref();
            attempt(&keep, &server, client, request, &again).await.ok()
        }
    }

    /// Takes note of what the client is told of the call; whether it may be told at all.
    pub(crate) fn notes(&mut self, message: &Message) -> bool {
        if message.kind() == Kind::Request {
            self.history.asked = true;
        } else if message.method() == "notifications/progress" {
            // Progress must increase: what was reported once is not reported again.
            if self.history.repeats > 0 && !increases(self.progress.as_ref(), message) {
                return false;
            }
            self.progress = Some(message.clone());
        }
        true
    }

    /// Remembers where the handles in an answer were made: tasks where there are several servers,
    /// and whatever else is to be brought back where there are several replicas.
    pub(crate) fn learn(&self, server: &Server, upstream: &Arc<Upstream>, answer: &Message) {
        let (handles, replicated) = (&self.keep.handles, server.replicas() > 1);
        let makes_tasks = self.request.method() == "tools/call" && self.scope.only().is_none();
        if !makes_tasks && !replicated {
            return;
        }
        let replica = server.replica_of(upstream).unwrap_or(0);
        handles.learn_task(self.owner, server.id(), replica, answer);
        if replicated {
            handles.learn_rest(server.id(), replica, answer);
        }
    }

    /// What becomes of the call, after `error` on its connection `upstream`.
    async fn take_up(mut self, error: CallError, lost: Lost) -> Result<(Exchange, Self), Failure> {
        let Lost { begun, client, server, upstream } = lost;
        let mut request = Request::read(self.request.clone())?;
        let routed = route(&self.keep.handles, self.owner, &self.scope, &mut request).await;
        let safe = match routed {
            Ok(now) if is_still(&self.keep, &self.care, &now, &server) => {
                harm(&server, &request, &self.care.treated)
            }
            _ => return Err(upstream.explain(error).await),
        };
        if let Some(number) = upstream.replica()
            && !self.failed.contains(&number)
        {
            self.failed.push(number);
        }
        let hope = match error {
            CallError::Connect { .. } => server.unreached(&upstream, &error),
            _ if upstream.replica().is_some() && server.is_open_beside(&self.failed) => {
                Hope::Elsewhere
            }
            _ => server.hope(),
        };
        if let (Hope::Elsewhere, CallError::Connect { .. }, Some(client)) = (hope, &error, &client)
        {
            // Its session was at the replica that is gone, and is opened at another one.
            client.lost(&client.slot(&server), &upstream);
        }
        let (before, retries) = (self.history.repeats, self.care.treated.policy.repeats.retries);
        let mut verdict = self.history.judge(&error, safe, hope, retries);
        let repeats = matches!(verdict, Verdict::Again(_)) && self.history.repeats > before;
        if repeats && !self.care.treatment.affords_repeat() {
            verdict = Verdict::Doubtful("its server has had too many repeats already");
        }
        match verdict {
            Verdict::Again(pause) if begun.elapsed() + pause < server.timing().timeout_max => {
                tracing::info!(server = %server.name(), %error, "a call is sent again");
                // What is left of the dead server is ended before the next one is started.
                drop(upstream);
                sleep(pause).await;
                match self.reach(&server, client.as_ref(), request.clone()).await {
                    Ok(exchange) => Ok((exchange, self)),
                    Err(failure) => {
                        let safe = safe.is_ok();
                        self.fall_back(&server, client.as_ref(), request, safe, failure).await
                    }
                }
            }
            Verdict::Doubtful(why) => {
                let failure = doubtful(upstream.explain(error).await, why);
                self.fall_back(&server, client.as_ref(), request, safe.is_ok(), failure).await
            }
            Verdict::Again(_) | Verdict::Over => {
                let replicas = if is_about_one(&error) { self.failed.len() } else { 1 };
                let failure = upstream.explain(error).await;
                let failure = if replicas > 1 { failure.of_several(replicas) } else { failure };
                self.fall_back(&server, client.as_ref(), request, safe.is_ok(), failure).await
            }
        }
    }

    /// Asks another server for what its own has failed, if there is one for that and the call may be
    /// carried out twice; there it is sent once.
    async fn fall_back(
        mut self,
        server: &Arc<Server>,
        client: Option<&Arc<Client>>,
        request: Request,
        safe: bool,
        failure: Failure,
    ) -> Result<(Exchange, Self), Failure> {
        let may = safe && !self.history.asked && fallback::is_for_another(&failure);
        let other = fallback::of(&self.keep, server, &self.care, &request).filter(|_| may);
        let Some(other) = other else { return Err(failure) };
        tracing::info!(server = %server.name(), by = %other.name(), %failure, "a call falls back");
        self.history.hasty = false;
        let care = Care::of(&other, &request);
        let only = Attempt { failed: &[], timeout: None, care: &care };
        let exchange = attempt(&self.keep, &other, client, request, &only).await?;
        Ok((exchange, self))
    }

    /// Sends the call, and again while its server may still come back.
    async fn reach(
        &mut self,
        server: &Arc<Server>,
        client: Option<&Arc<Client>>,
        request: Request,
    ) -> Result<Exchange, Failure> {
        let timeout = self.care.haste(server, &request, self.history.repeats);
        self.history.hasty = timeout.is_some();
        loop {
            let again = Attempt { failed: &self.failed, timeout, care: &self.care };
            match attempt(&self.keep, server, client, request.clone(), &again).await {
                Err(Failure::Connection { .. })
                    if server.hope() == Hope::Later && self.history.tries < TRIES_MAX =>
                {
                    self.history.tries += 1;
                    sleep(PAUSE).await;
                }
                outcome => return outcome,
            }
        }
    }
}

/// Whether the call still goes to `server`, if its name says `named`: servers are removed and replaced.
fn is_still(keep: &Keep, care: &Care, named: &Arc<Server>, server: &Arc<Server>) -> bool {
    if !care.steered {
        return Arc::ptr_eq(named, server);
    }
    keep.roster.server(server.name()).is_some_and(|now| Arc::ptr_eq(&now, server))
}

/// Whether `next` reports more than `last`. Numbers are compared as everybody reads them.
fn increases(last: Option<&Message>, next: &Message) -> bool {
    let progress = |message: &Message| {
        let params = Members::of(message.params()?).ok()?;
        params.get("progress")?.parse::<f64>().ok()
    };
    match (last.and_then(progress), progress(next)) {
        (Some(last), Some(next)) => next > last,
        _ => true,
    }
}

fn doubtful(failure: Failure, reason: &str) -> Failure {
    match failure {
        Failure::Unavailable { server, why, stderr } => {
            let why = format!(
                "{why}; the call may have been carried out, and is not repeated because {reason}"
            );
            Failure::Unavailable { server, why, stderr }
        }
        other => other,
    }
}

/// A call under way again.
#[derive(Debug)]
pub(crate) struct Returned {
    pub(crate) exchange: Exchange,
    pub(crate) again: Again,
    /// When it began, in its first attempt.
    pub(crate) begun: Instant,
}

/// The attempt that has failed.
pub(crate) struct Lost {
    /// When the call began, in its first attempt.
    pub(crate) begun: Instant,
    pub(crate) client: Option<Arc<Client>>,
    pub(crate) server: Arc<Server>,
    pub(crate) upstream: Arc<Upstream>,
}

type Outcome = Result<(Exchange, Again), Failure>;

/// A call on its way back to its server.
pub(crate) struct Returning {
    outcome: Pin<Box<dyn Future<Output = Outcome> + Send>>,
    begun: Instant,
    /// Tells whoever waits that nothing has happened for long.
    quiet: Option<Pin<Box<Sleep>>>,
}

impl std::fmt::Debug for Returning {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Returning").field("begun", &self.begun).finish_non_exhaustive()
    }
}

impl Returning {
    /// Takes up a call that has failed with `error`.
    pub(crate) fn new(again: Again, error: CallError, lost: Lost) -> Self {
        let begun = lost.begun;
        let outcome = Box::pin(again.take_up(error, lost));
        Self { outcome, begun, quiet: None }
    }

    /// The call under way again; or `None`, once, if it is older than `patience`.
    pub(crate) fn poll(
        &mut self,
        patience: Duration,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Returned, Failure>>> {
        if let Poll::Ready(outcome) = self.outcome.as_mut().poll(context) {
            let begun = self.begun;
            let returned = |(exchange, again)| Returned { exchange, again, begun };
            return Poll::Ready(Some(outcome.map(returned)));
        }
        // Somebody who waits for ever needs no timer.
        let Some(wake) = self.begun.checked_add(patience) else { return Poll::Pending };
        let first = self.quiet.is_none();
        let quiet = self.quiet.get_or_insert_with(|| Box::pin(sleep_until(wake)));
        if !first && quiet.is_elapsed() {
            return Poll::Pending;
        }
        quiet.as_mut().poll(context).map(|()| None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_only_increases() {
        let at = |progress: &str| {
            let params = format!(r#"{{"progressToken":1,"progress":{progress}}}"#);
            Message::notification("notifications/progress", &params)
        };
        assert!(increases(None, &at("0")));
        assert!(increases(Some(&at("9.5")), &at("10")));
        assert!(!increases(Some(&at("1e1")), &at("10.0")));
        assert!(!increases(Some(&at("3")), &at("-4")));
        assert!(increases(Some(&at("3")), &at("\"what is no number\"")));
    }
}
