//! A call whose server died, or forgot the session, under it: it is sent again where nobody can
//! notice more than a delay, and else it fails and says why.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use mcp_wire::{CallError, Kind, Members, Message, Request};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use crate::client::Client;
use crate::connect::Hope;
use crate::dispatch::attempt;
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::handles::Owner;
use crate::keep::Keep;
use crate::route::route;
use crate::scope::Scope;
use crate::server::Server;
use crate::upstream::Upstream;

/// Before a server that could not be reached is tried again.
const PAUSE: Duration = Duration::from_millis(250);
/// How often one call tries to reach its server again. With the pauses this is longer than a
/// server is given to come back, which ends the trying first (`doubt.rs`).
const TRIES_MAX: u32 = 40;
/// How often one call that is safe to repeat is sent again because of what came of it.
const REPEATS_MAX: u32 = 2;
/// Before a call is repeated at a replica that has failed it, the first time; then twice as long.
const REPEAT_PAUSE: Duration = Duration::from_millis(50);

/// A server that wants to be left alone for longer is not waited for: the client is told.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);

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
    /// The last progress that the client was told of.
    progress: Option<Message>,
}

/// What has happened to one call. The core: told what failed, it says what is to be done.
#[derive(Clone, Copy, Debug, Default)]
struct History {
    /// How often it was sent again although it may have been carried out.
    repeats: u32,
    /// It was sent again because its session was not known.
    readmitted: bool,
    /// How often it was tried again because it did not reach its server.
    tries: u32,
    /// Its client has been asked something, and may have answered.
    asked: bool,
}

/// What is to be done about a call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is sent again, after this pause.
    Again(Duration),
    /// It may have been carried out, and this is why it is not repeated.
    Doubtful(&'static str),
    /// It fails as it is.
    Over,
}

impl History {
    /// `safe`: whether carrying the call out twice does no harm, or why it may. `hope`: whether a
    /// server that cannot be reached is given time to come back, or another replica of it answers.
    fn judge(&mut self, error: &CallError, safe: Result<(), &'static str>, hope: Hope) -> Verdict {
        match error {
            // An answer to a question is not given twice, so whatever hangs on it may not be either.
            CallError::Closed { .. } if self.asked => {
                Verdict::Doubtful("its client was asked something for it")
            }
            CallError::Closed { .. } if self.repeats >= self.repeats_max(hope) => {
                Verdict::Doubtful("it was repeated already")
            }
            CallError::Closed { .. } => match safe {
                Ok(()) => {
                    self.repeats += 1;
                    Verdict::Again(Duration::ZERO)
                }
                Err(why) => Verdict::Doubtful(why),
            },
            CallError::Status { status, retry_after, .. }
                if safe.is_ok() && !self.asked && may_pass(*status) =>
            {
                if self.repeats >= REPEATS_MAX {
                    return Verdict::Over;
                }
                let own = REPEAT_PAUSE * 2_u32.pow(self.repeats);
                let pause = match hope {
                    Hope::Elsewhere => Duration::ZERO,
                    _ => retry_after.unwrap_or(own),
                };
                if pause > RETRY_AFTER_MAX {
                    return Verdict::Over;
                }
                self.repeats += 1;
                Verdict::Again(pause)
            }
            CallError::SessionLost if !self.readmitted => {
                self.readmitted = true;
                Verdict::Again(Duration::ZERO)
            }
            CallError::Unsent { .. } | CallError::Connect { .. } if self.tries < TRIES_MAX => {
                self.tries += 1;
                let reached = !matches!(error, CallError::Connect { .. });
                match hope {
                    Hope::Elsewhere => Verdict::Again(Duration::ZERO),
                    _ if reached && self.tries == 1 => Verdict::Again(Duration::ZERO),
                    Hope::Later => Verdict::Again(PAUSE),
                    Hope::None => Verdict::Over,
                }
            }
            _ => Verdict::Over,
        }
    }

    /// A server that is alone is given one more chance, others one each.
    fn repeats_max(self, hope: Hope) -> u32 {
        if hope == Hope::Elsewhere { REPEATS_MAX } else { 1 }
    }
}

/// Whether a status is of the moment, or of one replica.
fn may_pass(status: u16) -> bool {
    matches!(status, 429 | 500 | 502 | 503 | 504)
}

/// Whether another replica might not have failed the call in this way.
fn is_about_one(error: &CallError) -> bool {
    matches!(
        error,
        CallError::Closed { .. }
            | CallError::Connect { .. }
            | CallError::Unsent { .. }
            | CallError::Status { .. }
    )
}

/// Why carrying `request`, named as its server knows it, out twice may do harm.
fn harm(server: &Server, request: &Request) -> Result<(), &'static str> {
    let params = request.params();
    let has = |name| params.as_ref().is_some_and(|params| params.get(name).is_some());
    if has("requestState") || has("inputResponses") {
        return Err("it carries a client's answers");
    }
    if has("task") {
        return Err("it starts a task");
    }
    match request.method() {
        "resources/read"
        | "prompts/get"
        | "completion/complete"
        | "server/discover"
        | "logging/setLevel"
        | "resources/subscribe"
        | "resources/unsubscribe"
        | "tasks/get"
        | "tasks/result"
        | "ping" => Ok(()),
        method if method.ends_with("/list") => Ok(()),
        "tools/call" if request.name().is_some_and(|tool| server.catalog().is_repeatable(tool)) => {
            Ok(())
        }
        "tools/call" => Err("its tool is known as neither readOnlyHint nor idempotentHint"),
        _ => Err("its method may change something"),
    }
}

