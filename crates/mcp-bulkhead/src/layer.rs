//! A service behind a bulkhead.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

use crate::bulkhead::{Bulkhead, Sample};
use crate::error::Rejected;
use crate::queue::Ask;

/// Puts services behind a bulkhead; all that one layer makes share it.
///
/// Whose call it is, and how urgent, the function says. A service is ready when the one behind it is:
/// whether there is room is known when a call is made, and it waits then. A future that is dropped gives
/// back its place.
#[derive(Clone)]
pub struct BulkheadLayer<F> {
    bulkhead: Arc<Bulkhead>,
    ask: F,
}

/// A service behind a bulkhead; see [`BulkheadLayer`].
#[derive(Clone)]
pub struct BulkheadService<S, F> {
    inner: S,
    bulkhead: Arc<Bulkhead>,
    ask: F,
}

/// What becomes of a call to a [`BulkheadService`].
#[must_use = "futures do nothing unless polled"]
pub struct BulkheadFuture<T, E>(Pin<Box<dyn Future<Output = Result<T, CallError<E>>> + Send>>);

/// Why a call to a [`BulkheadService`] has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "it was made, or not")]
pub enum CallError<E> {
    /// It was not made.
    #[error(transparent)]
    Rejected(Rejected),
    /// It was made, and failed.
    #[error("{0}")]
    Failed(E),
}

impl<F> BulkheadLayer<F> {
    /// A layer of this bulkhead.
    pub fn new(bulkhead: Arc<Bulkhead>, ask: F) -> Self {
        Self { bulkhead, ask }
    }
}

impl<S, F: Clone> Layer<S> for BulkheadLayer<F> {
    type Service = BulkheadService<S, F>;

    fn layer(&self, inner: S) -> Self::Service {
        let (bulkhead, ask) = (Arc::clone(&self.bulkhead), self.ask.clone());
        BulkheadService { inner, bulkhead, ask }
    }
}

impl<S, F, R> Service<R> for BulkheadService<S, F>
where
    S: Service<R> + Clone + Send + 'static,
    S::Future: Send,
    R: Send + 'static,
    F: Fn(&R) -> Ask,
{
    type Response = S::Response;
    type Error = CallError<S::Error>;
    type Future = BulkheadFuture<S::Response, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context).map_err(CallError::Failed)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let ask = (self.ask)(&request);
        let next = self.inner.clone();
        // The one that was ready is the one that is called.
        let mut inner = std::mem::replace(&mut self.inner, next);
        let bulkhead = Arc::clone(&self.bulkhead);
        BulkheadFuture(Box::pin(async move {
            let permit = bulkhead.permit(ask).await.map_err(CallError::Rejected)?;
            let begun = tokio::time::Instant::now();
            let result = inner.call(request).await;
            let sample = if result.is_ok() { Sample::Answered } else { Sample::Ignored };
            permit.finish(sample, begun.elapsed());
            result.map_err(CallError::Failed)
        }))
    }
}

impl<T, E> Future for BulkheadFuture<T, E> {
    type Output = Result<T, CallError<E>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl<F> fmt::Debug for BulkheadLayer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadLayer").field("bulkhead", &self.bulkhead).finish_non_exhaustive()
    }
}

impl<S: fmt::Debug, F> fmt::Debug for BulkheadService<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("BulkheadService");
        f.field("inner", &self.inner).field("bulkhead", &self.bulkhead).finish_non_exhaustive()
    }
}

impl<T, E> fmt::Debug for BulkheadFuture<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadFuture").finish_non_exhaustive()
    }
}
