//! A session that one call has for itself, for as long as it lasts.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use mcp_wire::serve::Level;
use mcp_wire::{Event, Inbox, Kind, Message, Request, quoted};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{sleep, timeout};

use crate::live::Live;
use crate::profile::Interest;
use crate::server::{Server, lock, offers, offers_within};
use crate::upstream::Upstream;

/// Messages that belong to no call by their name, and wait for the one that has the session.
const ASIDE_MAX: usize = 256;
/// Resources that such a session is subscribed to; our own is subscribed to all.
const HEARD_MAX: usize = 256;
/// A session in which a call was given up is closed so much later: the server hears that the call
/// is cancelled, and may clean up.
const FAREWELL: Duration = Duration::from_secs(2);
/// What of that remains when the whole fleet stops.
const LAST_MOMENT: Duration = Duration::from_millis(10);

/// One session.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) upstream: Arc<Upstream>,
    server: Weak<Server>,
    /// The log level that it was told last.
    level: Mutex<Option<Level>>,
    /// The resources that it is subscribed to.
    heard: Mutex<BTreeSet<Arc<str>>>,
    /// The call that has the session: what names no call is its own.
    holder: Mutex<Option<mpsc::Sender<Message>>>,
}

/// A session that one call has for itself.
#[derive(Debug)]
pub(crate) struct Lease {
    seat: Arc<Seat>,
    aside: mpsc::Receiver<Message>,
    /// Whether the call came to its end. A session in which the server may still be at work is not
    /// used again: nobody could tell that work's questions from the next call's.
    settled: bool,
    interest: Interest,
    /// One of the places that the server has for such calls.
    place: Option<OwnedSemaphorePermit>,
}

impl Seat {
    pub(crate) fn new(server: &Arc<Server>, upstream: Arc<Upstream>, inbox: Inbox) -> Arc<Self> {
        let seat = Arc::new(Self {
            upstream,
            server: Arc::downgrade(server),
            level: Mutex::default(),
            heard: Mutex::default(),
            holder: Mutex::default(),
        });
        tokio::spawn(attend(Arc::downgrade(&seat), inbox));
        seat
    }
}

impl Lease {
    pub(crate) fn new(seat: Arc<Seat>, interest: Interest, place: OwnedSemaphorePermit) -> Self {
        let (sender, aside) = mpsc::channel(ASIDE_MAX);
        *lock(&seat.holder) = Some(sender);
        Self { seat, aside, settled: false, interest, place: Some(place) }
    }

    pub(crate) fn upstream(&self) -> &Arc<Upstream> {
        &self.seat.upstream
    }

    /// The call has its answer: the session may be used again.
    pub(crate) fn settle(&mut self) {
        self.settled = true;
    }

    /// What the server says in this session that names no call.
    pub(crate) fn poll_aside(&mut self, context: &mut Context<'_>) -> Poll<Message> {
        match self.aside.poll_recv(context) {
            Poll::Ready(Some(message)) => Poll::Ready(message),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    /// Has the server log from `level` on, if it was not told so already.
    pub(crate) async fn set_level(&self, level: Level) {
        if *lock(&self.seat.level) == Some(level) {
            return;
        }
        let params = format!(r#"{{"level":"{}"}}"#, level.name());
        if !offers(self.upstream(), "logging") || self.tell("logging/setLevel", &params).await {
            *lock(&self.seat.level) = Some(level);
        }
    }

    /// Subscribes to what listeners of the server's changes want to hear of: what a call changes
    /// is often told in its own session only.
    pub(crate) async fn hear_changes(&self) {
        let wanted = self.interest.server().feed().resources();
        let wanted: BTreeSet<_> = wanted.into_iter().take(HEARD_MAX).collect();
        let heard = lock(&self.seat.heard).clone();
        if wanted == heard || !offers_within(self.upstream(), "resources", "subscribe") {
            return;
        }
        for uri in wanted.difference(&heard) {
            if self.tell("resources/subscribe", &subscription(uri)).await {
                lock(&self.seat.heard).insert(Arc::clone(uri));
            }
        }
        for uri in heard.difference(&wanted) {
            self.tell("resources/unsubscribe", &subscription(uri)).await;
            lock(&self.seat.heard).remove(uri);
        }
    }

    /// Makes a request of ours in the session; whether the server did what it says. If not, the
    /// call that follows will find out what is wrong.
    async fn tell(&self, method: &str, params: &str) -> bool {
        let Ok(request) = Request::read(Message::request("0", method, params)) else {
            return false;
        };
        let (server, upstream) = (self.interest.server(), self.upstream());
        let mut exchange = upstream.connection.call(request, server.timing());
        loop {
            match exchange.next().await {
                Ok(Event::Message(message)) => upstream.attend_to(&message).await,
                Ok(Event::Reply(reply)) => return reply.kind() == Kind::Result,
                Err(_) => return false,
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        *lock(&self.seat.holder) = None;
        self.aside.close();
        while let Ok(message) = self.aside.try_recv() {
            self.seat.upstream.attend_later(message);
        }
        self.interest.give_back(&self.seat, self.settled);
        if !self.settled
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let live = self.interest.server().opener().live.clone();
            runtime.spawn(farewell(Arc::clone(&self.seat), self.place.take(), live));
        }
    }
}

fn subscription(uri: &str) -> String {
    format!(r#"{{"uri":{}}}"#, quoted(uri))
}

/// Closes a session in which a call was given up, once the server has heard of that.
async fn farewell(seat: Arc<Seat>, place: Option<OwnedSemaphorePermit>, live: Live) {
    let _ = timeout(FAREWELL, live.stopping()).await;
    sleep(LAST_MOMENT).await;
    drop(seat);
    drop(place);
}

/// Reads what a server says in a session outside of calls.
async fn attend(seat: Weak<Seat>, mut inbox: Inbox) {
    while let Some(message) = inbox.next().await {
        let Some(seat) = seat.upgrade() else { return };
        let holder = lock(&seat.holder).clone();
        let left = match holder {
            Some(holder) => holder.try_send(message).err().map(|error| error.into_inner()),
            None => Some(message),
        };
        if let Some(message) = left {
            seat.upstream.attend_to(&message).await;
            if let Some(server) = seat.server.upgrade() {
                server.hear_update(&message);
            }
        }
    }
}
