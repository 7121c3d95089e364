//! Who wants to hear what of one server, what each has yet to hear, and what the server has been
//! asked for on their behalf. No I/O, no clock, no task.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use mcp_wire::serve::Level;

use super::changes::{Change, Lists, Pending};
use crate::memory::SUBSCRIPTIONS_MAX;

/// Listeners of one server: clients with a session, and subscriptions of stateless ones.
const LISTENERS_MAX: usize = 65_536;
/// Resources of one server that somebody is subscribed to.
const RESOURCES_MAX: usize = 16_384;
/// The longest URI that is remembered.
const URI_BYTES_MAX: usize = 8 << 10;
/// Changed resources below those that a listener is subscribed to, until it hears of them.
const BELOW_MAX: usize = 256;

/// Why somebody cannot listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BoardError {
    #[error("{LISTENERS_MAX} listeners hear of its changes already")]
    Listeners,
    #[error("one listener may be subscribed to {SUBSCRIPTIONS_MAX} resources")]
    OfListener,
    #[error("listeners are subscribed to {RESOURCES_MAX} resources already")]
    Resources,
    #[error("a URI to subscribe to may have {URI_BYTES_MAX} bytes")]
    Uri,
}

/// What the server is to be asked next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Subscribe(Arc<str>),
    Unsubscribe(Arc<str>),
    SetLevel(Level),
}

/// What a server is wanted to announce.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) lists: Lists,
    pub(crate) resources: BTreeSet<Arc<str>>,
}

#[derive(Debug, Default)]
pub(crate) struct Board {
    listeners: HashMap<u64, Listener>,
    resources: BTreeMap<Arc<str>, Resource>,
    last: u64,
    /// What the server has agreed to, on the connection that there is now.
    asked: BTreeSet<Arc<str>>,
    level: Option<Level>,
    closed: bool,
}

#[derive(Debug, Default)]
struct Listener {
    lists: Lists,
    resources: BTreeSet<Arc<str>>,
    /// The least severe log messages that it wants, if it said so.
    level: Option<Level>,
    pending: Pending,
    waker: Option<Waker>,
}

#[derive(Debug, Default)]
struct Resource {
    listeners: BTreeSet<u64>,
    answer: Answer,
}

/// What the server says of a subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing yet.
    #[default]
    None,
    Yes,
    /// Not this one; why.
    No(Arc<str>),
}

impl Board {
    /// Adds a listener, which hears of `lists` from now on.
    pub(crate) fn join(&mut self, lists: Lists) -> Result<u64, BoardError> {
        if self.listeners.len() >= LISTENERS_MAX {
            return Err(BoardError::Listeners);
        }
        self.last += 1;
        self.listeners.insert(self.last, Listener { lists, ..Listener::default() });
        Ok(self.last)
    }

    /// Adds a resource to what a listener hears of.
    pub(crate) fn subscribe(&mut self, id: u64, uri: &str) -> Result<(), BoardError> {
        let Some(listener) = self.listeners.get_mut(&id) else { return Ok(()) };
        if listener.resources.contains(uri) {
            return Ok(());
        }
        if uri.len() > URI_BYTES_MAX {
            return Err(BoardError::Uri);
        }
        if listener.resources.len() >= SUBSCRIPTIONS_MAX {
            return Err(BoardError::OfListener);
        }
        let known = self.resources.get_key_value(uri).map(|(uri, _)| Arc::clone(uri));
        if known.is_none() && self.resources.len() >= RESOURCES_MAX {
            return Err(BoardError::Resources);
        }
        let uri = known.unwrap_or_else(|| uri.into());
        listener.resources.insert(Arc::clone(&uri));
        self.resources.entry(uri).or_default().listeners.insert(id);
        Ok(())
    }

    /// Takes a resource away from what a listener hears of.
    pub(crate) fn unsubscribe(&mut self, id: u64, uri: &str) {
        if let Some(listener) = self.listeners.get_mut(&id) {
            listener.resources.remove(uri);
            listener.pending.resources.remove(uri);
            self.forget(id, uri);
        }
    }

