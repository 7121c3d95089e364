//! The calls that wait on one connection, and where an incoming message belongs.
//!
//! The core of the connection: told what came in, it says what to do. No I/O, no clock, no task.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::claim::{Claim, claim, ours, rewritten};
use crate::mailbox::Mailbox;
use crate::{CallError, Draft, Event, Kind, Message};

/// The calls in flight on one connection.
///
/// Every call goes out under an id of ours, counted up and never used twice, which serves as its
/// progress token as well. So two callers with equal ids or tokens never meet, and an answer that
/// comes too late or twice finds nobody.
#[derive(Debug)]
pub(crate) struct Pending {
    calls: BTreeMap<u64, Entry>,
    next: u64,
    /// One caller alone uses this connection, so what names no call may go with its newest one.
    exclusive: bool,
    /// Set when the connection has ended: no call may be added any more.
    closed: Option<CallError>,
}

#[derive(Debug)]
struct Entry {
    mailbox: Arc<Mailbox>,
    /// The caller's id and progress token, as JSON text.
    id: Box<str>,
    token: Option<Box<str>>,
    /// Whether the peer may ask something back because of it.
    askable: bool,
    /// Whether its caller said which log messages it wants to see.
    logs: bool,
}

/// The methods during which servers ask back: in the stateless era the specification allows their
/// results, and no others, to demand input, and servers with sessions do the same in practice.
fn is_askable(method: &str) -> bool {
    matches!(method, "tools/call" | "prompts/get" | "resources/read")
}

/// What is to be done with a message that came in.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// It went to a call's mailbox.
    Delivered,
    /// It belongs to no call: for whoever owns the connection.
    Unsolicited(Message),
    /// It answers no call that waits: unknown, late, or sent twice.
    Stray,
    /// Its caller reads too slowly; that call is over and should be cancelled at the peer.
    Overflow(u64),
}

impl Pending {
    pub(crate) fn new(exclusive: bool) -> Self {
        Self { calls: BTreeMap::new(), next: 1, exclusive, closed: None }
    }

    /// Registers a call and writes our id, token and subscription into its request.
    pub(crate) fn begin(
        &mut self,
        draft: &mut Draft,
        token: Option<Range<usize>>,
        logs: bool,
        mailbox: &Arc<Mailbox>,
    ) -> Result<u64, CallError> {
        if let Some(error) = &self.closed {
            return Err(error.clone());
        }
        let ours = self.next;
        self.next += 1;
        let message = draft.message();
        let text = |range: &Range<usize>| message.as_str().get(range.clone());
        let token_text = token.as_ref().and_then(text).map(Box::from);
        let id = message.id().unwrap_or("null");
        let askable = is_askable(message.method());
        let mailbox = Arc::clone(mailbox);
        let entry = Entry { mailbox, id: id.into(), token: token_text, askable, logs };
        let id_range = message.range_of(id);
        self.calls.insert(ours, entry);
        for range in [id_range, token].into_iter().flatten() {
            draft.replace(range, ours.to_string());
        }
        Ok(ours)
    }

    /// Forgets a call whose caller has gone; whether it was still waiting.
    pub(crate) fn end(&mut self, ours: u64) -> bool {
        self.calls.remove(&ours).is_some()
    }

    /// Ends every call: the connection is gone.
    pub(crate) fn close(&mut self, error: &CallError) {
        self.closed.get_or_insert_with(|| error.clone());
        for (_, entry) in std::mem::take(&mut self.calls) {
            entry.mailbox.fail(error.clone());
        }
    }

    /// Ends one call with an error of ours.
    pub(crate) fn fail(&mut self, ours: u64, error: CallError) {
        if let Some(entry) = self.calls.remove(&ours) {
            entry.mailbox.fail(error);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }

    /// Finds where `message` belongs, and puts it there.
    pub(crate) fn receive(&mut self, message: Message) -> Incoming {
        match message.kind() {
            Kind::Result | Kind::Error => self.answer(message),
            Kind::Notification => self.notification(message),
            Kind::Request => self.unsolicited(message),
        }
    }

    fn answer(&mut self, message: Message) -> Incoming {
        let Some(entry) = ours(message.id()).and_then(|id| self.calls.remove(&id)) else {
            return Incoming::Stray;
        };
        // A reply always fits its mailbox.
        let _ = entry.mailbox.push(Event::Reply(message));
        Incoming::Delivered
    }

    fn notification(&mut self, message: Message) -> Incoming {
        let claim = claim(&message);
        let (Claim::Token(range) | Claim::Subscription(range)) = &claim else {
            return self.unsolicited(message);
        };
        let named = ours(message.as_str().get(range.clone()));
        let Some((id, entry)) = named.and_then(|id| self.calls.get_key_value(&id)) else {
            return Incoming::Stray;
        };
        let theirs = match claim {
            Claim::Subscription(_) => Some(&entry.id),
            // Without a token, the peer reports progress that its caller never asked for.
            _ => entry.token.as_ref(),
        };
        let Some(theirs) = theirs else { return Incoming::Stray };
        let message = rewritten(message.clone(), range.clone(), theirs);
        self.deliver(*id, message)
    }

    /// A message that names no call.
    ///
    /// Where one caller has the connection for itself, such a message is nearly always part of what
    /// the newest call is doing (a log line, a sampling request), and going with it keeps the order.
    fn unsolicited(&mut self, message: Message) -> Incoming {
        let call = match self.exclusive {
            true => self.newest(),
            false => self.only_logging(&message),
        };
        match call {
            Some(call) => self.deliver(call, message),
            None => Incoming::Unsolicited(message),
        }
    }

    /// The call that such a message goes with: one that does some work, so that a list which
    /// somebody reads meanwhile does not take it.
    fn newest(&self) -> Option<u64> {
        let working = self.calls.iter().rev().find(|(_, entry)| entry.askable);
        working.or_else(|| self.calls.iter().next_back()).map(|(id, _)| *id)
    }

    /// The call that a log message is about where many callers share the connection: the one that
    /// wants any, if it is the only one. A peer may log for no other.
    fn only_logging(&self, message: &Message) -> Option<u64> {
        if message.method() != "notifications/message" {
            return None;
        }
        let mut logging = self.calls.iter().filter(|(_, entry)| entry.logs);
        logging.next().filter(|_| logging.next().is_none()).map(|(id, _)| *id)
    }

    fn deliver(&mut self, id: u64, message: Message) -> Incoming {
        let Some(entry) = self.calls.get(&id) else { return Incoming::Stray };
        match entry.mailbox.push(Event::Message(message)) {
            Ok(()) => Incoming::Delivered,
            Err(error) => {
                self.fail(id, error);
                Incoming::Overflow(id)
            }
        }
    }
}
