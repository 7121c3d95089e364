//! One client of the fleet that has a session: what it said, what it is connected to, what it is
//! being asked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use mcp_wire::serve::Level;
use mcp_wire::{CallError, Era, ErrorObject, Event, Kind, Members, Message, Request, code};
use tokio::sync::{oneshot, watch};

use crate::asked::Asked;
use crate::ears::{Ears, level_of};
use crate::failure::Failure;
use crate::memory::{Change, Memory};
use crate::outlet::Outlet;
use crate::renew;
use crate::scope::Scope;
use crate::server::Server;
use crate::slot::Slot;
use crate::upstream::Upstream;

/// The number of the next client.
static NUMBERS: AtomicU64 = AtomicU64::new(0);

/// A client with a session.
///
/// Its connections to the servers are its own, opened when it first needs them, and end with it:
/// what one client tells a server never shows to another.
#[derive(Debug)]
pub struct Client {
    /// No other client of this process has it.
    number: u64,
    scope: Scope,
    memory: watch::Sender<Memory>,
    /// Whether the client has seen a list: then it is told when there is more to see.
    has_listed: AtomicBool,
    links: Mutex<HashMap<Arc<str>, Arc<Slot>>>,
    asked: Asked,
    ears: Ears,
    outlet: Outlet,
    in_flight: Mutex<InFlight>,
}

/// The calls of one client: each has a number of its own, because ids are used again.
#[derive(Debug, Default)]
struct InFlight {
    calls: HashMap<Box<str>, (u64, oneshot::Sender<()>)>,
    last: u64,
}

/// A call of a client, in flight until this is dropped.
#[derive(Debug)]
pub(crate) struct Flight {
    client: Arc<Client>,
    id: Box<str>,
    number: u64,
    pub(crate) cancelled: oneshot::Receiver<()>,
}

impl Client {
    pub(crate) fn new(scope: Scope, memory: Memory) -> Arc<Self> {
        Arc::new(Self {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            scope,
            memory: watch::Sender::new(memory),
            has_listed: AtomicBool::new(false),
            links: Mutex::default(),
            asked: Asked::default(),
            ears: Ears::default(),
            outlet: Outlet::default(),
            in_flight: Mutex::default(),
        })
    }

    /// Tells this client from every other one of this process, also of those that have gone.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// What the client sees of the fleet.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The next message that belongs to none of the client's calls. Cancel safe.
    pub async fn next_message(&self) -> Message {
        self.outlet.next().await
    }

    /// Takes a notification or an answer of the client.
    pub async fn receive(self: &Arc<Self>, message: Message) {
        match message.kind() {
            Kind::Result | Kind::Error => forward(self.asked.answer(&message)).await,
            _ => match message.method() {
                "notifications/cancelled" => self.cancel(&message),
                "notifications/progress" => forward(self.asked.progress(&message)).await,
                // Every server was told when its connection was opened.
                "notifications/initialized" => {}
                _ => {
                    for upstream in self.sessions() {
                        let _ = upstream.connection.send(message.bytes().clone()).await;
                    }
                }
            },
        }
    }

    /// The client has ended its session: calls that wait for an answer of its own end here.
    pub fn leave(&self) {
        self.asked.give_up();
    }

    /// The questions that are put to the client.
    pub(crate) fn asked(&self) -> &Asked {
        &self.asked
    }

    /// The servers whose changes the client hears of from us.
    pub(crate) fn ears(&self) -> &Ears {
        &self.ears
    }

    /// What the client has said that outlives its connections, as it changes.
    pub fn memory(&self) -> watch::Receiver<Memory> {
        self.memory.subscribe()
    }

    /// Remembers what the client said in `initialize`; the first time counts.
    pub(crate) fn introduce(&self, params: &str) {
        self.memory.send_if_modified(|memory| {
            let first = memory.params.is_none();
            if first {
                memory.params = Some(params.to_owned());
            }
            first
        });
    }

    /// Remembers the log level that the client wants, for connections to come.
    pub(crate) fn set_level(&self, request: &Message) -> Result<Level, Failure> {
        let level = level_of(request)?;
        self.memory.send_modify(|memory| memory.level = Some(level.name().to_owned()));
        Ok(level)
    }

