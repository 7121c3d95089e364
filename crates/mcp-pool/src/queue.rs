//! Those who wait, and the answers they have not fetched: first come, first served, and whoever is
//! in the middle leaves as cheaply as the first.

/// A list through a table: no allocation for a waiter once the table has grown.
pub(crate) struct Queue<W, A> {
    entries: Vec<(u64, Entry<W, A>)>,
    /// The first vacant entry; each names the next.
    vacant: Link,
    first: Link,
    last: Link,
    waiting: usize,
    answered: usize,
}

/// Where an entry lies, and its number: the place is given to another when it was left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    at: Link,
    number: u64,
}

/// `None` as a number of its own, so that an entry stays small.
type Link = u32;
const NONE: Link = Link::MAX;

enum Entry<W, A> {
    Vacant { next: Link },
    Waiting { waiter: W, before: Link, after: Link },
    Answered(A),
}

/// What is left of an entry that was given up.
pub(crate) enum Left<W, A> {
    Waiting(W),
    Answered(A),
}

impl<W, A> Queue<W, A> {
    pub(crate) fn new() -> Self {
        let (vacant, first, last) = (NONE, NONE, NONE);
        Self { entries: Vec::new(), vacant, first, last, waiting: 0, answered: 0 }
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether nobody waits, nor has an answer to fetch.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting + self.answered == 0
    }

    /// Behind all others, with a number that no other has.
    pub(crate) fn push(&mut self, number: u64, waiter: W) -> Place {
        let entry = (number, Entry::Waiting { waiter, before: self.last, after: NONE });
        let at = match self.entries.get(self.vacant as usize) {
            Some(&(_, Entry::Vacant { next })) => {
                let at = std::mem::replace(&mut self.vacant, next);
                self.entries[at as usize] = entry;
                at
            }
            _ => {
                self.entries.push(entry);
                (self.entries.len() - 1) as Link
            }
        };
        match self.last {
            NONE => self.first = at,
            last => self.link(last, |_, after| *after = at),
        }
        self.last = at;
        self.waiting += 1;
        Place { at, number }
    }

    pub(crate) fn first(&self) -> Option<(u64, &W)> {
        self.iter().next()
    }

    /// In the order of arrival.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &W)> {
        let mut at = self.first;
        std::iter::from_fn(move || match self.entries.get(at as usize) {
            Some((number, Entry::Waiting { waiter, after, .. })) => {
                at = *after;
                Some((*number, waiter))
            }
            _ => None,
        })
    }

    /// Whoever waits there.
    pub(crate) fn get_mut(&mut self, place: Place) -> Option<&mut W> {
        match self.entry(place) {
            Some(Entry::Waiting { waiter, .. }) => Some(waiter),
            _ => None,
        }
    }

    /// Answers the first who waits.
    pub(crate) fn answer(&mut self, answer: A) -> Option<W> {
        let waiter = self.unlink(self.first, Entry::Answered(answer))?;
        self.answered += 1;
        Some(waiter)
    }

    /// The answer that lies there.
    pub(crate) fn fetch(&mut self, place: Place) -> Option<A> {
        let vacant = Entry::Vacant { next: self.vacant };
        let entry = self.entry(place)?;
        match std::mem::replace(entry, vacant) {
            Entry::Answered(answer) => {
                self.vacant = place.at;
                self.answered -= 1;
                Some(answer)
            }
            other => {
                *entry = other;
                None
            }
        }
    }

    /// Takes whoever waits there out of the queue, or the answer.
    pub(crate) fn leave(&mut self, place: Place) -> Option<Left<W, A>> {
        if let Some(answer) = self.fetch(place) {
            return Some(Left::Answered(answer));
        }
        self.entry(place)?;
        let waiter = self.unlink(place.at, Entry::Vacant { next: self.vacant })?;
        self.vacant = place.at;
        Some(Left::Waiting(waiter))
    }

    /// Takes a waiter out of the list, and puts something else where it was.
    fn unlink(&mut self, at: Link, instead: Entry<W, A>) -> Option<W> {
        let (_, entry) = self.entries.get_mut(at as usize)?;
        if !matches!(entry, Entry::Waiting { .. }) {
            return None;
        }
        let Entry::Waiting { waiter, before, after } = std::mem::replace(entry, instead) else {
            return None;
        };
        match before {
            NONE => self.first = after,
            before => self.link(before, |_, link| *link = after),
        }
        match after {
            NONE => self.last = before,
            after => self.link(after, |link, _| *link = before),
        }
        self.waiting -= 1;
        Some(waiter)
    }

    fn entry(&mut self, place: Place) -> Option<&mut Entry<W, A>> {
        let (number, entry) = self.entries.get_mut(place.at as usize)?;
        Some(entry).filter(|_| *number == place.number)
    }

    fn link(&mut self, at: Link, set: impl FnOnce(&mut Link, &mut Link)) {
        if let Some((_, Entry::Waiting { before, after, .. })) = self.entries.get_mut(at as usize) {
            set(before, after);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What a `VecDeque` would do, with places that stay.
        #[test]
        fn is_a_queue(moves in prop::collection::vec((0..4_u8, any::<usize>()), 0..200)) {
            let mut queue = Queue::new();
            let (mut waiting, mut answered) = (VecDeque::new(), Vec::new());
            for (number, (kind, at)) in moves.into_iter().enumerate() {
                match kind {
                    0 => waiting.push_back((queue.push(number as u64, number), number)),
                    1 => {
                        let first = waiting.pop_front();
                        prop_assert_eq!(queue.answer(number), first.map(|(_, waiter)| waiter));
                        answered.extend(first.map(|(place, _)| (place, number)));
                    }
                    2 if !answered.is_empty() => {
                        let (place, answer) = answered.swap_remove(at % answered.len());
                        prop_assert!(queue.get_mut(place).is_none());
                        prop_assert_eq!(queue.fetch(place), Some(answer));
                        prop_assert_eq!(queue.fetch(place), None);
                        prop_assert!(queue.leave(place).is_none());
                    }
                    3 if !waiting.is_empty() => {
                        let at = at % waiting.len();
                        let (place, waiter) = waiting.remove(at).expect("it is there");
                        prop_assert_eq!(queue.get_mut(place).copied(), Some(waiter));
                        let left = queue.leave(place);
                        prop_assert!(matches!(left, Some(Left::Waiting(other)) if other == waiter));
                    }
                    _ => {}
                }
                let waiters: Vec<_> = waiting.iter().map(|(_, waiter)| *waiter).collect();
                prop_assert_eq!(queue.iter().map(|(_, waiter)| *waiter).collect::<Vec<_>>(), waiters);
                prop_assert_eq!(queue.waiting(), waiting.len());
                prop_assert_eq!(queue.is_empty(), waiting.is_empty() && answered.is_empty());
                prop_assert!(queue.entries.len() <= number + 1);
            }
        }
    }
}
