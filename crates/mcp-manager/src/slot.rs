//! A place for one upstream: opened when it is first needed, opened again when it has died.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::failure::Failure;
use crate::upstream::{Hello, Upstream};

/// The least time from one start to the next: no retry storm. After a failed start, all who ask
/// meanwhile get its failure; after one whose connection has died already, they wait.
const PAUSE: Duration = Duration::from_secs(1);

/// What lives as long as this did not die of how it was opened.
const LONG: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(crate) struct Slot {
    place: Mutex<Place>,
    /// Held while opening, so that many callers open once; remembers how the last start went.
    opening: tokio::sync::Mutex<Option<(Instant, Result<(), Failure>)>>,
    /// How many upstreams in a row did not live for long.
    brief: AtomicU32,
    /// The replica whose session its client shares, plus one.
    home: AtomicUsize,
}

#[derive(Debug, Default)]
struct Place {
    upstream: Option<Arc<Upstream>>,
    /// How the server introduced itself when it was last here.
    hello: Option<Hello>,
}

impl Slot {
    /// The upstream, if it is open, alive, and of what its server is now.
    pub(crate) fn current(&self) -> Option<Arc<Upstream>> {
        self.lock().upstream.as_ref().filter(|upstream| upstream.is_usable()).map(Arc::clone)
    }

    /// How the server introduced itself when it was last here; `None` if it never was.
    pub(crate) fn hello(&self) -> Option<Hello> {
        self.lock().hello.clone()
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
        match &*last {
            Some((at, Err(failure))) if at.elapsed() < PAUSE => return Err(failure.clone()),
            Some((at, Ok(()))) => sleep_until(*at + PAUSE).await,
            _ => {}
        }
        let opened = open().await;
        *last = Some((Instant::now(), opened.as_ref().map(drop).map_err(Failure::clone)));
        let upstream = opened?;
        let hello = Some(upstream.hello.clone());
        *self.lock() = Place { upstream: Some(Arc::clone(&upstream)), hello };
        Ok(upstream)
    }

    /// The number of the replica whose session its client shares, if it has one.
    pub(crate) fn home(&self) -> Option<usize> {
        self.home.load(Ordering::Relaxed).checked_sub(1)
    }

    /// From now on its client shares the session of the replica of this number.
    pub(crate) fn settle(&self, number: usize) {
        self.home.store(number + 1, Ordering::Relaxed);
    }

    /// Lets go of the upstream if it belongs to what its server is no more; whether it did.
    pub(crate) fn clear_of_retired(&self) -> bool {
        let gone = self.lock().upstream.take_if(|upstream| !upstream.is_usable());
        gone.is_some()
    }

    /// Takes note of how long an upstream lived; how many before it, in a row, did not live for long.
    pub(crate) fn lived(&self, time: Duration) -> u32 {
        if time < LONG {
            return self.brief.fetch_add(1, Ordering::Relaxed);
        }
        self.brief.store(0, Ordering::Relaxed);
        0
    }

    /// Lets go of `upstream`, if it is still the one that is here.
    pub(crate) fn clear_of(&self, upstream: &Arc<Upstream>) {
        let mut place = self.lock();
        if place.upstream.as_ref().is_some_and(|current| Arc::ptr_eq(current, upstream)) {
            place.upstream = None;
        }
    }

    /// Lets go of the upstream.
    pub(crate) fn clear(&self) {
        self.lock().upstream = None;
    }

    fn lock(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
