//! Keys that are remembered with where they went: bounded, without a lock, without an allocation.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::scan::mixed;

/// A key has so many places, of which the longest unused is given up.
const WAYS: usize = 8;
const SERIALS: u32 = (1 << 20) - 1;
const SECONDS: u64 = (1 << 20) - 1;

/// A word of the table: 24 bits of the key's hash, 20 of the endpoint's serial number, and the second
/// of its last use in 20. Two keys of one bucket are taken for each other once in sixteen million,
/// and then share an endpoint.
#[derive(Debug)]
pub(crate) struct Sticky {
    words: Box<[AtomicU64]>,
}

impl Sticky {
    /// Room for at least so many keys; `None` for none.
    pub(crate) fn new(keys_max: usize) -> Option<Self> {
        let words = keys_max.next_multiple_of(WAYS);
        (words > 0).then(|| Self { words: (0..words).map(|_| AtomicU64::new(0)).collect() })
    }

    /// The endpoint that the key went to.
    pub(crate) fn get(&self, key: u64, at: u64) -> Option<u32> {
        let (bucket, mark) = self.bucket(key);
        let read = |word| (word, AtomicU64::load(word, Relaxed));
        let (word, found) = bucket.iter().map(read).find(|(_, found)| is_of(*found, mark))?;
        let serial = serial(found);
        let fresh = packed(mark, serial, at);
        if found != fresh {
            // Unless another key has taken the place in the meantime.
            let _ = word.compare_exchange(found, fresh, Relaxed, Relaxed);
        }
        Some(serial)
    }

    /// The key goes to this endpoint from now on.
    pub(crate) fn put(&self, key: u64, serial: u32, at: u64) {
        let (bucket, mark) = self.bucket(key);
        let now = seconds(at);
        let idle = |word: &&AtomicU64| match word.load(Relaxed) {
            0 => u64::MAX - 1,
            word if is_of(word, mark) => u64::MAX,
            word => now.wrapping_sub(word) & SECONDS,
        };
        if let Some(word) = bucket.iter().max_by_key(idle) {
            word.store(packed(mark, serial, at), Relaxed);
        }
    }

    /// What a serial number is as it is remembered.
    pub(crate) fn short(serial: u32) -> u32 {
        serial & SERIALS
    }

    fn bucket(&self, key: u64) -> (&[AtomicU64], u64) {
        let hash = mixed(key);
        let bucket = hash as usize % (self.words.len() / WAYS);
        // Never 0, which is a word that nobody has.
        (&self.words[bucket * WAYS..][..WAYS], hash >> 40 | 1)
    }
}

fn packed(mark: u64, serial: u32, at: u64) -> u64 {
    mark << 40 | u64::from(Sticky::short(serial)) << 20 | seconds(at)
}

fn is_of(word: u64, mark: u64) -> bool {
    word >> 40 == mark
}

fn serial(word: u64) -> u32 {
    (word >> 20) as u32 & SERIALS
}

fn seconds(at: u64) -> u64 {
    (at / 1_000_000_000) & SECONDS
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn what_is_remembered_is_found() {
        let sticky = Sticky::new(1 << 14).unwrap();
        (0..4_000).for_each(|key| sticky.put(key, key as u32 % 1_000, 0));
        let found = (0..4_000).filter(|key| sticky.get(*key, 0) == Some(*key as u32 % 1_000));
        assert!(found.count() > 3_990);
        assert_eq!(sticky.get(5_000, 0), None);
        sticky.put(7, 3, SECOND);
        assert_eq!(sticky.get(7, SECOND), Some(3));
    }

    #[test]
    fn the_longest_unused_is_given_up() {
        let sticky = Sticky::new(1).unwrap();
        for key in 0..WAYS as u64 {
            sticky.put(key, key as u32, key * SECOND);
        }
        assert_eq!(sticky.get(0, 100 * SECOND), Some(0));
        sticky.put(99, 99, 101 * SECOND);
        assert_eq!(sticky.get(1, 101 * SECOND), None);
        assert_eq!(sticky.get(0, 101 * SECOND), Some(0));
        assert_eq!(sticky.get(99, 101 * SECOND), Some(99));
        assert!(Sticky::new(0).is_none());
    }
}
