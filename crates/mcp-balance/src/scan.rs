//! The words in which costs are compared, and what is chosen from them by chance.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The word of an endpoint that is not to be chosen.
pub(crate) const NEVER: u64 = u64::MAX;
/// The bits of a word that hold an index.
pub(crate) const INDEX: u64 = 0xff;

/// A cost, and what decides among equals: the one that was chosen longest ago.
///
/// Costs are not negative, and the bits of such a number are in the order of the numbers.
pub(crate) fn by_cost(cost: f32, chosen: u32, index: usize) -> u64 {
    let bits = u64::from(cost.min(f32::MAX).to_bits());
    bits << 32 | u64::from(chosen & 0xff_ffff) << 8 | index as u64 & INDEX
}

/// The cost in a word.
pub(crate) fn cost_of(word: u64) -> f32 {
    f32::from_bits((word >> 32) as u32)
}

/// Turns that were had.
pub(crate) fn by_turns(turns: u64, index: usize) -> u64 {
    turns.min(u64::MAX >> 9) << 8 | index as u64 & INDEX
}

/// The best of `choices` taken at random; `None` if all of them are [`NEVER`].
pub(crate) fn better(board: &[AtomicU64], choices: usize, random: u64) -> Option<usize> {
    let count = board.len() as u64;
    let (mut best, mut found) = (NEVER, None);
    let (mut bits, mut index) = (random, 0);
    for choice in 0..choices {
        bits = mixed(bits);
        // Each at a distance from the last, so that the second is never the first again.
        let (least, span) = if choice == 0 || count == 1 { (0, count) } else { (1, count - 1) };
        index = (index + least + scaled(bits, span)) % count;
        let word = board[index as usize].load(Relaxed);
        // Without the index, which is not the whole one here.
        if word >> 8 < best >> 8 {
            (best, found) = (word, Some(index as usize));
        }
    }
    found
}

/// One at random, each with a probability that is the inverse of its cost.
pub(crate) fn roulette(board: &[AtomicU64], random: u64) -> Option<usize> {
    let worth = |word: &AtomicU64| match word.load(Relaxed) {
        NEVER => 0.0,
        word => 1.0 / cost_of(word).max(1e-30),
    };
    let total: f32 = board.iter().map(worth).sum();
    let mut left = total * (mixed(random) >> 40) as f32 / (1_u64 << 24) as f32;
    let mut last = None;
    for (index, word) in board.iter().enumerate() {
        let worth = worth(word);
        if worth > 0.0 {
            last = Some(index);
            left -= worth;
            if left < 0.0 {
                break;
            }
        }
    }
    last
}

/// Every bit of the result depends on every bit of `bits` (SplitMix64, Steele et al. 2014).
pub(crate) fn mixed(bits: u64) -> u64 {
    let mut bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

/// `bits` as a number below `span`.
pub(crate) fn scaled(bits: u64, span: u64) -> u64 {
    ((u128::from(bits) * u128::from(span)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(words: impl IntoIterator<Item = u64>) -> Vec<AtomicU64> {
        words.into_iter().map(AtomicU64::new).collect()
    }

    #[test]
    fn two_that_are_taken_are_two() {
        let words = board([by_cost(1.0, 0, 0), by_cost(2.0, 0, 1)]);
        assert!((0..1_000).all(|random| better(&words, 2, random) == Some(0)));
        let words = board([NEVER, by_cost(2.0, 0, 1)]);
        assert!((0..1_000).all(|random| better(&words, 2, random) == Some(1)));
    }

    #[test]
    fn what_costs_half_is_taken_twice_as_often() {
        let words = board([by_cost(1.0, 0, 0), NEVER, by_cost(2.0, 0, 2)]);
        let mut counts = [0; 3];
        for random in 0..30_000 {
            counts[roulette(&words, random).unwrap()] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!((19_500..20_500).contains(&counts[0]), "{counts:?}");
    }
}
