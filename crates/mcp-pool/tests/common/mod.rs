//! A world around a ledger: it holds what the ledger ordered until a test lets it happen, and
//! turns it exactly when it asked to be turned.

#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses its own part of it")]

pub(crate) mod story;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Wake, Waker};
use std::time::{Duration, Instant};

use mcp_pool::{
    AcquireError, Cause, Config, ConnectFailure, Fate, Held, Ledger, Manage, Order, Orders, Slot,
    Ticket,
};

/// Keys are letters, connections are named after their key and in the order they were made.
#[derive(Debug)]
pub(crate) struct Toy;

impl Manage for Toy {
    type Key = char;
    type Connection = String;
    type Error = &'static str;

    async fn connect(&self, _: &char) -> Result<String, &'static str> {
        Err("the ledger connects nothing")
    }
}

pub(crate) type Caller = u32;

#[derive(Default)]
pub(crate) struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(crate) struct Waiting {
    pub(crate) key: char,
    ticket: Ticket,
    woken: Arc<Flag>,
}

pub(crate) struct World {
    pub(crate) ledger: Ledger<Toy>,
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    turn_at: Option<Instant>,
    /// How often it was turned.
    pub(crate) turns: u32,
    pub(crate) random: u64,
    pub(crate) connecting: Vec<(Slot, char)>,
    pub(crate) checking: Vec<(Slot, char, Box<Held<String>>)>,
    pub(crate) closing: Vec<(Slot, char, String)>,
    pub(crate) waiting: BTreeMap<Caller, Waiting>,
    pub(crate) lent: BTreeMap<Caller, (Slot, char, Box<Held<String>>)>,
    pub(crate) made: BTreeMap<char, u32>,
    /// Who was served, in the order in which it was.
    pub(crate) served: Vec<Caller>,
    /// What happened since it was last asked.
    said: Vec<String>,
}

impl World {
    pub(crate) fn new(config: Config) -> Self {
        // A test that is told its time needs one moment to begin with.
        let start = tokio::time::Instant::now().into_std();
        Self {
            ledger: Ledger::new(config, start).unwrap(),
            start,
            now: start,
            turn_at: None,
            turns: 0,
            random: 0,
            connecting: Vec::new(),
            checking: Vec::new(),
            closing: Vec::new(),
            waiting: BTreeMap::new(),
            lent: BTreeMap::new(),
            made: BTreeMap::new(),
            served: Vec::new(),
            said: Vec::new(),
        }
    }

    /// What happened since this was last called.
    pub(crate) fn said(&mut self) -> String {
        std::mem::take(&mut self.said).join(", ")
    }

    /// Lets time pass, with a turn at every moment that the ledger asked for.
    pub(crate) fn advance(&mut self, to: Instant) {
        while let Some(due) = self.turn_at.filter(|due| *due <= to) {
            self.now = self.now.max(due);
            self.turn();
        }
        self.now = to;
    }

    pub(crate) fn turn(&mut self) {
        self.turns += 1;
        let now = self.now;
        let next = self.tell(|ledger, orders| ledger.turn(now, orders));
        assert!(next.is_none_or(|next| next > now), "a turn that asks for another at once");
        self.turn_at = next;
    }

    /// One call to the ledger, and what it orders.
    pub(crate) fn tell<T>(
        &mut self,
        call: impl FnOnce(&mut Ledger<Toy>, &mut Orders<Toy>) -> T,
    ) -> T {
        let mut orders = Orders::new();
        let answer = call(&mut self.ledger, &mut orders);
        let look = orders.look();
        for order in orders {
            match order {
                Order::Connect { slot, key } => {
                    self.said.push(format!("connect {key}"));
                    self.connecting.push((slot, key));
                }
                Order::Check { slot, key, held } => {
                    self.said.push(format!("check {}", held.connection));
                    self.checking.push((slot, key, held));
                }
                Order::Close { slot, key, connection, cause } => {
                    self.said.push(format!("close {connection} {}", word(cause)));
                    self.closing.push((slot, key, connection));
                }
                Order::Wake(waker) => waker.wake(),
                Order::Emptied => self.said.push("emptied".into()),
                _ => {}
            }
        }
        self.claim_all();
        if look {
            self.turn();
        }
        answer
    }

