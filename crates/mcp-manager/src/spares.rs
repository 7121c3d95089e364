//! Processes that were started before anyone needed them.
//!
//! A spare is a process to which nothing was said yet. A client's session takes one for itself, for
//! good, and greets it with the client's own words; the pool starts the next.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use mcp_pool::{Config, KeyedPool, Manage, Pool, Stats};
use mcp_wire::{CallError, HandshakeError, Inbox};
use tokio::task::AbortHandle;

use crate::config::Sessions;
use crate::failure::Failure;
use crate::opener::{Link, Opener, Wish};
use crate::upstream::Upstream;

/// How long the end of a server waits for its spares, beyond the ladder that each goes down.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// The spares of one definition of a server; none until they are [kept](Opener::keep_spares).
#[derive(Debug, Default)]
pub(crate) struct Spares {
    kept: OnceLock<Option<Kept>>,
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
            if let Some(kept) = opener.upgrade().as_ref().and_then(|opener| opener.spares.kept()) {
                kept.all.check_now();
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
        let wanted = settings.sessions == Sessions::Pooled && self.definition.has_processes();
        if wanted && !self.is_retired() && self.spares.kept.get().is_none() {
            // Whoever comes second finds that the first has done it.
            self.spares.kept.get_or_init(|| self.kept_spares(settings.spares));
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

    fn kept_spares(self: &Arc<Self>, count: usize) -> Option<Kept> {
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
    pub(crate) fn take(&self) -> Option<(Link, Inbox)> {
        let Spare { link, inbox, watch } = self.kept()?.all.try_acquire()?.detach();
        watch.abort();
        Some((link, inbox))
    }

    fn kept(&self) -> Option<&Kept> {
        self.kept.get()?.as_ref()
    }

    /// What the pool has counted.
    pub(crate) fn stats(&self) -> Option<Stats> {
        Some(self.kept()?.pool.stats())
    }

    /// Begins to end them; none is given or started any more.
    pub(crate) fn retire(&self) {
        if let (Some(kept), Ok(runtime)) = (self.kept(), tokio::runtime::Handle::try_current()) {
            let pool = kept.pool.clone();
            runtime.spawn(async move { pool.close(END_TIMEOUT).await });
        }
    }

    /// Waits until none is left.
    pub(crate) async fn end(&self) {
        if let Some(kept) = self.kept()
            && let Err(error) = kept.pool.close(END_TIMEOUT).await
        {
            tracing::error!(%error, "spare processes did not end in time");
        }
    }
}
