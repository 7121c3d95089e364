//! The lookup table of Maglev (Eisenbud et al., NSDI 2016, section 3.4), with weights as in Envoy.

use super::hash_key;
use crate::scan::{mixed, scaled};

/// A prime, so that every step visits every place. The same for any number of endpoints: with
/// another size every key would move.
const PLACES: usize = 131_101;
const NOBODY: u16 = u16::MAX;

/// Each place has an endpoint; a key has a place.
#[derive(Debug)]
pub(crate) struct Maglev {
    places: Box<[u16]>,
}

/// An endpoint while the table is filled: the order in which it wants the places.
struct Wish {
    index: u16,
    next: usize,
    step: usize,
    /// What it may take in a round; the heaviest takes one place in each.
    share: f64,
    due: f64,
}

impl Maglev {
    pub(crate) fn new(endpoints: &[(&str, u32)]) -> Self {
        let heaviest = endpoints.iter().map(|(_, weight)| *weight).max().unwrap_or(0);
        let wish = |(index, (id, weight)): (usize, &(&str, u32))| {
            let hash = hash_key(id);
            (*weight > 0).then(|| Wish {
                index: index as u16,
                next: (hash % PLACES as u64) as usize,
                step: (mixed(hash) % (PLACES as u64 - 1)) as usize + 1,
                share: f64::from(*weight) / f64::from(heaviest),
                due: 0.0,
            })
        };
        let mut wishes: Vec<_> = endpoints.iter().enumerate().filter_map(wish).collect();
        // Not in the order of the list: who is asked first must not depend on who else is there.
        wishes.sort_by_key(|wish| (wish.next, wish.step));
        let mut places = vec![NOBODY; if wishes.is_empty() { 0 } else { PLACES }];
        let mut left = places.len();
        while left > 0 {
            for wish in &mut wishes {
                wish.due += wish.share;
                if wish.due < 1.0 || left == 0 {
                    continue;
                }
                wish.due -= 1.0;
                while places[wish.next] != NOBODY {
                    wish.next = (wish.next + wish.step) % PLACES;
                }
                places[wish.next] = wish.index;
                left -= 1;
            }
        }
        Self { places: places.into() }
    }

    pub(super) fn places(&self) -> &[u16] {
        &self.places
    }

    pub(super) fn place(&self, key: u64) -> usize {
        scaled(key, self.places.len() as u64) as usize
    }
}
