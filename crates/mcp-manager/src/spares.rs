//! Processes that were started before anyone needed them.
//!
//! A spare is a process to which nothing was said yet. A client's session takes one for itself, for
//! good, and greets it with the client's own words; the pool starts the next.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use mcp_pool::{Config, KeyedPool, Manage, Pool, Stats};
use mcp_wire::{CallError, HandshakeError, Inbox};
use tokio::task::AbortHandle;

use crate::config::Sessions;
use crate::failure::Failure;
use crate::link::Link;
use crate::opener::{Opener, Wish};
use crate::server::lock;
use crate::upstream::Upstream;

/// How long the end of a server waits for its spares, beyond the ladder that each goes down.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// The spares of one definition of a server; none until they are [kept](Opener::keep_spares).
#[derive(Debug, Default)]
pub(crate) struct Spares {
    phase: Mutex<Phase>,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    NotYet,
    Kept(Arc<Kept>),
    /// None is given or started any more.
    Over(Option<Arc<Kept>>),
}

#[derive(Debug)]
struct Kept {
    pool: Pool<Starter>,
    /// The pool's only key. As long as it is held, spares are kept.
    all: KeyedPool<Starter>,
}

/// Starts spares.
struct Starter {
    opener: Weak<Opener>,
}

struct Spare {
    link: Link,
    inbox: Inbox,
    /// Tells the pool when it has died.
    watch: AbortHandle,
}

impl Manage for Starter {
    type Key = ();
    type Connection = Spare;
    type Error = Failure;

    async fn connect(&self, (): &()) -> Result<Spare, Failure> {
        let opener = self.opener.upgrade().filter(|opener| !opener.is_retired());
        let opener = opener.ok_or(Failure::Stopping)?;
        let connected = tokio::select! {
            biased;
            () = opener.live.stopping() => Err(Failure::Stopping),
            connected = opener.connect(true) => connected,
        };
        let (link, inbox) = connected.inspect_err(|failure| {
            tracing::warn!(server = %opener.name, %failure, "a spare process could not be started");
        })?;
        let (ended, opener) = (link.connection.ended(), Weak::clone(&self.opener));
        let watch = tokio::spawn(async move {
            let _ = ended.await;
            if let Some(opener) = opener.upgrade() {
                opener.spares.check();
            }
        });
        Ok(Spare { link, inbox, watch: watch.abort_handle() })
    }

    fn is_broken(&self, spare: &Spare) -> bool {
        spare.link.connection.is_ended()
    }

    async fn close(&self, (): &(), spare: Spare) {
        spare.watch.abort();
        spare.link.end().await;
    }
}

impl Opener {
    /// Keeps spares from now on, where sessions are to have them.
    pub(crate) fn keep_spares(self: &Arc<Self>) {
        let settings = &self.definition.settings;
        if settings.sessions != Sessions::Pooled || !self.definition.has_processes() {
            return;
        }
        let mut phase = lock(&self.spares.phase);
        if matches!(*phase, Phase::NotYet)
            && let Some(kept) = self.spare_pool(settings.spares)
        {
            *phase = Phase::Kept(Arc::new(kept));
        }
    }

    /// Opens a session on a spare, if there is one: `None` also if it died of being spoken to, which
    /// says more of how long it waited than of the server.
    pub(crate) async fn open_spare(
        self: &Arc<Self>,
        params: &str,
    ) -> Option<Result<(Arc<Upstream>, Inbox), Failure>> {
        let (link, inbox) = self.spares.take()?;
        match link.initialize(params).await {
            Ok(hello) => Some(Ok((self.opened(link, hello, Wish::Session { params }), inbox))),
            Err(HandshakeError::Call(CallError::Closed { .. } | CallError::Unsent { .. })) => None,
            Err(error) => Some(Err(link.explain(error).await)),
        }
    }

    fn spare_pool(self: &Arc<Self>, count: usize) -> Option<Kept> {
        let starter = Starter { opener: Arc::downgrade(self) };
        let mut config = Config::default();
        (config.pool_size, config.max_open, config.min_idle) = (count, count, count);
        config.connect_timeout = self.definition.settings.start_timeout;
        config.close_timeout = END_TIMEOUT;
        // A process that nobody has spoken to does not wear out, and its end is noticed.
        (config.max_lifetime, config.max_idle_time) = (None, None);
        config.health_check_period = None;
        let pool = Pool::new(starter, config).ok()?;
        let all = pool.key(&()).ok()?;
        Some(Kept { pool, all })
    }
}

impl Link {
    /// Ends it, and returns when nothing is left of its process.
    async fn end(mut self) {
        self.connection.close("it is not needed any more");
        if let Some((process, guard)) = self.process.take() {
            process.stop().await;
            drop(guard);
        }
    }
}

impl Spares {
    /// One of them, for good. It was alive just now.
    fn take(&self) -> Option<(Link, Inbox)> {
        let Phase::Kept(kept) = &*lock(&self.phase) else { return None };
        let Spare { link, inbox, watch } = kept.all.try_acquire()?.detach();
        watch.abort();
        Some((link, inbox))
    }

    /// Someone has died: it may have been one of them.
    fn check(&self) {
        if let Phase::Kept(kept) = &*lock(&self.phase) {
            kept.all.check_now();
        }
    }

    /// What the pool has counted.
    pub(crate) fn stats(&self) -> Option<Stats> {
        match &*lock(&self.phase) {
            Phase::Kept(kept) | Phase::Over(Some(kept)) => Some(kept.pool.stats()),
            Phase::NotYet | Phase::Over(None) => None,
        }
    }

    /// Begins to end them; none is given or started any more. The future waits for the last one.
    pub(crate) fn retire(&self) -> impl Future<Output = ()> + use<> {
        let mut phase = lock(&self.phase);
        let kept = match std::mem::replace(&mut *phase, Phase::Over(None)) {
            Phase::Kept(kept) | Phase::Over(Some(kept)) => Some(kept),
            Phase::NotYet | Phase::Over(None) => None,
        };
        *phase = Phase::Over(kept.clone());
        drop(phase);
        let ending =
            kept.map(|kept| tokio::spawn(async move { kept.pool.close(END_TIMEOUT).await }));
        async move {
            if let Some(ending) = ending
                && let Ok(Err(error)) = ending.await
            {
                tracing::error!(%error, "spare processes did not end in time");
            }
        }
    }
}
