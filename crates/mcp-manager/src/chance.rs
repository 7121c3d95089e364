//! Random bits for choices that nobody has to guess: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// The golden ratio, as an odd part of 2^64.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A source of random bits that many threads share without a lock.
#[derive(Debug)]
pub(crate) struct Chance(AtomicU64);

impl Chance {
    pub(crate) fn next(&self) -> u64 {
        let mut bits = self.0.fetch_add(STEP, Ordering::Relaxed);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

impl Default for Chance {
    fn default() -> Self {
        // Differs from process to process, and from one to the next.
        Self(AtomicU64::new(RandomState::new().hash_one(STEP)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bit_is_as_often_set_as_not() {
        let chance = Chance(AtomicU64::new(1));
        let mut set = [0_u32; 64];
        for _ in 0..10_000 {
            let bits = chance.next();
            for (bit, count) in set.iter_mut().enumerate() {
                *count += u32::from(bits >> bit & 1 == 1);
            }
        }
        // Five standard deviations.
        assert!(set.iter().all(|count| count.abs_diff(5_000) < 250), "{set:?}");
    }
}