    /// Remembers that the client is subscribed to a resource, by the server's own URI.
    pub(crate) fn subscribed(&self, server: &str, uri: &str) {
        self.memory.send_if_modified(|memory| memory.subscribe(server, uri));
    }

    /// Forgets that the client is subscribed to a resource.
    pub(crate) fn unsubscribed(&self, server: &str, uri: &str) {
        self.memory.send_if_modified(|memory| memory.unsubscribe(server, uri));
    }

    /// A server has agreed to a request of the client that changes what is to be remembered.
    pub(crate) fn changed(&self, server: &str, change: &Change) {
        match change {
            Change::Subscribe(uri) => self.subscribed(server, uri),
            Change::Unsubscribe(uri) => self.unsubscribed(server, uri),
        }
    }

    /// The resources of `server` that the client is subscribed to, by the server's own URIs.
    pub(crate) fn subscriptions(&self, server: &str) -> Vec<String> {
        let memory = self.memory.borrow();
        memory.subscriptions.get(server).into_iter().flatten().cloned().collect()
    }

    /// The client's connection with `server` has ended: what it was asked need not be answered.
    pub(crate) fn lost(&self, slot: &Slot, upstream: &Arc<Upstream>) {
        slot.clear_of(upstream);
        for id in self.asked.lost(upstream) {
            self.tell(renew::withdrawn(id));
        }
    }

    /// Goes over to what `server` consists of now: sessions with what it was are let go of, and end
    /// with the calls that are under way in them. What the client would miss is opened again.
    /// `anew`: what it hears of the server it may hear in another way now.
    pub(crate) fn move_on(self: &Arc<Self>, server: &Arc<Server>, anew: bool) {
        let slot = lock(&self.links).get(server.id()).cloned();
        let left = slot.is_some_and(|slot| slot.clear_of_retired());
        let hushed = anew && self.hush(server);
        let listens = self.level().is_some() || !self.subscriptions(server.name()).is_empty();
        if hushed || (left && listens) {
            let (client, server) = (Arc::clone(self), Arc::clone(server));
            tokio::spawn(async move { server.session(&client).await.map(drop) });
        }
    }

    /// Forgets a server that is gone; another one may come that has its name.
    pub(crate) fn forget(&self, server: &Arc<Server>) {
        let slot = lock(&self.links).remove(server.id());
        drop(slot);
        self.hush(server);
    }

    pub(crate) fn level(&self) -> Option<String> {
        self.memory.borrow().level.clone()
    }

    pub(crate) fn params(&self) -> Option<String> {
        self.memory.borrow().params.clone()
    }

    /// The place for the client's own connection to `server`.
    pub(crate) fn slot(&self, server: &Server) -> Arc<Slot> {
        Arc::clone(lock(&self.links).entry(Arc::clone(server.id())).or_default())
    }

    /// The sessions that are open for this client now.
    pub(crate) fn sessions(&self) -> Vec<Arc<Upstream>> {
        let open = lock(&self.links).values().filter_map(|slot| slot.current()).collect::<Vec<_>>();
        open.into_iter().filter(|upstream| upstream.era() == Era::Legacy).collect()
    }

    /// Marks a call as being in flight, or says that its id is taken.
    pub(crate) fn begin(self: &Arc<Self>, id: &str) -> Result<Flight, Failure> {
        let (sender, cancelled) = oneshot::channel();
        let mut in_flight = lock(&self.in_flight);
        if in_flight.calls.contains_key(id) {
            return Err(Failure::DuplicateId { id: id.to_owned() });
        }
        in_flight.last += 1;
        let number = in_flight.last;
        in_flight.calls.insert(id.into(), (number, sender));
        Ok(Flight { client: Arc::clone(self), id: id.into(), number, cancelled })
    }

    /// What a server says, as the client is to see it; `None` if it is not for the client.
    pub(crate) async fn show(
        &self,
        by: &Arc<Upstream>,
        server: &Server,
        message: Message,
    ) -> Option<Message> {
        match message.kind() {
            Kind::Request => self.ask(by, message).await,
            Kind::Notification => self.translate(by, server, message),
            Kind::Result | Kind::Error => None,
        }
    }

