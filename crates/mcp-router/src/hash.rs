//! A hash of names that is cheap where names are short.
//!
//! It stands in no one's way who wants collisions: what is looked up is the names of calls, what is
//! stored those of the configuration, and the worst that a collision does is one comparison.

use std::hash::{BuildHasherDefault, Hasher};

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A map whose keys are hashes already.
pub(crate) type HashedMap<V> = std::collections::HashMap<u64, V, BuildHasherDefault<AsItIs>>;

/// Bits that all depend on all of these.
#[inline]
pub(crate) const fn mix(bits: u64) -> u64 {
    let product = bits as u128 * ODD as u128;
    let bits = (product >> 64) as u64 ^ product as u64;
    (bits ^ bits >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

#[inline]
pub(crate) fn hash(text: &str) -> u64 {
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    let mut state = text.len() as u64 ^ ODD;
    for word in words {
        state = mix(state ^ u64::from_le_bytes(*word));
    }
    let last = rest.iter().fold(0, |last, byte| last << 8 | u64::from(*byte));
    let state = mix(state ^ last);
    state ^ state >> 32
}

/// One more part of a key.
#[inline]
pub(crate) const fn and(state: u64, part: u64) -> u64 {
    let state = mix(state.rotate_left(23) ^ part);
    state ^ state >> 32
}

/// Hands a hash through.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |state, byte| and(state, u64::from(*byte)));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
