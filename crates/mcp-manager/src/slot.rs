//! A place for one upstream: opened when it is first needed, opened again when it has died.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::failure::Failure;
use crate::upstream::Upstream;

/// After a failed start nobody tries again for this long: no retry storm.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct Slot {
    current: Mutex<Option<Arc<Upstream>>>,
    /// Held while opening, so that many callers open once; remembers the last failure.
    opening: tokio::sync::Mutex<Option<(Instant, Failure)>>,
}

impl Slot {
    /// The upstream, if it is open and alive.
    pub(crate) fn current(&self) -> Option<Arc<Upstream>> {
        self.lock().as_ref().filter(|upstream| upstream.is_alive()).map(Arc::clone)
    }

    /// The upstream, opened by `open` if need be.
    ///
    /// Opening goes on when the caller stops waiting: what is nearly open is worth more to the next
    /// caller than to begin again.
    pub(crate) async fn get_or_open<F, T>(
        self: &Arc<Self>,
        open: F,
    ) -> Result<Arc<Upstream>, Failure>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Future<Output = Result<Arc<Upstream>, Failure>> + Send + 'static,
    {
        if let Some(upstream) = self.current() {
            return Ok(upstream);
        }
        let slot = Arc::clone(self);
        // A task that is gone without a result means that the runtime is shutting down.
        tokio::spawn(async move { slot.open_once(open).await })
            .await
            .unwrap_or(Err(Failure::Stopping))
    }

    async fn open_once<F, T>(&self, open: F) -> Result<Arc<Upstream>, Failure>
    where
        F: FnOnce() -> T,
        T: Future<Output = Result<Arc<Upstream>, Failure>>,
    {
        let mut last = self.opening.lock().await;
        if let Some(upstream) = self.current() {
            return Ok(upstream);
        }
        if let Some((at, failure)) = &*last
            && at.elapsed() < PAUSE
        {
            return Err(failure.clone());
        }
        match open().await {
            Ok(upstream) => {
                *last = None;
                *self.lock() = Some(Arc::clone(&upstream));
                Ok(upstream)
            }
            Err(failure) => {
                *last = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }

    /// Lets go of `upstream`, if it is still the one that is here.
    pub(crate) fn clear_of(&self, upstream: &Arc<Upstream>) {
        let mut current = self.lock();
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, upstream)) {
            *current = None;
        }
    }

    /// Lets go of the upstream.
    pub(crate) fn clear(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Upstream>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
