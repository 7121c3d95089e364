//! The contract of the `tower` layer.

#![cfg(feature = "tower")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use mcp_bulkhead::{Ask, Bulkhead, BulkheadLayer, CallError, Config, Rejected};
use tower_layer::Layer as _;
use tower_service::Service;

/// Ready once for each call, and not before.
#[derive(Clone, Default)]
struct Strict {
    ready: bool,
}

impl Service<u32> for Strict {
    type Response = u32;
    type Error = &'static str;
    type Future = Ready<Result<u32, &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u32) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "it was called before it was ready");
        ready(if request == 0 { Err("zero") } else { Ok(request) })
    }
}

fn bulkhead() -> Arc<Bulkhead> {
    let mut config = Config::default();
    (config.limit, config.queued_max) = (1, 0);
    Arc::new(Bulkhead::new(config).unwrap())
}

#[tokio::test(start_paused = true)]
async fn readiness_is_respected_errors_pass_and_a_dropped_call_gives_back_its_place() {
    let bulkhead = bulkhead();
    let mut service = BulkheadLayer::new(Arc::clone(&bulkhead), |_: &u32| Ask::default())
        .layer(Strict::default());
    let mut context = Context::from_waker(Waker::noop());
    for (request, expected) in [(7, Ok(7)), (0, Err(CallError::Failed("zero")))] {
        assert!(service.poll_ready(&mut context).is_ready());
        assert_eq!(service.call(request).await, expected);
    }
    let held = bulkhead.try_permit_owned().unwrap();
    assert!(service.poll_ready(&mut context).is_ready());
    let refused = service.call(1).await;
    let full = Rejected::QueueFull { limit: 1, queued: 0 };
    assert_eq!(refused, Err(CallError::Rejected(full)));
    drop(held);
    assert!(service.poll_ready(&mut context).is_ready());
    let dropped = service.call(1);
    drop(dropped);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(bulkhead.in_flight(), 0);
}
