//! Sessions of ours that say what stateless clients can do.
//!
//! A server with sessions is told once, when a session begins, what its client can do, and asks
//! accordingly. A stateless client says so with each request. So there are sessions for each thing
//! that clients say, and a request goes over one of those that say the same.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use crate::failure::Failure;
use crate::lease::{Lease, Seat};
use crate::link::own_info;
use crate::opener::Wish;
use crate::server::{Server, lock};
use crate::slot::Slot;
use crate::upstream::Upstream;

/// Different things that clients of one server may say of themselves at a time.
const PROFILES_MAX: usize = 16;
/// Sessions of one server that calls have for themselves at a time: processes are dear,
const PROCESSES_MAX: usize = 16;
/// and sessions without one are not.
const SESSIONS_MAX: usize = 128;
/// What a client says of itself, in bytes: it is kept, and said to every session.
const OFFER_BYTES_MAX: usize = 64 << 10;
/// A session that nobody has used for so long is closed.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// After a failed start nobody tries again for this long: no retry storm.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it is looked for sessions that nobody uses.
const SWEEP_INTERVAL: Duration = Duration::from_secs(15);

/// What a stateless client says it can do, and which client that is if it has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// The capabilities, as JSON text.
    capabilities: Box<str>,
    /// The number of a client with a connection of its own to us: it shares sessions with nobody.
    client: Option<u64>,
}

impl Offer {
    pub(crate) fn new(capabilities: &str, client: Option<u64>) -> Result<Arc<Self>, Failure> {
        if capabilities.len() > OFFER_BYTES_MAX {
            let why = format!("the client's capabilities have more than {OFFER_BYTES_MAX} bytes");
            return Err(Failure::Params { why });
        }
        Ok(Arc::new(Self { capabilities: capabilities.into(), client }))
    }
}

/// The sessions of one server, by what they say.
#[derive(Debug)]
pub(crate) struct Profiles {
    table: Mutex<Table>,
    /// One for each call that has a session for itself. Who waits is served in order.
    places: Arc<Semaphore>,
    places_max: usize,
}

#[derive(Debug, Default)]
struct Table {
    profiles: Vec<Profile>,
    sweeping: bool,
}

#[derive(Debug)]
struct Profile {
    offer: Arc<Offer>,
    /// Where the first session is opened, once for all who come together.
    first: Arc<Slot>,
    /// The one used last stands last, and is used next: so calls one after the other meet the
    /// same process.
    seats: Vec<Place>,
    /// Who holds a session, or waits for one.
    interested: usize,
    /// The last failure to open one.
    failed: Option<(Instant, Failure)>,
    used: Instant,
}

#[derive(Debug)]
struct Place {
    seat: Arc<Seat>,
    taken: bool,
    used: Instant,
}

/// Keeps a profile from being given up.
#[derive(Debug)]
pub(crate) struct Interest {
    server: Arc<Server>,
    offer: Arc<Offer>,
}

impl Profiles {
    pub(crate) fn new(has_processes: bool) -> Self {
        let places_max = if has_processes { PROCESSES_MAX } else { SESSIONS_MAX };
        let places = Arc::new(Semaphore::new(places_max));
        Self { table: Mutex::default(), places, places_max }
    }

    /// Closes every session; calls that have one keep it until they end.
    pub(crate) fn clear(&self) {
        let closed = std::mem::take(&mut lock(&self.table).profiles);
        drop(closed);
    }
}

impl Table {
    fn profile(&mut self, offer: &Offer) -> Option<&mut Profile> {
        self.profiles.iter_mut().find(|profile| *profile.offer == *offer)
    }

    /// Makes room for one more profile; `None` if all are in use.
    fn evict(&mut self) -> Option<Option<Profile>> {
        if self.profiles.len() < PROFILES_MAX {
            return Some(None);
        }
        let unused = self.profiles.iter().enumerate().filter(|(_, p)| p.interested == 0);
        let (oldest, _) = unused.min_by_key(|(_, profile)| profile.used)?;
        Some(Some(self.profiles.swap_remove(oldest)))
    }

