//! Which endpoint a key belongs to: whatever the others are, as far as that can be.

mod maglev;
mod ring;

pub(crate) use maglev::Maglev;
pub(crate) use ring::Ring;

use crate::Hashing;
use crate::scan::mixed;

/// A key as a number: FNV-1a, mixed. The same in every process and every version.
pub fn hash_key(key: impl AsRef<[u8]>) -> u64 {
    let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    mixed(key.as_ref().iter().fold(0xcbf2_9ce4_8422_2325, fnv))
}

/// Keys to endpoints.
#[derive(Debug)]
pub(crate) enum Table {
    Maglev(Maglev),
    Ring(Ring),
}

/// How many places are looked at for one whose endpoint will do.
const STEPS_MAX: usize = 256;

impl Table {
    /// For endpoints of these ids and weights; those of weight 0 get no keys.
    pub(crate) fn new(hashing: Hashing, endpoints: &[(&str, u32)]) -> Self {
        match hashing {
            Hashing::Maglev => Self::Maglev(Maglev::new(endpoints)),
            Hashing::Ring => Self::Ring(Ring::new(endpoints)),
        }
    }

    /// The endpoint that the key belongs to, or the first after it that will do, in an order that is
    /// the key's own.
    pub(crate) fn find(&self, key: u64, will_do: impl Fn(usize) -> bool) -> Option<usize> {
        // Whatever the caller takes for a key, near keys are not near each other here.
        let key = mixed(key);
        let (places, first) = match self {
            Self::Maglev(table) => (table.places(), table.place(key)),
            Self::Ring(ring) => (ring.places(), ring.place(key)),
        };
        let (before, after) = places.split_at(first.min(places.len()));
        let order = after.iter().chain(before).take(STEPS_MAX).map(|index| usize::from(*index));
        let mut last = None;
        for index in order {
            // Points of one endpoint lie beside each other now and then.
            if last != Some(index) && will_do(index) {
                return Some(index);
            }
            last = Some(index);
        }
        None
    }
}
