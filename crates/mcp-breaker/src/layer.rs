//! A service behind a breaker.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::call::now;
use crate::{Breaker, CallError, Outcome, OwnedPermit, Rejected};

/// Puts services behind a breaker; all that one layer makes share it.
///
/// What a result says of the server, the function says. A service is ready when the one behind it is:
/// whether a call is refused is known when it is made, for readiness may be old by then. A future that
/// is dropped counts as [`Outcome::Ignored`].
#[derive(Clone)]
pub struct BreakerLayer<F> {
    breaker: Arc<Breaker>,
    classify: F,
}

/// A service behind a breaker; see [`BreakerLayer`].
#[derive(Clone)]
pub struct BreakerService<S, F> {
    inner: S,
    breaker: Arc<Breaker>,
    classify: F,
}

impl<F> BreakerLayer<F> {
    /// A layer of this breaker.
    pub fn new(breaker: Arc<Breaker>, classify: F) -> Self {
        Self { breaker, classify }
    }
}

impl<S, F: Clone> Layer<S> for BreakerLayer<F> {
    type Service = BreakerService<S, F>;

    fn layer(&self, inner: S) -> Self::Service {
        let (breaker, classify) = (Arc::clone(&self.breaker), self.classify.clone());
        BreakerService { inner, breaker, classify }
    }
}

impl<S, F, R> Service<R> for BreakerService<S, F>
where
    S: Service<R>,
    F: Fn(&Result<S::Response, S::Error>) -> Outcome + Clone,
{
    type Response = S::Response;
    type Error = CallError<S::Error>;
    type Future = BreakerFuture<S::Future, F>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context).map_err(CallError::Failed)
    }

    fn call(&mut self, request: R) -> Self::Future {
        match self.breaker.permit_owned(now()) {
            Ok(permit) => {
                let (call, classify) = (self.inner.call(request), self.classify.clone());
                BreakerFuture { stage: Stage::Admitted { call, permit: Some((permit, classify)) } }
            }
            Err(rejected) => BreakerFuture { stage: Stage::Rejected { rejected } },
        }
    }
}

pin_project! {
    /// What becomes of a call to a [`BreakerService`].
    #[must_use = "futures do nothing unless polled"]
    pub struct BreakerFuture<C, F> {
        #[pin]
        stage: Stage<C, F>,
    }
}

pin_project! {
    #[project = Projected]
    enum Stage<C, F> {
        Admitted { #[pin] call: C, permit: Option<(OwnedPermit, F)> },
        Rejected { rejected: Rejected },
    }
}

impl<C, F, T, E> Future for BreakerFuture<C, F>
where
    C: Future<Output = Result<T, E>>,
    F: Fn(&Result<T, E>) -> Outcome,
{
    type Output = Result<T, CallError<E>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().stage.project() {
            Projected::Rejected { rejected } => Poll::Ready(Err(CallError::Rejected(*rejected))),
            Projected::Admitted { call, permit } => {
                let result = ready!(call.poll(context));
                if let Some((permit, classify)) = permit.take() {
                    permit.record(classify(&result), now());
                }
                Poll::Ready(result.map_err(CallError::Failed))
            }
        }
    }
}

impl<F> fmt::Debug for BreakerLayer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerLayer").field("breaker", &self.breaker).finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, F> fmt::Debug for BreakerService<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("BreakerService");
        f.field("inner", &self.inner).field("breaker", &self.breaker).finish_non_exhaustive()
    }
}

impl<C, F> fmt::Debug for BreakerFuture<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerFuture").finish_non_exhaustive()
    }
}
