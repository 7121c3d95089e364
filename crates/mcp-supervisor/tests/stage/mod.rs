//! Something to supervise that does what a test tells it, and notes what is done to it.

#![allow(dead_code, reason = "each test file uses its own part of this one")]

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use mcp_supervisor::Launch;
use tokio::sync::watch;
use tokio::time;

/// How one incarnation behaves.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    /// How long until it is ready, or says that it never will be.
    pub(crate) starts_in: Duration,
    pub(crate) starts: Result<(), &'static str>,
    /// When it ends by itself, and how.
    pub(crate) ends: Option<(Duration, Result<(), &'static str>)>,
    /// How long it takes to be ended.
    pub(crate) ends_in: Duration,
}

impl Act {
    /// Ready at once, runs until it is ended, at once.
    pub(crate) fn well() -> Self {
        let now = Duration::ZERO;
        Self { starts_in: now, starts: Ok(()), ends: None, ends_in: now }
    }

    /// Does not start.
    pub(crate) fn refuses(why: &'static str) -> Self {
        Self { starts: Err(why), ..Self::well() }
    }

    /// Ends badly after that long.
    pub(crate) fn dies(after: Duration) -> Self {
        Self { ends: Some((after, Err("died"))), ..Self::well() }
    }

    /// Ends as it should after that long.
    pub(crate) fn ends(after: Duration) -> Self {
        Self { ends: Some((after, Ok(()))), ..Self::well() }
    }

    pub(crate) fn starting_in(self, starts_in: Duration) -> Self {
        Self { starts_in, ..self }
    }

    pub(crate) fn ending_in(self, ends_in: Duration) -> Self {
        Self { ends_in, ..self }
    }
}

/// What is launched. It knows its number, so that a test can tell two apart.
#[derive(Debug)]
pub(crate) struct Player {
    pub(crate) number: usize,
    act: Act,
    /// Set by a test that ends it.
    pub(crate) killed: watch::Sender<bool>,
}

/// The acts of the incarnations in turn; the last one repeats. A clone sees the same.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    acts: VecDeque<Act>,
    start: time::Instant,
    launched: usize,
    alive: usize,
    log: String,
    /// How long the last one that was launched takes to be abandoned.
    abandoned_in: Duration,
}

impl Stage {
    pub(crate) fn new(acts: impl IntoIterator<Item = Act>) -> Self {
        let inner = Inner {
            acts: acts.into_iter().collect(),
            start: time::Instant::now(),
            launched: 0,
            alive: 0,
            log: String::new(),
            abandoned_in: Duration::ZERO,
        };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// What happened so far, with the time in seconds.
    pub(crate) fn log(&self) -> String {
        self.lock().log.trim_end().to_owned()
    }

    pub(crate) fn alive(&self) -> usize {
        self.lock().alive
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no test has panicked here")
    }

    fn note(&self, what: &str) {
        let mut inner = self.lock();
        let at = inner.start.elapsed().as_secs_f64();
        let _ = write!(inner.log, "{at}:{what} ");
    }
}

impl Launch for Stage {
    type Running = Player;
    type Error = String;

    async fn launch(&self) -> Result<Arc<Player>, String> {
        let (act, number) = {
            let mut inner = self.lock();
            inner.launched += 1;
            inner.alive += 1;
            assert_eq!(inner.alive, 1, "two at a time: {}", inner.log);
            let act = match inner.acts.len() {
                1 => inner.acts.front().cloned(),
                _ => inner.acts.pop_front(),
            };
            let act = act.expect("an act");
            inner.abandoned_in = act.ends_in;
            (act, inner.launched)
        };
        self.note(&format!("launch{number}"));
        time::sleep(act.starts_in).await;
        act.starts?;
        self.note("ready");
        Ok(Arc::new(Player { number, act, killed: watch::Sender::new(false) }))
    }

    async fn abandon(&self) {
        let abandoned_in = self.lock().abandoned_in;
        time::sleep(abandoned_in).await;
        self.lock().alive = 0;
        self.note("abandoned");
    }

    async fn ended(&self, player: &Arc<Player>) -> Result<(), String> {
        let mut killed = player.killed.subscribe();
        let by_itself = async {
            match player.act.ends {
                Some((after, how)) => {
                    time::sleep(after).await;
                    how.map_err(str::to_owned)
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            how = by_itself => how,
            _ = killed.wait_for(|killed| *killed) => Err("killed".to_owned()),
        }
    }

    async fn end(&self, player: Arc<Player>) {
        time::sleep(player.act.ends_in).await;
        self.lock().alive -= 1;
        self.note(&format!("gone{}", player.number));
    }

    fn late(&self, limit: Duration) -> String {
        format!("not ready within {limit:?}")
    }
}
