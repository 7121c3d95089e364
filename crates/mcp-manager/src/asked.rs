//! Questions to one client, and how its answers find back: requests that servers have made to it,
//! and inputs that calls of its own need.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use mcp_wire::{Draft, Members, Message, meta};
use tokio::sync::mpsc;

use crate::upstream::Upstream;

/// Questions that may wait for a client's answers at a time.
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
    /// The client has left: nobody will answer.
    over: bool,
}

/// Who waits for an answer.
#[derive(Debug)]
enum Question {
    /// A server that asked by a request of its own.
    Server {
        upstream: Weak<Upstream>,
        /// The server's own id and progress token, as JSON text.
        id: String,
        token: Option<String>,
    },
    /// A call of the client's, which goes on with the answer.
    Call(mpsc::Sender<Message>),
}

impl Question {
    /// Whether the server behind `upstream` asked it.
    fn is_of(&self, by: &Arc<Upstream>) -> bool {
        match self {
            Self::Server { upstream, .. } => std::ptr::eq(upstream.as_ptr(), Arc::as_ptr(by)),
            Self::Call(_) => false,
        }
    }

    /// Whether a server asked it under this id of its own.
    fn asked_as(&self, theirs: &str) -> bool {
        matches!(self, Self::Server { id, .. } if id == theirs)
    }

    fn is_waited_for(&self) -> bool {
        match self {
            Self::Server { upstream, .. } => upstream.strong_count() > 0,
            Self::Call(answer) => !answer.is_closed(),
        }
    }
}

impl Asked {
    /// The request of a server as the client is to see it; `None` if too many wait already.
    pub(crate) fn ask(&self, upstream: &Arc<Upstream>, request: &Message) -> Option<Message> {
        let (id, token) = (request.id()?.to_owned(), token_in(request));
        let token = token.map(|(_, text)| text);
        let question = Question::Server { upstream: Arc::downgrade(upstream), id, token };
        self.add(request, question).map(|(_, shown)| shown)
    }

    /// A question whose answer goes to `answers`, under the id that this gives it: that id, and the
    /// request as the client is to see it. `None` if too many wait already.
    ///
    /// `answers` is dropped when there will be no answer.
    pub(crate) fn ask_for_call(
        &self,
        request: &Message,
        answers: mpsc::Sender<Message>,
    ) -> Option<(u64, Message)> {
        self.add(request, Question::Call(answers))
    }

    fn add(&self, request: &Message, question: Question) -> Option<(u64, Message)> {
        let id_range = request.range_of(request.id()?)?;
        let mut table = self.lock();
        table.waiting.retain(|_, question| question.is_waited_for());
        if table.waiting.len() >= WAITING_MAX {
            return None;
        }
        table.last += 1;
        let ours = table.last;
        if !(table.over && matches!(question, Question::Call(_))) {
            table.waiting.insert(ours, question);
        }
        drop(table);
        let mut draft = Draft::new(request.clone());
        draft.replace(id_range, ours.to_string());
        if let Some((range, _)) = token_in(request) {
            draft.replace(range, ours.to_string());
        }
        Some((ours, draft.into_message()))
    }

    /// Where a client's answer goes, and as what; nowhere if a call waited for it and has it now.
    pub(crate) fn answer(&self, answer: &Message) -> Option<(Arc<Upstream>, Bytes)> {
        let ours: u64 = answer.id()?.parse().ok()?;
        let question = self.lock().waiting.remove(&ours)?;
        match question {
            Question::Server { upstream, id, .. } => {
                Some((upstream.upgrade()?, answer.with_id(&id)))
            }
            Question::Call(answers) => {
                // There is room for one answer to each question; the call may just have ended.
                let _ = answers.try_send(answer.clone());
                None
            }
        }
    }

    /// Where a client's progress on a server's request goes, and as what.
    pub(crate) fn progress(&self, progress: &Message) -> Option<(Arc<Upstream>, Bytes)> {
        let (range, text) = part_of(progress, |params| params.get(meta::PROGRESS_TOKEN))?;
        let ours: u64 = text.parse().ok()?;
        let table = self.lock();
        let Question::Server { upstream, token, .. } = table.waiting.get(&ours)? else {
            return None;
        };
        let (upstream, token) = (upstream.upgrade()?, token.clone()?);
        drop(table);
        let mut draft = Draft::new(progress.clone());
        draft.replace(range, token);
        Some((upstream, draft.finish()))
    }

    /// A server takes back a request: the notification as the client is to see it.
    pub(crate) fn cancelled(&self, by: &Arc<Upstream>, message: Message) -> Option<Message> {
        let (range, theirs) = part_of(&message, |params| params.get("requestId"))?;
        let mut table = self.lock();
        let same = |question: &Question| question.asked_as(&theirs) && question.is_of(by);
        let found = table.waiting.iter().find(|(_, question)| same(question));
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

    /// Takes back a question that was asked for a call; whether the client still owed the answer.
    pub(crate) fn withdraw(&self, ours: u64) -> bool {
        self.lock().waiting.remove(&ours).is_some()
    }

    /// Nobody will answer any more, and calls that wait learn of it.
    pub(crate) fn give_up(&self) {
        let mut table = self.lock();
        table.over = true;
        table.waiting.retain(|_, question| matches!(question, Question::Server { .. }));
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The progress token of a request: where it stands, and its text.
fn token_in(request: &Message) -> Option<(std::ops::Range<usize>, String)> {
    part_of(request, |params| params.object(meta::META).ok().flatten()?.get(meta::PROGRESS_TOKEN))
}

/// The part of `message` that `find` picks from its params: where it stands, and its text.
fn part_of<'m>(
    message: &'m Message,
    find: impl FnOnce(&Members<'m>) -> Option<&'m str>,
) -> Option<(std::ops::Range<usize>, String)> {
    let params = Members::of(message.params()?).ok()?;
    let part = find(&params)?;
    Some((message.range_of(part)?, part.to_owned()))
}