    fn forget(&mut self, id: u64, uri: &str) {
        if let Some(resource) = self.resources.get_mut(uri) {
            resource.listeners.remove(&id);
            if resource.listeners.is_empty() {
                self.resources.remove(uri);
            }
        }
    }

    /// Sets the least severe log messages that a listener wants.
    pub(crate) fn set_level(&mut self, id: u64, level: Level) {
        if let Some(listener) = self.listeners.get_mut(&id) {
            listener.level = Some(level);
        }
    }

    /// Takes a listener away, with all that it wanted.
    pub(crate) fn leave(&mut self, id: u64) {
        for uri in self.listeners.remove(&id).into_iter().flat_map(|listener| listener.resources) {
            self.forget(id, &uri);
        }
    }

    /// What the server says of a listener's subscription.
    pub(crate) fn answer(&self, uri: &str) -> Answer {
        self.resources.get(uri).map(|resource| resource.answer.clone()).unwrap_or_default()
    }

    /// Whether the server sends what the most curious listener wants.
    pub(crate) fn has_level(&self) -> bool {
        self.next_level().is_none()
    }

    /// The next change for a listener; `None` when there will be none any more.
    pub(crate) fn poll(&mut self, id: u64, context: &Context<'_>) -> Poll<Option<Change>> {
        let Some(listener) = self.listeners.get_mut(&id) else { return Poll::Ready(None) };
        if let Some(change) = listener.pending.take() {
            return Poll::Ready(Some(change));
        }
        if self.closed {
            return Poll::Ready(None);
        }
        match &mut listener.waker {
            Some(waker) if waker.will_wake(context.waker()) => {}
            waker => *waker = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// The server says that lists have changed. Who is to be woken.
    #[must_use]
    pub(crate) fn lists_changed(&mut self, lists: Lists) -> Vec<Waker> {
        let listeners = self.listeners.values_mut();
        let told = listeners.filter_map(|listener| {
            let news = listener.lists.within(lists);
            listener.pending.lists = listener.pending.lists.with(news);
            if news.is_empty() { None } else { listener.waker.take() }
        });
        told.collect()
    }

    /// The server says that a resource has changed: one that somebody is subscribed to, or one
    /// below it. Who is to be woken.
    #[must_use]
    pub(crate) fn resource_changed(&mut self, uri: &str) -> Vec<Waker> {
        let mut wakers = Vec::new();
        let changed: Arc<str> = uri.into();
        for held in self.above(uri) {
            let Some(resource) = self.resources.get(&held) else { continue };
            for id in &resource.listeners {
                let Some(listener) = self.listeners.get_mut(id) else { continue };
                // Too many below one: then that one has changed.
                let room = listener.pending.resources.len() < listener.resources.len() + BELOW_MAX;
                let news = if room { &changed } else { &held };
                listener.pending.resources.insert(Arc::clone(news));
                wakers.extend(listener.waker.take());
            }
        }
        wakers
    }

    /// Those that somebody is subscribed to, and whose part `uri` is.
    fn above(&self, uri: &str) -> Vec<Arc<str>> {
        let cuts = uri.match_indices('/').flat_map(|(at, _)| [at, at + 1]);
        let mut all: Vec<_> = cuts.filter_map(|at| self.known(&uri[..at])).collect();
        all.extend(self.known(uri));
        all.dedup();
        all
    }

    fn known(&self, uri: &str) -> Option<Arc<str>> {
        self.resources.get_key_value(uri).map(|(uri, _)| Arc::clone(uri))
    }

    /// Nobody knows what has changed meanwhile: everything may have. Who is to be woken.
    #[must_use]
    pub(crate) fn missed(&mut self) -> Vec<Waker> {
        let listeners = self.listeners.values_mut();
        let told = listeners.filter_map(|listener| {
            listener.pending.lists = listener.lists;
            listener.pending.resources.clone_from(&listener.resources);
            listener.waker.take()
        });
        told.collect()
    }

    /// All that somebody wants to hear of, less what the server has refused.
    ///
    /// All lists, as soon as there is a listener: nearly every one wants them, and who comes and
    /// goes for lists alone is no reason to ask the server anew.
    pub(crate) fn wanted(&self) -> Wanted {
        let lists = if self.listeners.is_empty() { Lists::NONE } else { Lists::ALL };
        let refused = |resource: &Resource| matches!(resource.answer, Answer::No(_));
        let resources = self.resources.iter().filter(|(_, resource)| !refused(resource));
        Wanted { lists, resources: resources.map(|(uri, _)| Arc::clone(uri)).collect() }
    }

    /// The resources that somebody wants and that the server has agreed to tell of.
    pub(crate) fn taken(&self) -> BTreeSet<Arc<str>> {
        let taken = self.resources.iter().filter(|(_, resource)| resource.answer == Answer::Yes);
        taken.map(|(uri, _)| Arc::clone(uri)).collect()
    }

    /// There is a new connection: what the server agreed to on the one before is forgotten.
    pub(crate) fn renew(&mut self) {
        (self.level, self.asked) = (None, BTreeSet::new());
        for resource in self.resources.values_mut() {
            resource.answer = Answer::None;
        }
    }

    /// What a server with sessions is to be asked next, until it does what is wanted.
    pub(crate) fn next_step(&mut self) -> Option<Step> {
        let gone = self.asked.iter().find(|uri| !self.resources.contains_key(*uri));
        if let Some(uri) = gone {
            return Some(Step::Unsubscribe(Arc::clone(uri)));
        }
        for (uri, resource) in &mut self.resources {
            if resource.answer == Answer::None {
                if !self.asked.contains(uri) {
                    return Some(Step::Subscribe(Arc::clone(uri)));
                }
                resource.answer = Answer::Yes;
            }
        }
        self.next_level().map(Step::SetLevel)
    }

    fn next_level(&self) -> Option<Level> {
        let said = self.listeners.values().any(|listener| listener.level.is_some());
        if !said && self.level.is_none() {
            return None;
        }
        let each = self.listeners.values().map(|listener| listener.level.unwrap_or(DEFAULT));
        let wanted = least(each).unwrap_or(DEFAULT);
        (self.level != Some(wanted)).then_some(wanted)
    }

    /// The server was asked, and agreed or said why not.
    pub(crate) fn stepped(&mut self, step: Step, outcome: Result<(), Arc<str>>) {
        match step {
            Step::Subscribe(uri) => {
                let answer = match outcome {
                    Ok(()) => {
                        self.asked.insert(Arc::clone(&uri));
                        Answer::Yes
                    }
                    Err(why) => Answer::No(why),
                };
                self.answered(&uri, answer);
            }
            // Nobody listens any more, whatever the server says.
            Step::Unsubscribe(uri) => _ = self.asked.remove(&uri),
            // A server that refuses is not asked for the same again.
            Step::SetLevel(level) => self.level = Some(level),
        }
    }

    /// The server has said what it thinks of a subscription.
    pub(crate) fn answered(&mut self, uri: &str, answer: Answer) {
        if let Some(resource) = self.resources.get_mut(uri) {
            resource.answer = answer;
        }
    }

    /// Nothing will change any more: everyone hears the end. Who is to be woken.
    #[must_use]
    pub(crate) fn close(&mut self) -> Vec<Waker> {
        self.closed = true;
        self.listeners.values_mut().filter_map(|listener| listener.waker.take()).collect()
    }

    /// Whether nobody listens, and the server need not be told so.
    pub(crate) fn is_idle(&self) -> bool {
        self.listeners.is_empty()
    }
}

/// What a listener sees that never chose a level. The protocol leaves it open.
pub(crate) const DEFAULT: Level = Level::Info;

fn least(levels: impl Iterator<Item = Level>) -> Option<Level> {
    levels.reduce(|least, level| if level < least { level } else { least })
}

#[cfg(test)]
mod tests;