impl Again {
    pub(crate) fn new(keep: Arc<Keep>, owner: Owner, request: Message, scope: Scope) -> Self {
        let (history, failed) = (History::default(), Vec::new());
        Self { keep, owner, request, scope, history, failed, progress: None }
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
            Ok(now) if Arc::ptr_eq(&now, &server) => harm(&server, &request),
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
        match self.history.judge(&error, safe, hope) {
            Verdict::Again(pause) if begun.elapsed() + pause < server.timing().timeout_max => {
                tracing::info!(server = %server.name(), %error, "a call is sent again");
                // What is left of the dead server is ended before the next one is started.
                drop(upstream);
                sleep(pause).await;
                let exchange = self.reach(&server, client.as_ref(), request).await?;
                Ok((exchange, self))
            }
            Verdict::Doubtful(why) => Err(doubtful(upstream.explain(error).await, why)),
            Verdict::Again(_) | Verdict::Over => {
                let replicas = if is_about_one(&error) { self.failed.len() } else { 1 };
                let failure = upstream.explain(error).await;
                Err(if replicas > 1 { failure.of_several(replicas) } else { failure })
            }
        }
    }

    /// Sends the call, and again while its server may still come back.
    async fn reach(
        &mut self,
        server: &Arc<Server>,
        client: Option<&Arc<Client>>,
        request: Request,
    ) -> Result<Exchange, Failure> {
        loop {
            match attempt(&self.keep, server, client, request.clone(), &self.failed).await {
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

type Attempt = Result<(Exchange, Again), Failure>;

/// A call on its way back to its server.
pub(crate) struct Returning {
    outcome: Pin<Box<dyn Future<Output = Attempt> + Send>>,
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

    const SAFE: Result<(), &str> = Ok(());
    const NOW: Verdict = Verdict::Again(Duration::ZERO);

    fn closed() -> CallError {
        CallError::Closed { why: "gone".to_owned() }
    }

    fn unreached() -> CallError {
        CallError::Connect { why: "refused".to_owned() }
    }

    #[test]
    fn what_was_perhaps_carried_out_is_repeated_if_it_is_safe_and_not_for_ever() {
        let mut history = History::default();
        assert_eq!(history.judge(&closed(), Err("why"), Hope::Later), Verdict::Doubtful("why"));
        assert_eq!(history.judge(&closed(), SAFE, Hope::Later), NOW);
        assert!(matches!(history.judge(&closed(), SAFE, Hope::Later), Verdict::Doubtful(_)));
        assert_eq!(
            history.judge(&closed(), SAFE, Hope::Elsewhere),
            NOW,
            "others have a chance each"
        );
        assert!(matches!(history.judge(&closed(), SAFE, Hope::Elsewhere), Verdict::Doubtful(_)));
        let mut asked = History { asked: true, ..History::default() };
        assert!(matches!(asked.judge(&closed(), SAFE, Hope::Later), Verdict::Doubtful(_)));
    }

    #[test]
    fn a_refusal_of_the_moment_is_no_answer_to_what_is_safe_to_repeat() {
        let refused = |status, seconds: Option<u64>| {
            let retry_after = seconds.map(Duration::from_secs);
            CallError::Status { status, body: String::new(), retry_after }
        };
        let pause = |pause| Verdict::Again(Duration::from_millis(pause));
        let mut history = History::default();
        assert_eq!(history.judge(&refused(503, None), Err("why"), Hope::Later), Verdict::Over);
        assert_eq!(history.judge(&refused(401, None), SAFE, Hope::Elsewhere), Verdict::Over);
        assert_eq!(history.judge(&refused(429, Some(6)), SAFE, Hope::None), Verdict::Over);
        assert_eq!(history.judge(&refused(503, Some(9)), SAFE, Hope::Elsewhere), NOW);
        assert_eq!(history.judge(&refused(429, Some(2)), SAFE, Hope::None), pause(2_000));
        assert_eq!(history.judge(&refused(503, None), SAFE, Hope::Elsewhere), Verdict::Over);
        let mut history = History::default();
        assert_eq!(history.judge(&refused(500, None), SAFE, Hope::None), pause(50));
        assert_eq!(history.judge(&refused(500, None), SAFE, Hope::None), pause(100));
    }

    #[test]
    fn what_was_not_seen_is_sent_again_whatever_it_does() {
        let (harmful, unsent) = (Err("why"), CallError::Unsent { why: "gone".to_owned() });
        let mut history = History::default();
        assert_eq!(history.judge(&CallError::SessionLost, harmful, Hope::None), NOW);
        assert_eq!(history.judge(&CallError::SessionLost, harmful, Hope::None), Verdict::Over);
        assert_eq!(history.judge(&unsent, harmful, Hope::None), NOW);
        assert_eq!(history.judge(&unsent, harmful, Hope::None), Verdict::Over);
        for _ in 2..TRIES_MAX {
            assert_eq!(history.judge(&unreached(), harmful, Hope::Later), Verdict::Again(PAUSE));
        }
        assert_eq!(history.judge(&unreached(), harmful, Hope::Later), Verdict::Over);
        assert_eq!(History::default().judge(&unreached(), harmful, Hope::None), Verdict::Over);
        assert_eq!(History::default().judge(&unreached(), harmful, Hope::Elsewhere), NOW);
    }

    #[test]
    fn an_answer_of_any_kind_and_our_own_limits_are_the_end() {
        let after = Duration::from_secs(60);
        for error in [
            CallError::Status { status: 400, body: String::new(), retry_after: None },
            CallError::Timeout { after },
            CallError::Overloaded,
            CallError::SlowCaller { limit: 1 },
            CallError::Cancelled,
            CallError::Protocol { why: String::new() },
        ] {
            assert_eq!(
                History::default().judge(&error, SAFE, Hope::Later),
                Verdict::Over,
                "{error}"
            );
        }
    }

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
