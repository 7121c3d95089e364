//! What can be supervised: something that is started, is ready, and ends.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How to start one thing, again and again, and how to end it.
///
/// [`supervise`](crate::supervise) calls these in turn, never two at once: `launch`, then `ended`,
/// then `end`. Between two launches there is always an `end` or an `abandon`, so that two
/// incarnations never live at the same time.
pub trait Launch: Send + Sync + 'static {
    /// What is handed out while it is ready, such as a connection.
    type Running: Send + Sync + 'static;

    /// Why it could not be started, or ended otherwise than it should.
    type Error: Clone + fmt::Display + Send + Sync + 'static;

    /// Starts it, and returns when it is ready.
    ///
    /// The returned future is dropped when that takes longer than `start_timeout`, or when it is not
    /// wanted any more. What it has started then, or has started and then failed, must end by itself
    /// or be ended by [`abandon`](Self::abandon).
    fn launch(&self) -> impl Future<Output = Result<Arc<Self::Running>, Self::Error>> + Send;

    /// Ends what a launch has left that failed or was dropped, and returns when nothing is left.
    ///
    /// Called after each of them, and for a stop that came before the launch. Must come to an end.
    /// Default: there is nothing.
    fn abandon(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Waits until it has ended by itself: normally, or why not.
    ///
    /// Observed, never polled: the next incarnation can be there no sooner than this returns.
    fn ended(
        &self,
        running: &Arc<Self::Running>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Ends it, and returns when nothing is left of it.
    ///
    /// Called for each that was ready, also when it has ended by itself. Must come to an end.
    fn end(&self, running: Arc<Self::Running>) -> impl Future<Output = ()> + Send;

    /// What it is called that it was not ready within `limit`.
    fn late(&self, limit: Duration) -> Self::Error;
}
