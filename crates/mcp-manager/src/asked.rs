//! Requests that servers have made to one client, and how its answers find back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use mcp_wire::{Draft, Members, Message, meta};

use crate::upstream::Upstream;

/// Requests that may wait for a client's answers at a time.
const WAITING_MAX: usize = 1024;

/// Several servers ask one client, each with ids of its own: the client sees ids of ours.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    waiting: HashMap<u64, Question>,
    last: u64,
}

#[derive(Debug)]
struct Question {
    upstream: Weak<Upstream>,
    /// The server's own id and progress token, as JSON text.
    id: String,
    token: Option<String>,
}

impl Asked {
    /// The request as the client is to see it; `None` if too many wait already.
    pub(crate) fn ask(&self, upstream: &Arc<Upstream>, request: Message) -> Option<Message> {
        let id = request.id()?.to_owned();
        let token = token_of(&request, |params| {
            params.object(meta::META).ok().flatten()?.get(meta::PROGRESS_TOKEN)
        });
        let mut table = self.lock();
        table.waiting.retain(|_, question| question.upstream.strong_count() > 0);
        if table.waiting.len() >= WAITING_MAX {
            return None;
        }
        table.last += 1;
        let ours = table.last;
        let mut draft = Draft::new(request.clone());
        let id_range = request.range_of(request.id()?)?;
        draft.replace(id_range, ours.to_string());
        let token = token.map(|(range, text)| {
            draft.replace(range, ours.to_string());
            text
        });
        table.waiting.insert(ours, Question { upstream: Arc::downgrade(upstream), id, token });
        drop(table);
        Some(draft.into_message())
    }

    /// Where a client's answer goes, and as what.
    pub(crate) fn answer(&self, answer: &Message) -> Option<(Arc<Upstream>, Bytes)> {
        let ours: u64 = answer.id()?.parse().ok()?;
        let question = self.lock().waiting.remove(&ours)?;
        let upstream = question.upstream.upgrade()?;
        Some((upstream, answer.with_id(&question.id)))
    }

    /// Where a client's progress on a server's request goes, and as what.
    pub(crate) fn progress(&self, progress: &Message) -> Option<(Arc<Upstream>, Bytes)> {
        let (range, text) = token_of(progress, |params| params.get(meta::PROGRESS_TOKEN))?;
        let ours: u64 = text.parse().ok()?;
        let table = self.lock();
        let question = table.waiting.get(&ours)?;
        let (upstream, token) = (question.upstream.upgrade()?, question.token.clone()?);
        drop(table);
        let mut draft = Draft::new(progress.clone());
        draft.replace(range, token);
        Some((upstream, draft.finish()))
    }

    /// A server takes back a request: the notification as the client is to see it.
    pub(crate) fn cancelled(&self, by: &Arc<Upstream>, message: Message) -> Option<Message> {
        let (range, theirs) = token_of(&message, |params| params.get("requestId"))?;
        let mut table = self.lock();
        let found = table.waiting.iter().find(|(_, q)| q.is_of(by) && q.id == theirs);
        let ours = *found?.0;
        table.waiting.remove(&ours);
        drop(table);
        let mut draft = Draft::new(message);
        draft.replace(range, ours.to_string());
        Some(draft.into_message())
    }

    /// Forgets what a server asked whose connection has ended: our ids of it.
    pub(crate) fn lost(&self, by: &Arc<Upstream>) -> Vec<u64> {
        let mut table = self.lock();
        table.waiting.extract_if(|_, question| question.is_of(by)).map(|(ours, _)| ours).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Question {
    fn is_of(&self, upstream: &Arc<Upstream>) -> bool {
        std::ptr::eq(self.upstream.as_ptr(), Arc::as_ptr(upstream))
    }
}

/// The part of `message` that `find` picks from its params: where it stands, and its text.
fn token_of<'m>(
    message: &'m Message,
    find: impl FnOnce(&Members<'m>) -> Option<&'m str>,
) -> Option<(std::ops::Range<usize>, String)> {
    let params = Members::of(message.params()?).ok()?;
    let part = find(&params)?;
    Some((message.range_of(part)?, part.to_owned()))
}