    /// Takes out the session that has been idle longest, if there are `limit` already.
    fn trim(&mut self, limit: usize) -> Option<Place> {
        let count: usize = self.profiles.iter().map(|profile| profile.seats.len()).sum();
        if count < limit {
            return None;
        }
        let seats = self.profiles.iter_mut().flat_map(|profile| {
            let idle = profile.seats.iter().enumerate().filter(|(_, place)| !place.taken);
            let oldest =
                idle.min_by_key(|(_, place)| place.used).map(|(at, place)| (at, place.used));
            oldest.map(|(at, used)| (used, at, profile))
        });
        let (_, at, profile) = seats.min_by_key(|(used, ..)| *used)?;
        Some(profile.remove(at))
    }
}

impl Profile {
    fn remove(&mut self, at: usize) -> Place {
        let place = self.seats.remove(at);
        self.first.clear_of(&place.seat.upstream);
        place
    }

    /// Takes out what is dead, and what has been idle since before `then`.
    fn prune(&mut self, then: Option<Instant>) -> Vec<Place> {
        let (mut gone, mut at) = (Vec::new(), 0);
        while let Some(place) = self.seats.get(at) {
            let idle = !place.taken && then.is_some_and(|then| place.used <= then);
            let dead = !place.seat.upstream.is_usable();
            if idle || dead {
                gone.push(self.remove(at));
            } else {
                at += 1;
            }
        }
        gone
    }
}

impl Server {
    /// A session that says `offer`, for a request that nothing is asked because of: it may be one
    /// that a call has for itself, since the server's questions go to that one.
    pub(crate) async fn session_offering(
        &self,
        offer: &Arc<Offer>,
    ) -> Result<Arc<Upstream>, Failure> {
        let interest = self.interest(offer)?;
        let known = {
            let mut table = lock(&self.profiles.table);
            let profile = table.profile(offer);
            profile.and_then(|profile| {
                let usable = |place: &&mut Place| place.seat.upstream.is_usable();
                let place = profile.seats.iter_mut().rev().find(usable)?;
                place.used = Instant::now();
                Some(Arc::clone(&place.seat.upstream))
            })
        };
        match known {
            Some(upstream) => Ok(upstream),
            None => interest.open_first().await,
        }
    }

    /// A session that says `offer`, for one call alone. Waits while all that there may be are
    /// taken, as long as a call may take.
    pub(crate) async fn lease(&self, offer: &Arc<Offer>) -> Result<Lease, Failure> {
        let places = Arc::clone(&self.profiles.places);
        let waited = timeout(self.timing().timeout, places.acquire_owned()).await;
        let Ok(Ok(place)) = waited else {
            let most = self.profiles.places_max;
            let why = format!("all {most} of its sessions are taken by calls of stateless clients");
            return Err(Failure::Overloaded { server: self.name().to_owned(), why });
        };
        let interest = self.interest(offer)?;
        let seat = match interest.take() {
            Some(seat) => seat,
            None => interest.open_and_take().await?,
        };
        Ok(Lease::new(seat, interest, place))
    }

    fn interest(&self, offer: &Arc<Offer>) -> Result<Interest, Failure> {
        let server = self.itself.upgrade().ok_or(Failure::Stopping)?;
        let mut table = lock(&self.profiles.table);
        let mut evicted = None;
        if table.profile(offer).is_none() {
            evicted = table.evict().ok_or_else(|| Failure::Overloaded {
                server: self.name().to_owned(),
                why: format!("clients of {PROFILES_MAX} kinds are using it already"),
            })?;
            table.profiles.push(Profile::new(Arc::clone(offer)));
        }
        if let Some(profile) = table.profile(offer) {
            profile.interested += 1;
            profile.used = Instant::now();
        }
        if !table.sweeping {
            table.sweeping = true;
            tokio::spawn(sweep(Weak::clone(&self.itself)));
        }
        drop(table);
        drop(evicted);
        Ok(Interest { server, offer: Arc::clone(offer) })
    }
}

impl Profile {
    fn new(offer: Arc<Offer>) -> Self {
        let (first, seats, interested, failed) = (Arc::default(), Vec::new(), 0, None);
        Self { offer, first, seats, interested, failed, used: Instant::now() }
    }
}

impl Interest {
    pub(crate) fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// Puts a session back that a call had for itself, to be used next. One that is not `settled`
    /// is not used again.
    pub(crate) fn give_back(&self, seat: &Arc<Seat>, settled: bool) {
        let mut table = lock(&self.server.profiles.table);
        let Some(profile) = table.profile(&self.offer) else { return };
        let own = |place: &Place| Arc::ptr_eq(&place.seat, seat);
        let Some(at) = profile.seats.iter().position(own) else { return };
        let place = profile.remove(at);
        if settled && seat.upstream.is_usable() {
            profile.seats.push(Place { taken: false, used: Instant::now(), ..place });
        }
    }

