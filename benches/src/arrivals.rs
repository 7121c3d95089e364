//! Stateless calls that come when they come (open loop), or each when the last is answered (closed).
//!
//! In the open loop a call's time runs from the moment at which it was to be sent. A load program that
//! waits for a slow server would send less just when it is slow, and its figures would not show it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep_until;

use crate::answer::Outcome;
use crate::clock::now;
use crate::histogram::Histogram;
use crate::random::Random;
use crate::session::{Plan, Session};

/// Calls under way at once. What would be more is counted as failed.
const CALLS_MAX: usize = 4096;

/// What came of the calls.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// Of all calls: a failed one took as long as its client waited for the failure.
    pub(crate) times: Histogram,
    pub(crate) right: u64,
    /// How many failed for what reason.
    pub(crate) failed: BTreeMap<String, u64>,
    /// The first answer that was not what was asked for, and how many such there were.
    pub(crate) wrong: Option<(String, u64)>,
}

impl Default for Tally {
    fn default() -> Self {
        let failed = BTreeMap::new();
        Self { times: Histogram::new(), right: 0, failed, wrong: None }
    }
}

impl Tally {
    pub(crate) fn calls(&self) -> u64 {
        self.times.count()
    }

    /// The share of the calls that were answered rightly; one of no calls.
    pub(crate) fn availability(&self) -> f64 {
        if self.calls() == 0 { 1.0 } else { self.right as f64 / self.calls() as f64 }
    }

    /// The latency that a `share` of the calls did not exceed, in milliseconds.
    pub(crate) fn millis(&self, share: f64) -> f64 {
        self.times.quantile(share).as_secs_f64() * 1e3
    }

    /// The failures, the commonest first.
    pub(crate) fn reasons(&self) -> String {
        let mut reasons: Vec<_> = self.failed.iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let shown = reasons.iter().map(|(reason, count)| format!("{count} {reason:.60}"));
        shown.collect::<Vec<_>>().join(", ")
    }

    fn count(&mut self, outcome: Outcome, time: Duration) {
        self.times.record(time);
        match outcome {
            Outcome::Right => self.right += 1,
            Outcome::Failed(code) => *self.failed.entry(code).or_default() += 1,
            Outcome::Lost(_) => *self.failed.entry("no answer".to_owned()).or_default() += 1,
            Outcome::Wrong(why) => self.wrong.get_or_insert((why, 0)).1 += 1,
        }
    }
}

/// Who calls: connections that are kept, each for one call at a time. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    plan: Plan,
    tool: &'static str,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Session>,
    opened: usize,
    tally: Tally,
}

impl Clients {
    pub(crate) fn new(plan: Plan, tool: &'static str) -> Self {
        Self { shared: Arc::new(Shared { plan, tool, state: Mutex::default() }) }
    }

    /// Calls for `time`, `per_second` on average at moments of their own, and waits for the last
    /// answer. The same seed, the same moments.
    pub(crate) async fn open_loop(&self, per_second: f64, time: Duration, seed: u64) -> Tally {
        let mut random = Random::seeded(seed);
        let mut calls = JoinSet::new();
        let (mut due, until) = (now(), now() + time);
        loop {
            due += random.gap(per_second);
            if due >= until {
                break;
            }
            sleep_until(due.into()).await;
            while calls.try_join_next().is_some() {}
            if calls.len() < CALLS_MAX {
                let clients = self.clone();
                calls.spawn(async move { clients.call_since(due).await });
            } else {
                let too_many = Outcome::Failed("not sent: too many under way".to_owned());
                self.shared.lock().tally.count(too_many, Duration::ZERO);
            }
        }
        calls.join_all().await;
        self.take()
    }

    /// `clients` that call for `time`, each its next when its last is answered.
    pub(crate) async fn closed_loop(&self, clients: usize, time: Duration) -> Tally {
        let until = now() + time;
        let mut calling = JoinSet::new();
        for _ in 0..clients {
            let clients = self.clone();
            calling.spawn(async move {
                while now() < until {
                    clients.call_since(now()).await;
                }
            });
        }
        calling.join_all().await;
        self.take()
    }

    /// Calls once; the outcome is counted as well as told.
    pub(crate) async fn call_since(&self, start: Instant) -> Outcome {
        let outcome = self.call().await;
        self.shared.lock().tally.count(outcome.clone(), now() - start);
        outcome
    }

    /// What was counted since this was asked last.
    pub(crate) fn take(&self) -> Tally {
        std::mem::take(&mut self.shared.lock().tally)
    }

    async fn call(&self) -> Outcome {
        let (session, number) = {
            let mut state = self.shared.lock();
            let session = state.idle.pop();
            state.opened += usize::from(session.is_none());
            (session, state.opened)
        };
        let opened = match session {
            Some(session) => Ok(session),
            None => Session::unopened(&self.shared.plan, number, self.shared.tool).await,
        };
        let mut session = match opened {
            Ok(session) => session,
            Err(why) => return Outcome::Lost(why),
        };
        let outcome = session.call().await;
        // With an error the server may have closed the connection, which is no failure of the next call.
        if outcome == Outcome::Right {
            self.shared.lock().idle.push(session);
        }
        outcome
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_by_their_reason_and_take_their_time() {
        let mut tally = Tally::default();
        assert!((tally.availability() - 1.0).abs() < 1e-9, "of no calls");
        for outcome in [
            Outcome::Right,
            Outcome::Lost("reset".to_owned()),
            Outcome::Failed("TIMEOUT".to_owned()),
            Outcome::Failed("TIMEOUT".to_owned()),
        ] {
            tally.count(outcome, Duration::from_secs(1));
        }
        assert_eq!((tally.calls(), tally.right), (4, 1));
        assert!((tally.availability() - 0.25).abs() < 1e-9);
        assert!((tally.millis(0.99) - 1000.0).abs() < 10.0);
        assert_eq!(tally.reasons(), "2 TIMEOUT, 1 no answer");
        assert_eq!(tally.wrong, None);
    }

    #[test]
    fn the_first_wrong_answer_is_kept_and_is_not_available() {
        let mut tally = Tally::default();
        for why in ["first", "second"] {
            tally.count(Outcome::Wrong(why.to_owned()), Duration::ZERO);
        }
        assert_eq!(tally.wrong, Some(("first".to_owned(), 2)));
        assert!(tally.availability().abs() < 1e-9);
    }
}
