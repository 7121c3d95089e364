//! What a layer owes to those above and below it.
#![cfg(feature = "tower")]

mod common;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};

use common::{config, ms};
use mcp_breaker::{Breaker, BreakerLayer, CallError, Outcome, State};
use tower_layer::Layer;
use tower_service::Service;

/// Ready when it was polled twice; counts, and refuses to be called when it is not.
#[derive(Clone, Default)]
struct Inner {
    polls: u32,
    calls: Arc<AtomicU32>,
}

type Answer = Result<&'static str, &'static str>;

impl Service<Answer> for Inner {
    type Response = &'static str;
    type Error = &'static str;
    type Future = std::pin::Pin<Box<dyn Future<Output = Answer>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        self.polls += 1;
        if self.polls.is_multiple_of(2) { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn call(&mut self, answer: Answer) -> Self::Future {
        assert!(self.polls > 0 && self.polls.is_multiple_of(2), "called before it was ready");
        self.calls.fetch_add(1, SeqCst);
        Box::pin(async move {
            tokio::time::sleep(ms(10)).await;
            answer
        })
    }
}

fn classify(result: &Answer) -> Outcome {
    match result {
        Ok(_) => Outcome::Success,
        Err(error) if *error == "not yours" => Outcome::Ignored,
        Err(_) => Outcome::Failure,
    }
}

fn stand() -> (
    Arc<Breaker>,
    Arc<AtomicU32>,
    impl Service<Answer, Response = &'static str, Error = CallError<&'static str>>,
) {
    let now = tokio::time::Instant::now().into_std();
    let breaker = Arc::new(Breaker::new(config(|_| {}), now).expect("a configuration"));
    let inner = Inner::default();
    let calls = Arc::clone(&inner.calls);
    (Arc::clone(&breaker), calls, BreakerLayer::new(breaker, classify).layer(inner))
}

async fn call<S: Service<Answer>>(
    service: &mut S,
    answer: Answer,
) -> Result<S::Response, S::Error> {
    let mut context = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut context).is_pending(), "it is as ready as the one behind it");
    assert!(service.poll_ready(&mut context).is_ready());
    service.call(answer).await
}

#[tokio::test(start_paused = true)]
async fn what_an_error_says_its_user_says() {
    let (breaker, calls, mut service) = stand();
    assert_eq!(call(&mut service, Ok("fine")).await, Ok("fine"));
    for _ in 0..20 {
        let error = call(&mut service, Err("not yours")).await;
        assert_eq!(error, Err(CallError::Failed("not yours")));
    }
    for _ in 0..5 {
        assert!(matches!(call(&mut service, Err("down")).await, Err(CallError::Failed("down"))));
    }
    assert!(matches!(call(&mut service, Ok("fine")).await, Err(CallError::Rejected(_))));
    assert_eq!(calls.load(SeqCst), 26, "what is refused is never begun");
    tokio::time::advance(ms(5_000)).await;
    for _ in 0..2 {
        assert_eq!(call(&mut service, Ok("fine")).await, Ok("fine"));
    }
    assert_eq!(breaker.stats(tokio::time::Instant::now().into_std()).ignored, 20);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_cancelled_gives_its_place_back() {
    let (breaker, _, mut service) = stand();
    for _ in 0..5 {
        let _failed = call(&mut service, Err("down")).await;
    }
    tokio::time::advance(ms(5_000)).await;
    for _ in 0..10 {
        let short = tokio::time::timeout(ms(1), call(&mut service, Ok("fine"))).await;
        assert!(short.is_err(), "it was let through, and took too long for its caller");
    }
    let now = tokio::time::Instant::now().into_std();
    assert_eq!(breaker.state(now).state, State::HalfOpen);
    assert_eq!(breaker.stats(now).ignored, 10);
}

#[tokio::test(start_paused = true)]
async fn a_future_behind_a_breaker() {
    let (breaker, ..) = stand();
    let slow = async {
        tokio::time::sleep(ms(20)).await;
        Err::<(), _>("down")
    };
    assert_eq!(breaker.call(slow, |_| Outcome::Failure).await, Err(CallError::Failed("down")));
    for _ in 0..4 {
        let _failed = breaker.call(async { Err::<(), _>("down") }, |_| Outcome::Failure).await;
    }
    let never =
        pin!(breaker.call(async { panic!("polled") }, |_: &Result<(), ()>| Outcome::Ignored));
    let Err(CallError::Rejected(refused)) = never.await else { panic!("it is open") };
    assert_eq!(refused.cause.to_string(), "5 calls failed in a row");
}