    /// Everyone who was woken asks for the answer, and nobody else has one.
    fn claim_all(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        for (caller, waiting) in waiting {
            let woken = waiting.woken.0.load(Ordering::Relaxed);
            let waker = Waker::from(Arc::clone(&waiting.woken));
            let mut orders = Orders::new();
            match self.ledger.claim(&waiting.ticket, &waker, &mut orders) {
                Poll::Pending => {
                    assert!(!woken, "{caller} was woken for nothing");
                    self.waiting.insert(caller, waiting);
                }
                Poll::Ready(answer) => {
                    assert!(woken, "{caller} was never woken");
                    let slot = self.ledger.find(&waiting.key);
                    match answer {
                        Ok(held) => self.serve(caller, slot.unwrap(), waiting.key, held),
                        Err(error) => self.said.push(format!("{caller} {}", failure(&error))),
                    }
                }
            }
        }
    }

    fn serve(&mut self, caller: Caller, slot: Slot, key: char, held: Box<Held<String>>) {
        assert!(held.expires().is_none_or(|at| at > self.now), "{caller} got an expired one");
        self.said.push(format!("{caller} gets {}", held.connection));
        self.served.push(caller);
        self.lent.insert(caller, (slot, key, held));
    }

    pub(crate) fn ask(&mut self, caller: Caller, key: char) {
        let now = self.now;
        let woken = Arc::<Flag>::default();
        let waker = Waker::from(Arc::clone(&woken));
        let slot = match self.tell(|ledger, orders| ledger.enter(&key, now, orders)) {
            Ok(slot) => slot,
            Err(error) => return self.said.push(format!("{caller} {}", failure(&error))),
        };
        if let Some(held) = self.tell(|ledger, orders| ledger.take(slot, orders)) {
            return self.serve(caller, slot, key, held);
        }
        // Until the caller is entered here as waiting, nothing may be claimed for it.
        let mut orders = Orders::new();
        match self.ledger.wait(slot, now, &waker, &mut orders) {
            Ok(ticket) => drop(self.waiting.insert(caller, Waiting { key, ticket, woken })),
            Err(error) => self.said.push(format!("{caller} {}", failure(&error))),
        }
        self.tell(|_, later| *later = orders);
    }

    pub(crate) fn cancel(&mut self, caller: Caller) {
        if let Some(waiting) = self.waiting.remove(&caller) {
            let now = self.now;
            self.tell(|ledger, orders| ledger.cancel(waiting.ticket, now, orders));
        }
    }

    pub(crate) fn give_back(&mut self, caller: Caller, fate: Fate) {
        if let Some((slot, _, held)) = self.lent.remove(&caller) {
            let now = self.now;
            self.tell(|ledger, orders| ledger.release(slot, held, now, fate, orders));
        }
    }

    pub(crate) fn detach(&mut self, caller: Caller) -> Option<String> {
        let (slot, _, held) = self.lent.remove(&caller)?;
        let now = self.now;
        Some(self.tell(|ledger, orders| ledger.detach(slot, held, now, orders)))
    }

    /// The attempt that began first, of this key, ends.
    pub(crate) fn connected(&mut self, key: char, works: bool) {
        let Some(at) = self.connecting.iter().position(|(_, other)| *other == key) else { return };
        let (slot, _) = self.connecting.remove(at);
        let result = if works {
            let number = self.made.entry(key).or_default();
            *number += 1;
            Ok(format!("{key}{number}"))
        } else {
            Err(ConnectFailure::Failed("refused"))
        };
        let (now, random) = (self.now, self.random);
        self.tell(|ledger, orders| ledger.connected(slot, result, now, random, orders));
    }

    pub(crate) fn checked(&mut self, at: usize, healthy: bool) {
        let (slot, _, held) = self.checking.remove(at);
        let (now, random) = (self.now, self.random);
        self.tell(|ledger, orders| ledger.checked(slot, held, healthy, now, random, orders));
    }

    pub(crate) fn closed(&mut self, at: usize) {
        let (slot, ..) = self.closing.remove(at);
        let now = self.now;
        self.tell(|ledger, orders| ledger.closed(slot, now, orders));
    }
}

fn word(cause: Cause) -> String {
    format!("{cause:?}").to_lowercase()
}

fn failure(error: &AcquireError<&str>) -> &'static str {
    match error {
        AcquireError::Timeout { .. } => "times out",
        AcquireError::Exhausted { .. } => "is refused",
        AcquireError::TooManyKeys { .. } => "is one key too many",
        AcquireError::Closed => "finds it closed",
        AcquireError::Connect(_) => "fails",
        _ => "is abandoned",
    }
}

/// Milliseconds.
pub(crate) fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}
