//! The breakers of others, closed or open.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::task::{Context, Poll};
use std::time::Duration;

use failsafe::{CircuitBreaker as _, backoff, failure_policy};
use recloser::Recloser;
use tower_layer::Layer as _;
use tower_resilience_circuitbreaker::CircuitBreakerLayer;
use tower_service::Service;

/// Longer than the benchmark runs.
pub(crate) const LONG: Duration = Duration::from_secs(3600);

pub(crate) struct Peer {
    pub(crate) name: &'static str,
    calls: Box<dyn Fn(u32) + Sync>,
}

impl Peer {
    pub(crate) fn new(name: &'static str, calls: impl Fn(u32) + Sync + 'static) -> Self {
        Self { name, calls: Box::new(calls) }
    }

    /// Makes so many calls.
    pub(crate) fn run(&self, calls: u32) {
        (self.calls)(calls);
    }
}

pub(crate) fn recloser(open: bool) -> Peer {
    let breaker = Recloser::custom().error_rate(0.5).closed_len(100).open_wait(LONG).build();
    if open {
        while !matches!(breaker.call(|| Err::<i32, _>(())), Err(recloser::Error::Rejected)) {}
    }
    Peer::new("recloser, last 100 calls", move |calls| {
        for _ in crate::times(calls) {
            let done = breaker.call(|| Ok::<_, ()>(black_box(1)));
            assert_eq!(done.is_err(), open);
        }
    })
}

pub(crate) fn failsafe_in_a_row(open: bool) -> Peer {
    let policy = failure_policy::consecutive_failures(5, backoff::constant(LONG));
    failsafe("failsafe, 5 in a row", policy, open)
}

pub(crate) fn failsafe_window() -> Peer {
    let (window, backoff) = (Duration::from_secs(30), backoff::constant(LONG));
    let policy = failure_policy::success_rate_over_time_window(0.5, 10, window, backoff);
    failsafe("failsafe, 30 s", policy, false)
}

fn failsafe<P>(name: &'static str, policy: P, open: bool) -> Peer
where
    P: failsafe::FailurePolicy + Send + Sync + 'static,
{
    let breaker = failsafe::Config::new().failure_policy(policy).build();
    while open && breaker.is_call_permitted() {
        let _failed = breaker.call(|| Err::<i32, _>(()));
    }
    Peer::new(name, move |calls| {
        for _ in 0..calls {
            let done = breaker.call(|| Ok::<_, ()>(black_box(1)));
            assert_eq!(done.is_err(), open);
        }
    })
}

/// A service that does nothing, and is done at once.
#[derive(Clone)]
struct Nothing;

impl Service<()> for Nothing {
    type Response = ();
    type Error = Infallible;
    type Future = Ready<Result<(), Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        ready(Ok(()))
    }
}

pub(crate) fn tower_resilience(open: bool) -> Peer {
    let layer = CircuitBreakerLayer::builder().failure_rate_threshold(0.5).sliding_window_size(100);
    let layer = layer.wait_duration_in_open(LONG).build().expect("a configuration");
    let service = layer.layer(Nothing);
    let runtime =
        || tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    if open {
        runtime().block_on(service.force_open());
    }
    Peer::new("tower-resilience, last 100", move |calls| {
        let mut service = service.clone();
        runtime().block_on(async {
            for _ in 0..calls {
                std::future::poll_fn(|context| service.poll_ready(context)).await.expect("ready");
                assert_eq!(service.call(()).await.is_err(), open);
            }
        });
    })
}
