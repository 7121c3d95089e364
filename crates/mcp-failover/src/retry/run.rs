//! Attempts as futures, on tokio's clock.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::retry::flights::{Flight, Flights};
use crate::retry::stats::Counters;
use crate::{
    Attempt, Attempts, Budget, Call, ConfigError, Expected, GaveUp, Latencies, Policy, Reason,
    RetryStats, Step, Verdict,
};

/// Half of the calls are answered sooner, where nothing is hedged and no percentile is asked for.
const MEDIAN: f64 = 0.5;

/// Attempts calls as a [`Policy`] says, within a [`Budget`] that it may share with others.
#[derive(Debug)]
pub struct Retry {
    policy: Policy,
    budget: Arc<Budget>,
    latencies: Latencies,
    counters: Counters,
}

impl Retry {
    /// One for calls that take about as long as each other, or the reason `policy` means nothing.
    pub fn new(policy: Policy, budget: Arc<Budget>) -> Result<Self, ConfigError> {
        policy.check()?;
        let percentile = policy.hedge.as_ref().map_or(MEDIAN, |hedge| hedge.percentile);
        let latencies = Latencies::new(percentile);
        Ok(Self { policy, budget, latencies, counters: Counters::default() })
    }

    /// Makes attempts until one is an answer or none may follow.
    ///
    /// `attempt` makes one, with somebody of its choice; `judge` says what it came to. All of them end
    /// when one is the answer, at the deadline, or when this future is dropped: by being dropped.
    ///
    /// # Panics
    /// Where it has to wait outside a tokio runtime, or on one without time.
    pub async fn run<T, F: Future<Output = T>>(
        &self,
        call: Call,
        mut attempt: impl FnMut(Attempt) -> F,
        judge: impl Fn(&T) -> Verdict,
    ) -> Result<T, GaveUp<T>> {
        let mut attempts = Attempts::new(&self.policy, call, self.expected());
        let mut slot = pin!(None);
        let mut flights = Flights::new(slot.as_mut());
        let mut alarm = pin!(None);
        let mut last = None;
        let mut now = Instant::now();
        loop {
            match attempts.step(now.into_std(), &self.budget) {
                Step::Send(made) => {
                    self.counters.sent(made.kind);
                    flights.start(Flight { attempt: made, since: now }, attempt(made));
                }
                Step::Wait(until) => {
                    let ended = wait(&mut flights, alarm.as_mut(), until.map(Into::into)).await;
                    now = Instant::now();
                    let Some((flight, output)) = ended else { continue };
                    let (verdict, number) = (judge(&output), flight.attempt.number);
                    let random = random_if(verdict);
                    if attempts.ended(number, verdict, now.into_std(), random, &self.budget) {
                        self.answered(&flight, &flights, now);
                        return Ok(output);
                    }
                    last = Some(output);
                }
                Step::GiveUp(reason) => return Err(self.gave_up(reason, last, &attempts)),
            }
        }
    }

    /// The budget, which others may share.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// As it was given.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// How long attempts take.
    pub fn latencies(&self) -> &Latencies {
        &self.latencies
    }

    /// What was done so far.
    pub fn stats(&self) -> RetryStats {
        self.counters.snapshot()
    }

    fn expected(&self) -> Expected {
        let hedge = self.policy.hedge.as_ref();
        Expected {
            attempt: self.latencies.median(),
            late: hedge.and_then(|hedge| self.latencies.tail(hedge.samples_min)),
        }
    }

    fn answered<F: Future>(&self, flight: &Flight, lost: &Flights<'_, F>, now: Instant) {
        self.counters.answered(flight.attempt.kind);
        self.latencies.record(now - flight.since);
        // Those that lost took at least so long. Without them the tail would be what hedging leaves
        // of it, and hedges would be sent sooner and sooner.
        for flight in lost.iter() {
            self.latencies.record(now - flight.since);
        }
    }

    fn gave_up<T>(&self, reason: Reason, last: Option<T>, attempts: &Attempts<'_>) -> GaveUp<T> {
        self.counters.gave_up(reason);
        let (made, may_have_acted) = (attempts.sent(), attempts.may_have_acted());
        GaveUp { reason, last, attempts: made, may_have_acted }
    }
}

/// The next attempt to end, or none at `until`. The timer is made when there is something to wait for,
/// and is not needed by a call that is answered at once.
async fn wait<F: Future>(
    flights: &mut Flights<'_, F>,
    mut alarm: Pin<&mut Option<Sleep>>,
    until: Option<Instant>,
) -> Option<(Flight, F::Output)> {
    std::future::poll_fn(|context: &mut Context<'_>| {
        if let Poll::Ready(ended) = flights.poll(context) {
            return Poll::Ready(Some(ended));
        }
        let Some(until) = until else { return Poll::Pending };
        match alarm.as_mut().as_pin_mut() {
            None => alarm.set(Some(sleep_until(until))),
            Some(set) if set.deadline() != until => set.reset(until),
            Some(_) => {}
        }
        let rings = alarm.as_mut().as_pin_mut().is_some_and(|alarm| alarm.poll(context).is_ready());
        if rings { Poll::Ready(None) } else { Poll::Pending }
    })
    .await
}

/// Chance enough for a pause: each `RandomState` has keys of its own. An answer needs none.
fn random_if(verdict: Verdict) -> u64 {
    match verdict {
        Verdict::Answer => 0,
        Verdict::Failure(_) => RandomState::new().build_hasher().finish(),
    }
}
