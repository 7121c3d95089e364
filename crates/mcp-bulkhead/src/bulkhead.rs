//! A limit that threads share: one word while there is room, a queue behind a lock while there is not.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::config::{Config, ConfigError};
use crate::error::Rejected;
use crate::gradient::Gradient;
use crate::permit::{OwnedPermit, Permit};
#[cfg(feature = "tokio")]
use crate::queue::Queue;
use crate::stats::{Counters, Stats};
#[cfg(feature = "tokio")]
use crate::ticket::Ticket;
use crate::word::{Taken, Word};

/// A limit of calls under way; see the [crate documentation](crate).
#[derive(Debug)]
pub struct Bulkhead {
    pub(crate) word: Word,
    limit: AtomicUsize,
    #[cfg(feature = "tokio")]
    pub(crate) config: Config,
    #[cfg(feature = "tokio")]
    pub(crate) queue: Mutex<Queue<Arc<Ticket>>>,
    gradient: Option<Mutex<Gradient>>,
    pub(crate) counters: Counters,
}

/// What became of a call, for a limit that adapts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a call tells something of three kinds about a limit")]
pub enum Sample {
    /// It was answered: what it took says how busy the server is.
    Answered,
    /// It was refused as one too many, or not answered in time.
    Dropped,
    /// It says nothing.
    Ignored,
}

impl Bulkhead {
    /// One that nobody has asked, or why `config` means nothing.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        let adaptive = config.adaptive.clone();
        let gradient = adaptive.map(|adaptive| Gradient::new(adaptive, config.limit));
        let limit = gradient.as_ref().map_or(config.limit, Gradient::limit);
        Ok(Self {
            word: Word::default(),
            limit: AtomicUsize::new(limit),
            #[cfg(feature = "tokio")]
            queue: Mutex::default(),
            gradient: gradient.map(Mutex::new),
            counters: Counters::default(),
            #[cfg(feature = "tokio")]
            config,
        })
    }

    /// A permit, if there is one and nobody waits for it.
    #[inline]
    pub fn try_permit(&self) -> Result<Permit<'_>, Rejected> {
        self.try_take().map(|()| Permit::new(self))
    }

    /// The same for whoever keeps it longer than it has the bulkhead.
    pub fn try_permit_owned(self: &Arc<Self>) -> Result<OwnedPermit, Rejected> {
        self.try_take().map(|()| OwnedPermit::new(Arc::clone(self)))
    }

    #[inline]
    pub(crate) fn try_take(&self) -> Result<(), Rejected> {
        let limit = self.limit.load(Relaxed);
        match self.word.take(limit) {
            Taken::Yes => Ok(()),
            Taken::No => Err(Rejected::Full { limit }),
        }
    }

    /// Calls that may be under way at a time, from now on. Those that are too many by then finish.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit.max(1), Relaxed);
        self.hand_out();
    }

    /// Calls that may be under way at a time.
    pub fn limit(&self) -> usize {
        self.limit.load(Relaxed)
    }

    /// Calls under way.
    pub fn in_flight(&self) -> usize {
        self.word.in_flight()
    }

    /// What it has counted.
    pub fn stats(&self) -> Stats {
        Stats {
            in_flight: self.in_flight(),
            queued: self.queued(),
            limit: self.limit(),
            ..self.counters.read()
        }
    }

    /// A call is over; what came of it, and how long it took.
    pub(crate) fn ended(&self, sample: Sample, took: Duration) {
        if let Some(gradient) = &self.gradient
            && sample != Sample::Ignored
        {
            // Who finds it taken leaves it to the others: there are enough samples.
            if let Ok(mut gradient) = gradient.try_lock() {
                let limit = match sample {
                    Sample::Answered => gradient.took(took, self.in_flight()),
                    _ => gradient.dropped(),
                };
                self.limit.store(limit, Relaxed);
            }
        }
        self.give_back();
    }

    /// A permit is free again.
    #[inline]
    pub(crate) fn give_back(&self) {
        if self.word.give_back() {
            self.hand_out();
        }
    }

    /// Nobody waits without a runtime.
    #[cfg(not(feature = "tokio"))]
    fn hand_out(&self) {}

    #[cfg(not(feature = "tokio"))]
    fn queued(&self) -> usize {
        0
    }
}