    /// An idle session, the one used last.
    fn take(&self) -> Option<Arc<Seat>> {
        let mut table = lock(&self.server.profiles.table);
        let profile = table.profile(&self.offer)?;
        let dead = profile.prune(None);
        let idle = profile.seats.iter_mut().rev().find(|place| !place.taken);
        let seat = idle.map(|place| {
            place.taken = true;
            Arc::clone(&place.seat)
        });
        drop(table);
        drop(dead);
        seat
    }

    /// The first session: who comes while it is being opened waits for it.
    async fn open_first(&self) -> Result<Arc<Upstream>, Failure> {
        let first = {
            let mut table = lock(&self.server.profiles.table);
            table.profile(&self.offer).map(|profile| Arc::clone(&profile.first))
        };
        let first = first.ok_or(Failure::Stopping)?;
        let interest = self.again();
        let open = move || async move {
            let seat = interest.open(false).await?;
            Ok(Arc::clone(&seat.upstream))
        };
        first.get_or_open(open).await
    }

    async fn open_and_take(&self) -> Result<Arc<Seat>, Failure> {
        let none = {
            let mut table = lock(&self.server.profiles.table);
            table.profile(&self.offer).is_none_or(|profile| profile.seats.is_empty())
        };
        if none {
            self.open_first().await?;
            if let Some(seat) = self.take() {
                return Ok(seat);
            }
        }
        self.open(true).await
    }

    /// Opens one more session.
    async fn open(&self, taken: bool) -> Result<Arc<Seat>, Failure> {
        let (capabilities, info) = (&self.offer.capabilities, own_info());
        let params = format!(
            r#"{{"protocolVersion":"2025-11-25","capabilities":{capabilities},"clientInfo":{info}}}"#
        );
        if let Some(failure) = self.failed_just_now() {
            return Err(failure);
        }
        let opened = match self.server.place() {
            Ok(place) => place.open(Wish::Session { params: &params }).await,
            Err(failure) => Err(failure),
        };
        let mut table = lock(&self.server.profiles.table);
        let (upstream, inbox) = opened.inspect_err(|failure| {
            if let Some(profile) = table.profile(&self.offer) {
                profile.failed = Some((Instant::now(), failure.clone()));
            }
        })?;
        let seat = Seat::new(&self.server, upstream, inbox);
        let closed = table.trim(self.server.profiles.places_max);
        if let Some(profile) = table.profile(&self.offer) {
            let place = Place { seat: Arc::clone(&seat), taken, used: Instant::now() };
            profile.seats.push(place);
        }
        drop(table);
        drop(closed);
        Ok(seat)
    }

    fn failed_just_now(&self) -> Option<Failure> {
        let mut table = lock(&self.server.profiles.table);
        let (at, failure) = table.profile(&self.offer)?.failed.as_ref()?;
        (at.elapsed() < PAUSE).then(|| failure.clone())
    }

    fn again(&self) -> Self {
        if let Some(profile) = lock(&self.server.profiles.table).profile(&self.offer) {
            profile.interested += 1;
        }
        Self { server: Arc::clone(&self.server), offer: Arc::clone(&self.offer) }
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        if let Some(profile) = lock(&self.server.profiles.table).profile(&self.offer) {
            // Profiles are forgotten when the fleet stops, whoever is interested.
            profile.interested = profile.interested.saturating_sub(1);
            profile.used = Instant::now();
        }
    }
}

/// Closes sessions that nobody has used for a while, for as long as there are any.
async fn sweep(server: Weak<Server>) {
    loop {
        sleep(SWEEP_INTERVAL).await;
        let Some(server) = server.upgrade() else { return };
        let mut table = lock(&server.profiles.table);
        let then = Instant::now().checked_sub(IDLE_MAX);
        let gone: Vec<_> =
            table.profiles.iter_mut().flat_map(|profile| profile.prune(then)).collect();
        let used = |profile: &Profile| profile.interested > 0 || !profile.seats.is_empty();
        table.profiles.retain(used);
        let over = table.profiles.is_empty();
        table.sweeping = !over;
        drop(table);
        drop(gone);
        if over {
            return;
        }
    }
}
