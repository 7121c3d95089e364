//! What changes at a server, told to everyone who wants to hear it.
//!
//! ```text
//!   clients with a session ──┐ listeners                      ┌ list_changed, updated
//!   subscriptions/listen  ───┤──▶ Board ──wanted──▶ driver ───┤ resources/subscribe (sessions)
//!                            └◀─ pending ◀─changes──┘         └ subscriptions/listen (stateless)
//! ```
//!
//! The server hears of us once, whoever listens: its driver asks for all that somebody wants, and
//! no more, over a connection of ours. What a listener has yet to hear is a set, so a storm of
//! changes becomes one message, and a slow listener costs no more than a quick one.

mod board;
mod changes;
mod driver;
mod streams;

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use mcp_wire::serve::Level;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

pub(crate) use self::board::DEFAULT as DEFAULT_LEVEL;
use self::board::{Answer, Board, BoardError};
pub(crate) use self::changes::{Change, Lists};
use crate::failure::Failure;
use crate::server::Server;

/// The changes of one server.
#[derive(Debug)]
pub(crate) struct Feed {
    state: Mutex<State>,
    /// Somebody wants something else than before.
    wanted: Notify,
    /// The server has done what was wanted, as far as it does.
    settled: watch::Sender<()>,
    closed: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    board: Board,
    /// Whether there is a task that asks the server for what is wanted.
    driven: bool,
}

impl Default for Feed {
    fn default() -> Self {
        let (settled, closed) = (watch::Sender::new(()), watch::Sender::new(false));
        Self { state: Mutex::default(), wanted: Notify::new(), settled, closed }
    }
}

impl Feed {
    /// The server says that lists have changed.
    pub(crate) fn lists_changed(&self, lists: Lists) {
        let woken = self.lock().board.lists_changed(lists);
        wake(woken);
    }

    /// The server says that a resource has changed.
    pub(crate) fn resource_changed(&self, uri: &str) {
        let woken = self.lock().board.resource_changed(uri);
        wake(woken);
    }

    /// The resources that somebody wants to hear of, and that the server tells of.
    pub(crate) fn resources(&self) -> BTreeSet<Arc<str>> {
        self.lock().board.taken()
    }

    /// Something may have changed that nobody heard of.
    pub(crate) fn missed(&self) {
        let woken = self.lock().board.missed();
        wake(woken);
    }

    /// Ends it: every listener hears what waits for it, and then that this was all.
    pub(crate) fn close(&self) {
        let woken = self.lock().board.close();
        wake(woken);
        self.closed.send_replace(true);
    }

    /// Adds a listener that hears of `lists`, and of resources as it subscribes to them.
    pub(crate) fn join(
        self: &Arc<Self>,
        server: &Arc<Server>,
        lists: Lists,
    ) -> Result<Listener, Failure> {
        let mut state = self.lock();
        let joined = state.board.join(lists).map_err(|error| overloaded(server, error))?;
        let begin = !std::mem::replace(&mut state.driven, true);
        drop(state);
        if begin {
            driver::begin(server, self);
        }
        self.wanted.notify_one();
        Ok(Listener { feed: Arc::clone(self), id: joined })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No foreign code runs under the lock, so a poisoned board is still a consistent one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among those who hear of a server's changes, until this is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    feed: Arc<Feed>,
    id: u64,
}

impl Listener {
    /// The next change; `None` when there will be none any more. Cancel safe.
    pub(crate) async fn next(&self) -> Option<Change> {
        poll_fn(|context| self.poll_next(context)).await
    }

    pub(crate) fn poll_next(&self, context: &Context<'_>) -> Poll<Option<Change>> {
        self.feed.lock().board.poll(self.id, context)
    }

    /// Hears of the resources `uris` as well, from when this returns.
    ///
    /// What the server does not take, or not within its call timeout, is left out again and handed
    /// back, with the reason.
    pub(crate) async fn subscribe(
        &self,
        server: &Arc<Server>,
        uris: &[String],
    ) -> Vec<(String, Failure)> {
        let mut refused = Vec::new();
        let mut waiting = Vec::new();
        for uri in uris {
            match self.feed.lock().board.subscribe(self.id, uri) {
                Ok(()) => waiting.push(uri),
                Err(error) => refused.push((uri.clone(), overloaded(server, error))),
            }
        }
        let answered = |uri: &String| self.feed.lock().board.answer(uri) != Answer::None;
        self.settle(server, || waiting.iter().all(|uri| answered(uri))).await;
        for uri in waiting {
            let failure = match self.feed.lock().board.answer(uri) {
                Answer::Yes => continue,
                Answer::No(why) => Failure::Params { why: format!("{uri:?}: {why}") },
                Answer::None => {
                    let after = server.timing().timeout;
                    Failure::Timeout { server: server.name().to_owned(), after }
                }
            };
            self.unsubscribe(uri);
            refused.push((uri.clone(), failure));
        }
        refused
    }

    /// Does not hear of this resource any more.
    pub(crate) fn unsubscribe(&self, uri: &str) {
        self.feed.lock().board.unsubscribe(self.id, uri);
        self.feed.wanted.notify_one();
    }

    /// Wants log messages from this level on; returns when the server sends them.
    pub(crate) async fn set_level(&self, server: &Arc<Server>, level: Level) {
        self.feed.lock().board.set_level(self.id, level);
        self.settle(server, || self.feed.lock().board.has_level()).await;
    }

    /// Waits until `done`, for as long as the server may take for a call.
    async fn settle(&self, server: &Server, done: impl Fn() -> bool) {
        let mut settled = self.feed.settled.subscribe();
        self.feed.wanted.notify_one();
        let wait = async {
            while !done() {
                if settled.changed().await.is_err() {
                    return;
                }
            }
        };
        let _ = timeout(server.timing().timeout, wait).await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.feed.lock().board.leave(self.id);
        self.feed.wanted.notify_one();
    }
}

/// Wakes listeners after the lock is gone, so that they do not run into it.
fn wake(wakers: Vec<Waker>) {
    wakers.into_iter().for_each(Waker::wake);
}

fn overloaded(server: &Server, error: BoardError) -> Failure {
    Failure::Overloaded { server: server.name().to_owned(), why: error.to_string() }
}
