//! Many words that many threads write, of which the least is found at a glance.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::scan::{INDEX, NEVER};

/// Words that are looked at when one of them changes, so that a choice looks at one in so many.
const BLOCK: usize = 8;

/// A word for each endpoint, and of each block of words the least.
///
/// Two threads that write words of one block at a time may leave a block's least behind the truth. A
/// least that is no word any more is found out when it is chosen; a word that is less than its
/// block's least is overlooked until a word of the block is written again, which
/// [`Set`](crate::set::Set) does every 50 ms. Exact would be a lock.
#[derive(Debug)]
pub(crate) struct Board {
    words: Box<[AtomicU64]>,
    least: Box<[AtomicU64]>,
}

impl Board {
    /// So many, all of them [`NEVER`].
    pub(crate) fn new(count: usize) -> Self {
        let never = |count| (0..count).map(|_| AtomicU64::new(NEVER)).collect();
        Self { words: never(count), least: never(count.div_ceil(BLOCK)) }
    }

    pub(crate) fn words(&self) -> &[AtomicU64] {
        &self.words
    }

    pub(crate) fn get(&self, index: usize) -> u64 {
        self.words[index].load(Relaxed)
    }

    pub(crate) fn set(&self, index: usize, word: u64) {
        self.words[index].store(word, Relaxed);
        let block = index / BLOCK;
        let words = &self.words[block * BLOCK..];
        self.least[block].store(least_of(&words[..words.len().min(BLOCK)]), Relaxed);
    }

    /// The index of the least word, of at most 256; `None` if all are [`NEVER`].
    #[inline]
    pub(crate) fn least(&self) -> Option<usize> {
        let least = least_of(&self.least);
        let index = (least & INDEX) as usize;
        // NEVER has an index that most boards do not have.
        if self.words.get(index).is_some_and(|word| word.load(Relaxed) == least) {
            return (least != NEVER).then_some(index);
        }
        self.look_at_all()
    }

    #[cold]
    fn look_at_all(&self) -> Option<usize> {
        let least = least_of(&self.words);
        (least != NEVER).then_some((least & INDEX) as usize)
    }
}

#[inline]
fn least_of(words: &[AtomicU64]) -> u64 {
    // Four chains of comparisons: one would wait for itself at each step. And no branches: which word
    // is the least is what nobody can foretell.
    let mut best = [NEVER; 4];
    let chunks = words.chunks_exact(4);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (best, word) in best.iter_mut().zip(chunk) {
            *best = (*best).min(word.load(Relaxed));
        }
    }
    for (best, word) in best.iter_mut().zip(rest) {
        *best = (*best).min(word.load(Relaxed));
    }
    let [a, b, c, d] = best;
    a.min(b).min(c.min(d))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::by_cost;

    fn board(words: &[u64]) -> Board {
        let board = Board::new(words.len());
        words.iter().enumerate().for_each(|(index, word)| board.set(index, *word));
        board
    }

    #[test]
    fn the_least_is_found_wherever_it_is() {
        for count in [1, 2, 7, 8, 9, 31, 256] {
            for at in 0..count {
                let cost = |index| if index == at { 1.0 } else { 2.0 };
                let words: Vec<_> =
                    (0..count).map(|index| by_cost(cost(index), 0, index)).collect();
                let board = board(&words);
                assert_eq!(board.least(), Some(at));
                board.set(at, NEVER);
                assert_ne!(board.least(), Some(at));
            }
        }
        assert_eq!(board(&[NEVER; 5]).least(), None);
        assert_eq!(board(&[NEVER; 256]).least(), None);
        assert_eq!(board(&[]).least(), None);
    }

    #[test]
    fn among_equals_it_is_who_was_chosen_longest_ago() {
        let words = [by_cost(1.0, 7, 0), by_cost(1.0, 5, 1), by_cost(1.0, 6, 2)];
        assert_eq!(board(&words).least(), Some(1));
    }

    #[test]
    fn a_least_that_is_no_word_any_more_is_found_out() {
        let board = board(&[by_cost(1.0, 0, 0), by_cost(2.0, 0, 1)]);
        // As another thread leaves it in the middle of a change.
        board.words[0].store(NEVER, Relaxed);
        assert_eq!(board.least(), Some(1));
    }
}