    /// A request of a server as the client is to see it. `None` if it was answered for the client.
    async fn ask(&self, by: &Arc<Upstream>, request: Message) -> Option<Message> {
        let id = request.id()?.to_owned();
        if request.method() == "ping" {
            reply(by, Message::result(&id, "{}")).await;
            return None;
        }
        let asked = self.asked.ask(by, &request);
        if asked.is_none() {
            let error = ErrorObject::new(code::INTERNAL_ERROR, "too many requests wait already");
            reply(by, Message::error(&id, &error)).await;
        }
        asked
    }

    /// A notification of a server as the client is to see it.
    fn translate(&self, by: &Arc<Upstream>, server: &Server, message: Message) -> Option<Message> {
        match message.method() {
            "notifications/cancelled" => self.asked.cancelled(by, message),
            "notifications/resources/updated" => Some(self.scope.expose_updated(server, message)),
            _ => Some(message),
        }
    }

    /// The client is being shown a list.
    pub(crate) fn listed(&self) {
        self.has_listed.store(true, Ordering::Relaxed);
    }

    /// A server has come within the client's reach, too late for a list that was shown already.
    pub(crate) fn arrived(&self) {
        if self.has_listed.load(Ordering::Relaxed) && self.scope.only().is_none() {
            for list in ["tools", "prompts", "resources"] {
                let method = format!("notifications/{list}/list_changed");
                self.tell(Message::notification(&method, "{}"));
            }
        }
    }

    /// Queues a message for the client's own stream.
    pub(crate) fn tell(&self, message: Message) {
        self.outlet.push(message);
    }

    fn cancel(&self, message: &Message) {
        let params = message.params().and_then(|params| Members::of(params).ok());
        let id = params.as_ref().and_then(|params| params.get("requestId"));
        if let Some((_, sender)) = id.and_then(|id| lock(&self.in_flight).calls.remove(id)) {
            // The call may have ended in this moment.
            let _ = sender.send(());
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut in_flight = lock(&self.client.in_flight);
        // A cancelled call is gone already, and its id may be that of a newer one.
        if in_flight.calls.get(&self.id).is_some_and(|(number, _)| *number == self.number) {
            in_flight.calls.remove(&self.id);
        }
    }
}

/// Waits for the answer to a request that we make ourselves on a client's connection.
///
/// What the server says to the client meanwhile goes to the client's own stream.
pub(crate) async fn converse(
    client: Option<&Arc<Client>>,
    server: &Server,
    upstream: &Arc<Upstream>,
    request: Request,
) -> Result<Message, CallError> {
    let mut exchange = upstream.connection.call(request, server.timing());
    loop {
        match exchange.next().await? {
            Event::Reply(reply) => return Ok(reply),
            Event::Message(message) => {
                let Some(client) = client else {
                    upstream.attend_to(&message).await;
                    continue;
                };
                if let Some(shown) = client.show(upstream, server, message).await {
                    client.tell(shown);
                }
            }
        }
    }
}

/// Brings what a connection of `client` says outside of its calls to the client's own stream.
pub(crate) async fn pump(
    client: Weak<Client>,
    server: Weak<Server>,
    upstream: Weak<Upstream>,
    mut inbox: mcp_wire::Inbox,
) {
    while let Some(message) = inbox.next().await {
        let (Some(client), Some(server)) = (client.upgrade(), server.upgrade()) else { return };
        let Some(upstream) = upstream.upgrade() else { return };
        if let Some(shown) = client.show(&upstream, &server, message).await {
            client.tell(shown);
        }
    }
}

async fn forward(to: Option<(Arc<Upstream>, Bytes)>) {
    if let Some((upstream, message)) = to {
        let sent: Result<(), CallError> = upstream.connection.send(message).await;
        if let Err(error) = sent {
            tracing::debug!(server = %upstream.server(), %error, "an answer did not arrive");
        }
    }
}

async fn reply(upstream: &Arc<Upstream>, message: Message) {
    forward(Some((Arc::clone(upstream), message.bytes().clone()))).await;
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No foreign code runs under these locks, so what they guard is consistent.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
