//! The choice: nothing is allocated and no lock is taken.

use std::sync::atomic::Ordering::Relaxed;

use crate::endpoint::State;
use crate::scan::{NEVER, better, cost_of, roulette};
use crate::set::Set;
use crate::sticky::Sticky;
use crate::{Ask, Strategy};

impl Set {
    /// The index of an endpoint for a call; `None` if there is none that could be called.
    #[inline]
    pub(crate) fn choose(&self, ask: &Ask<'_>, at: u64) -> Option<usize> {
        self.refresh_if_due(at);
        // The common case first, and alone: all else is a call away.
        if self.is_scanned
            && ask.exclude.is_empty()
            && ask.needs == 0
            && let Some(found) = self.board.least()
        {
            return Some(found);
        }
        self.choose_with_care(ask, at)
    }

    #[inline(never)]
    fn choose_with_care(&self, ask: &Ask<'_>, at: u64) -> Option<usize> {
        match (&self.shared.sticky, ask.key) {
            (Some(sticky), Some(key)) => self.stick(sticky, key, ask, at),
            _ => self.freely(ask, at),
        }
    }

    fn freely(&self, ask: &Ask<'_>, at: u64) -> Option<usize> {
        if ask.exclude.is_empty()
            && ask.needs == 0
            && let Some(found) = self.quickly(ask)
        {
            return Some(found);
        }
        self.each(ask, at)
    }

    /// One that is available, if anything will do.
    fn quickly(&self, ask: &Ask<'_>) -> Option<usize> {
        let config = &self.shared.config;
        match config.strategy {
            Strategy::PowerOfTwo => better(self.board.words(), 2, ask.random),
            Strategy::WeightedResponseTime => roulette(self.board.words(), ask.random),
            Strategy::ConsistentHash => self.by_key(ask),
            // What it can do is not in the words.
            Strategy::CapabilityBased => None,
            _ if self.members.len() <= config.scan_max => self.board.least(),
            _ => better(self.board.words(), config.choices, ask.random),
        }
    }

    /// Where the key went before, or else where it goes from now on.
    fn stick(&self, sticky: &Sticky, key: u64, ask: &Ask<'_>, at: u64) -> Option<usize> {
        if let Some(index) = sticky.get(key, at).and_then(|serial| self.index_of(serial)) {
            let stays = self.board.get(index) != NEVER
                || self.members[index].endpoint.state() == State::Draining;
            if stays && self.will_do(index, ask) {
                self.shared.stuck.add(1);
                return Some(index);
            }
        }
        let found = self.freely(ask, at)?;
        sticky.put(key, self.members[found].endpoint.serial, at);
        Some(found)
    }

    fn index_of(&self, serial: u32) -> Option<usize> {
        let at = self.serials.binary_search_by_key(&serial, |(serial, _)| *serial).ok()?;
        Some(self.serials[at].1)
    }

    fn by_key(&self, ask: &Ask<'_>) -> Option<usize> {
        let table = self.table.as_ref()?;
        let key = ask.key.unwrap_or(ask.random);
        let open = |index: usize| self.board.get(index) != NEVER && self.will_do(index, ask);
        // Fractions of the calls in flight, this one among them.
        let all = f64::from(self.shared.in_flight.load(Relaxed)) + 1.0;
        let weights = self.weight.load(Relaxed).max(1) as f64;
        let bound = self.shared.config.load_factor * all / weights;
        let within = |index: usize| {
            let member = &self.members[index];
            let most = (bound * f64::from(member.spec.weight)).ceil();
            open(index) && f64::from(member.endpoint.in_flight.load(Relaxed)) < most
        };
        table.find(key, within).or_else(|| table.find(key, open))
    }

    /// Whether the call may go there.
    fn will_do(&self, index: usize, ask: &Ask<'_>) -> bool {
        !ask.exclude.contains(&index)
            && self.members[index].spec.capabilities & ask.needs == ask.needs
    }

    /// Looks at each: what is excluded, not able or not well comes last or not at all.
    fn each(&self, ask: &Ask<'_>, at: u64) -> Option<usize> {
        if self.table.is_some()
            && let Some(found) = self.by_key(ask)
        {
            return Some(found);
        }
        let mut best: Option<(u8, u64, usize)> = None;
        for index in 0..self.members.len() {
            let Some(class) = self.class(index, ask, at) else { continue };
            // Without the index, which decides nothing: of two the same, the one that comes first.
            let word = self.specialised(index, ask, at) >> 8;
            if best.is_none_or(|(least, cost, _)| (class, word) < (least, cost)) {
                best = Some((class, word, index));
            }
        }
        let (class, _, index) = best?;
        if class > 0 {
            self.shared.resorts.add(1);
        }
        Some(index)
    }

    /// How far from what is wanted it is to call this one; `None` if it cannot be.
    fn class(&self, index: usize, ask: &Ask<'_>, at: u64) -> Option<u8> {
        let member = &self.members[index];
        let state = member.endpoint.state();
        if state == State::Away || member.spec.capabilities & ask.needs != ask.needs {
            return None;
        }
        let excluded = if ask.exclude.contains(&index) { 4 } else { 0 };
        Some(
            excluded
                + match state {
                    _ if member.endpoint.is_well(at) && self.is_in_play(member) => 0,
                    _ if member.endpoint.is_well(at) => 1,
                    State::Ready | State::Degraded => 2,
                    _ => 3,
                },
        )
    }

    /// The word of a member; what can do more than is needed is dearer where that is asked for.
    fn specialised(&self, index: usize, ask: &Ask<'_>, at: u64) -> u64 {
        let word = match self.board.get(index) {
            NEVER => self.word(index, at),
            word => word,
        };
        if self.shared.config.strategy != Strategy::CapabilityBased {
            return word;
        }
        let spare = (self.members[index].spec.capabilities & !ask.needs).count_ones();
        let dearer = cost_of(word) * (1 + spare) as f32;
        u64::from(dearer.to_bits()) << 32 | word & u64::from(u32::MAX)
    }
}
