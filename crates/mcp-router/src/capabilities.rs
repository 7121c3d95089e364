//! Which server has what.

use std::collections::HashMap;

/// How many servers there may be: a set of them is so many bits.
pub const SERVERS_MAX: usize = 1_024;
const WORDS: usize = SERVERS_MAX / 64;

/// What a server has: the tags it was given, and the tools that it really offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Offer {
    /// The server, or one replica of it.
    pub server: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its tools.
    pub tools: Vec<String>,
}

impl Offer {
    /// A server that has nothing.
    #[must_use]
    pub fn new(server: impl Into<String>) -> Self {
        Self { server: server.into(), ..Self::default() }
    }
}

/// Which server has what. It does not change: [`changed`](Self::changed) and
/// [`without`](Self::without) make another one.
#[derive(Clone, Debug, Default)]
pub struct Capabilities {
    servers: Vec<Option<Offer>>,
    everybody: Bits,
    tags: HashMap<String, Bits>,
    tools: HashMap<String, Bits>,
}

/// Why an offer is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OfferError {
    /// There are [`SERVERS_MAX`] already.
    #[error("there is no room for `{0}`: there are {SERVERS_MAX} servers already")]
    TooManyServers(String),
    /// It has more than [`Capabilities::NAMES_MAX`] tags and tools.
    #[error("`{server}` has {names} tags and tools; {max} is the most", max = Capabilities::NAMES_MAX)]
    TooManyNames {
        /// The server.
        server: String,
        /// How many it has.
        names: usize,
    },
}

impl Capabilities {
    /// How many tags and tools together a server may have.
    pub const NAMES_MAX: usize = 10_000;

    /// These servers.
    ///
    /// # Errors
    ///
    /// [`OfferError`] if there are too many, or one has too much.
    pub fn new(offers: impl IntoIterator<Item = Offer>) -> Result<Self, OfferError> {
        let mut made = Self::default();
        offers.into_iter().try_for_each(|offer| made.put(offer))?;
        Ok(made)
    }

    /// The same, but this server has this now, whether or not it was there.
    ///
    /// # Errors
    ///
    /// [`OfferError`] if there are too many servers, or this one has too much.
    pub fn changed(&self, offer: Offer) -> Result<Self, OfferError> {
        let mut made = self.clone();
        made.put(offer)?;
        Ok(made)
    }

    /// The same without this server.
    #[must_use]
    pub fn without(&self, server: &str) -> Self {
        let mut made = self.clone();
        made.take(server);
        made
    }

    /// The servers that offer this tool (`None` for any) and have all of these tags, in no order.
    pub fn who_has(&self, tool: Option<&str>, tags: &[&str]) -> impl Iterator<Item = &str> {
        let mut bits = match tool {
            Some(tool) => self.tools.get(tool).copied().unwrap_or_default(),
            None => self.everybody,
        };
        for tag in tags {
            bits.keep(&self.tags.get(*tag).copied().unwrap_or_default());
        }
        let name = |at: usize| Some(&*self.servers.get(at)?.as_ref()?.server);
        bits.ones().filter_map(name)
    }

    /// How many servers there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.servers.iter().flatten().count()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn put(&mut self, offer: Offer) -> Result<(), OfferError> {
        let names = offer.tags.len() + offer.tools.len();
        if names > Self::NAMES_MAX {
            return Err(OfferError::TooManyNames { server: offer.server, names });
        }
        self.take(&offer.server);
        let free = self.servers.iter().position(Option::is_none);
        let at = free.unwrap_or(self.servers.len());
        if at == SERVERS_MAX {
            return Err(OfferError::TooManyServers(offer.server));
        }
        self.everybody.set(at);
        offer.tags.iter().for_each(|tag| self.tags.entry(tag.clone()).or_default().set(at));
        offer.tools.iter().for_each(|tool| self.tools.entry(tool.clone()).or_default().set(at));
        match self.servers.get_mut(at) {
            Some(slot) => *slot = Some(offer),
            None => self.servers.push(Some(offer)),
        }
        Ok(())
    }

    fn take(&mut self, server: &str) {
        let is_it = |slot: &Option<Offer>| slot.as_ref().is_some_and(|one| one.server == server);
        let Some(at) = self.servers.iter().position(is_it) else { return };
        self.everybody.clear(at);
        if let Some(offer) = self.servers[at].take() {
            forget(&mut self.tags, &offer.tags, at);
            forget(&mut self.tools, &offer.tools, at);
        }
    }
}

/// What nobody has any more is not remembered.
fn forget(map: &mut HashMap<String, Bits>, names: &[String], at: usize) {
    for name in names {
        if let Some(bits) = map.get_mut(name) {
            bits.clear(at);
            if *bits == Bits::default() {
                map.remove(name);
            }
        }
    }
}

/// A set of servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bits([u64; WORDS]);

impl Bits {
    fn set(&mut self, at: usize) {
        self.0[at / 64] |= 1 << (at % 64);
    }

    fn clear(&mut self, at: usize) {
        self.0[at / 64] &= !(1 << (at % 64));
    }

    fn keep(&mut self, others: &Self) {
        self.0.iter_mut().zip(others.0).for_each(|(word, other)| *word &= other);
    }

    fn ones(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(word, mut bits)| {
            std::iter::from_fn(move || {
                let at = bits.trailing_zeros() as usize;
                bits &= bits.wrapping_sub(1);
                (at < 64).then_some(word * 64 + at)
            })
        })
    }
}
