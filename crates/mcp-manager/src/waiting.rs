//! What a call does while no replica is ready.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::{Instant, timeout_at};

use crate::doubt::WAIT;
use crate::failure::Failure;
use crate::line_up::{LineUp, Standing};
use crate::replica::Prospect;
use crate::server::Server;
use crate::upstream::Upstream;

/// One call among those that wait for a replica.
struct Waiter<'a>(&'a AtomicUsize);

impl<'a> Waiter<'a> {
    fn enter(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a call does that has no connection yet.
enum Step {
    Go(Arc<Upstream>),
    /// Looks again when something has happened, or at this time; then it fails, with this.
    Wait(Option<(Instant, Failure)>),
    Fail(Failure),
}

impl Server {
    /// Our own connection to the replica of this number, or else to any.
    ///
    /// Waits for one that is starting. One that died is given [`WAIT`] to come back. Where the last
    /// start failed, or there is to be none, the reason is given at once.
    pub(crate) async fn wait_for(&self, number: Option<usize>) -> Result<Arc<Upstream>, Failure> {
        let _waiter = Waiter::enter(&self.waiting);
        let mut moves = self.moves.subscribe();
        let begun = Instant::now();
        let limit = self.timing().timeout;
        let late = || Failure::Timeout { server: self.name().to_owned(), after: limit };
        let end = begun.checked_add(limit);
        let mut nudged = false;
        loop {
            // First, so that no change is missed between the two.
            moves.mark_unchanged();
            let line_up = self.line_up();
            self.standing(&line_up)?;
            if !std::mem::replace(&mut nudged, true) {
                line_up.replicas.iter().for_each(|replica| replica.nudge(&self.itself));
            }
            let patience = match self.step(&line_up, number, begun) {
                Step::Go(upstream) => return Ok(upstream),
                Step::Fail(failure) => return Err(failure),
                Step::Wait(patience) => patience,
            };
            drop(line_up);
            let (until, failure) = match (patience, end) {
                (Some((until, failure)), Some(end)) if until < end => (until, failure),
                (Some((until, failure)), None) => (until, failure),
                (_, Some(end)) => (end, late()),
                (None, None) => {
                    let _ = moves.changed().await;
                    continue;
                }
            };
            // It cannot fail: the sender is the server's own.
            if timeout_at(until, moves.changed()).await.is_err() {
                return Err(failure);
            }
        }
    }

    fn step(&self, line_up: &LineUp, number: Option<usize>, begun: Instant) -> Step {
        let wanted = number.and_then(|number| line_up.replica(number));
        if let Some(upstream) = wanted.and_then(|replica| replica.ours()) {
            return Step::Go(upstream);
        }
        match wanted.map(|replica| replica.prospect()) {
            // What names one replica means nothing to another: its restart is worth a wait.
            Some(Prospect::Soon) => return Step::Wait(None),
            _ => {
                if let Some(upstream) = line_up.next().and_then(|replica| replica.ours()) {
                    return Step::Go(upstream);
                }
            }
        }
        let patience = begun + WAIT;
        match line_up.prospect() {
            None => Step::Fail(Failure::Stopping),
            Some(Prospect::Soon) => Step::Wait(None),
            Some(Prospect::Later(next, failure)) => {
                let failure = failure.unwrap_or_else(|| line_up.replicas[0].last(None));
                let failure = tried_again(failure, Some(next));
                match Instant::from_std(next) < patience {
                    true => Step::Wait(Some((patience, failure))),
                    false => Step::Fail(failure),
                }
            }
            // It was started for this call, and has ended already.
            Some(Prospect::Idle(failure)) => Step::Fail(failure),
            Some(Prospect::None(failure, next)) => {
                let failure = tried_again(failure, next);
                match self.doubt.until() {
                    Some(until) if next.is_some() => Step::Wait(Some((until, failure))),
                    _ => Step::Fail(failure),
                }
            }
        }
    }

    /// Whether it is to run; or why not.
    pub(crate) fn standing(&self, line_up: &LineUp) -> Result<(), Failure> {
        let server = self.name().to_owned();
        match line_up.standing {
            _ if line_up.opener.live.is_stopping() => Err(Failure::Stopping),
            Standing::Wanted => Ok(()),
            Standing::Stopped => Err(Failure::Stopped { server }),
            Standing::Removed => Err(Failure::ServerNotFound { name: server }),
            Standing::Disabled => {
                let why = format!("server {server:?} is disabled in the configuration");
                Err(Failure::Config { server, why })
            }
        }
    }
}

/// Says when the server is tried again.
fn tried_again(failure: Failure, next: Option<std::time::Instant>) -> Failure {
    let Some(next) = next else {
        return failure.and("it is not started again until somebody restarts it");
    };
    let pause = Instant::from_std(next).saturating_duration_since(Instant::now());
    let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
    failure.and(&format!("it is tried again in {seconds} s"))
}
