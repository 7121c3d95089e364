//! One version of the set: its endpoints, and what a call costs at each of them right now.
//!
//! Costs are written when something happens, and a choice only reads them. They lie side by side, so
//! that reading all is a few cache lines.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::board::Board;
use crate::cost::{cost, ramp};
use crate::ejection::is_due;
use crate::endpoint::{Endpoint, State};
use crate::hashing::Table;
use crate::scan::{NEVER, by_cost, by_turns, mixed, scaled};
use crate::shared::{Shared, lock};
use crate::{Outcome, Spec, Strategy};

/// How often costs are written anew for what changes with time alone.
const REFRESH: u64 = 50_000_000;
/// What a turn counts at an endpoint of weight 1.
const TURN: f64 = 65_536.0;

#[derive(Debug)]
pub(crate) struct Set {
    pub(crate) shared: Arc<Shared>,
    pub(crate) members: Box<[Member]>,
    /// A word for each member: the least is chosen, [`NEVER`] is not.
    pub(crate) board: Board,
    /// Serial numbers as they are remembered, sorted, with their indices.
    pub(crate) serials: Box<[(u32, usize)]>,
    /// Of a strategy that goes by keys.
    pub(crate) table: Option<Table>,
    /// Whether a choice is the least of all words, whatever the key.
    pub(crate) is_scanned: bool,
    refreshed: AtomicU64,
    /// Whether other zones are called, and what is not of the subset.
    abroad: AtomicBool,
    beyond: AtomicBool,
    /// Of those that are available together.
    pub(crate) weight: AtomicU64,
}

/// An endpoint's place in a set.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) spec: Spec,
    pub(crate) is_local: bool,
    pub(crate) is_of_subset: bool,
}

/// A call that was begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    pub(crate) index: usize,
    pub(crate) at: u64,
    pub(crate) arm: u8,
    /// Calls that were in flight there before.
    pub(crate) ahead: u32,
}

impl Set {
    pub(crate) fn new(shared: Arc<Shared>, members: Box<[Member]>, at: u64) -> Self {
        let short = |(index, member): (usize, &Member)| {
            (crate::sticky::Sticky::short(member.endpoint.serial), index)
        };
        let mut serials: Box<[_]> = members.iter().enumerate().map(short).collect();
        serials.sort_unstable();
        let table = (shared.config.strategy == Strategy::ConsistentHash).then(|| {
            let keyed = |member: &Member| if member.is_of_subset { member.spec.weight } else { 0 };
            let endpoints: Vec<_> =
                members.iter().map(|member| (&*member.spec.id, keyed(member))).collect();
            Table::new(shared.config.hashing, &endpoints)
        });
        let board = Board::new(members.len());
        let config = &shared.config;
        let by_chance = [
            Strategy::PowerOfTwo,
            Strategy::WeightedResponseTime,
            Strategy::ConsistentHash,
            Strategy::CapabilityBased,
        ];
        let is_scanned = members.len() <= config.scan_max
            && shared.sticky.is_none()
            && !by_chance.contains(&config.strategy);
        let (refreshed, abroad, beyond, weight) = Default::default();
        let set = Self {
            shared,
            members,
            board,
            serials,
            table,
            is_scanned,
            refreshed,
            abroad,
            beyond,
            weight,
        };
        set.refresh(at);
        set
    }

    /// Whether the member is to be chosen before those that are not.
    fn is_available(&self, member: &Member, at: u64) -> bool {
        member.endpoint.is_well(at) && self.is_in_play(member)
    }

    /// Whether nothing but how it is keeps the member from being chosen.
    pub(crate) fn is_in_play(&self, member: &Member) -> bool {
        member.spec.weight > 0
            && (member.is_of_subset || self.beyond.load(Relaxed))
            && (member.is_local || self.abroad.load(Relaxed))
    }

    /// What is compared, whether or not the member is available.
    pub(crate) fn word(&self, index: usize, at: u64) -> u64 {
        let Shared { config, .. } = &*self.shared;
        let (strategy, _) = self.shared.strategy();
        let Member { endpoint, spec, is_local, .. } = &self.members[index];
        if strategy.goes_by_turns() {
            return by_turns(endpoint.turns.load(Relaxed), index);
        }
        let price = if *is_local { 1.0 } else { config.zone_price };
        let cost = cost(strategy, config, endpoint, (spec.weight, price), self.shared.usual(), at);
        by_cost(cost, endpoint.chosen.load(Relaxed), index)
    }

    /// Writes what a call costs at this member.
    fn rescore(&self, index: usize, at: u64) {
        let available = self.is_available(&self.members[index], at);
        let word = if available { self.word(index, at) } else { NEVER };
        self.board.set(index, word);
    }

    #[inline]
    pub(crate) fn refresh_if_due(&self, at: u64) {
        let last = self.refreshed.load(Relaxed);
        if at >= last + REFRESH {
            self.refresh_since(last, at);
        }
    }

    #[cold]
    fn refresh_since(&self, last: u64, at: u64) {
        // Whoever moves the time does the work.
        if self.refreshed.compare_exchange(last, at, Relaxed, Relaxed).is_ok() {
            self.refresh(at);
        }
    }

    /// Writes everything anew.
    pub(crate) fn refresh(&self, at: u64) {
        self.refreshed.fetch_max(at, Relaxed);
        self.shared.learn(self.members.iter().map(|member| &*member.endpoint), at);
        self.spread(at);
        self.catch_up();
        let mut weight = 0;
        for (index, member) in self.members.iter().enumerate() {
            self.rescore(index, at);
            if self.is_available(member, at) {
                weight += u64::from(member.spec.weight);
            }
        }
        self.weight.store(weight, Relaxed);
    }

    /// Decides whether the subset and the zone are enough.
    fn spread(&self, at: u64) {
        let is_well = |member: &&Member| member.spec.weight > 0 && member.endpoint.is_well(at);
        let beyond = !self.members.iter().filter(is_well).any(|member| member.is_of_subset);
        self.beyond.store(beyond, Relaxed);
        let strategy = self.shared.config.strategy;
        let by_cost = !strategy.goes_by_turns() && strategy != Strategy::ConsistentHash;
        let local = |member: &&Member| member.is_local && (beyond || member.is_of_subset);
        let weight = |member: &Member| u64::from(member.spec.weight);
        let here: u64 = self.members.iter().filter(local).map(weight).sum();
        let well: u64 = self.members.iter().filter(local).filter(is_well).map(weight).sum();
        let enough = here > 0 && well as f64 >= here as f64 * self.shared.config.zone_share_min;
        // What goes by cost compares it; the price of another zone is part of it.
        self.abroad.store(by_cost || !enough || well == 0, Relaxed);
    }

    /// Those that could not be chosen until now have not saved up their turns.
    fn catch_up(&self) {
        if !self.shared.config.strategy.goes_by_turns() {
            return;
        }
        let is_away = |(index, _): &(usize, &Member)| self.board.get(*index) == NEVER;
        let turns = |(_, member): (usize, &Member)| member.endpoint.turns.load(Relaxed);
        let here = self.members.iter().enumerate().filter(|one| !is_away(one));
        let Some(least) = here.map(turns).min() else { return };
        for (_, member) in self.members.iter().enumerate().filter(is_away) {
            member.endpoint.turns.fetch_max(least, Relaxed);
        }
    }

    /// A call begins.
    pub(crate) fn begin(&self, index: usize, at: u64) -> Begun {
        let Member { endpoint, spec, .. } = &self.members[index];
        let (strategy, arm) = self.shared.strategy();
        let ahead = endpoint.in_flight.fetch_add(1, Relaxed);
        endpoint.picks.add(1);
        endpoint.chosen.store(self.shared.chosen.fetch_add(1, Relaxed), Relaxed);
        if strategy.goes_by_turns() {
            let weight = if strategy == Strategy::RoundRobin { 1 } else { spec.weight.max(1) };
            let share = f64::from(weight) * f64::from(ramp(&self.shared.config, endpoint, at));
            endpoint.turns.fetch_add((TURN / share) as u64, Relaxed);
        }
        if self.table.is_some() {
            self.shared.in_flight.fetch_add(1, Relaxed);
        }
        self.rescore(index, at);
        Begun { index, at, arm, ahead }
    }

    /// A call has ended so.
    pub(crate) fn end(&self, begun: Begun, outcome: Outcome, at: u64) {
        let Begun { index, .. } = begun;
        let endpoint = &self.members[index].endpoint;
        self.leave(endpoint);
        let nanos = at.saturating_sub(begun.at);
        let seconds = nanos as f32 / 1e9;
        let share = self.shared.config.newest_share;
        match outcome {
            Outcome::Success => {
                endpoint.successes.add(1);
                endpoint.total_nanos.add(nanos);
                endpoint.sample(seconds, begun.ahead, share, at);
                if self.shared.is_first(endpoint) {
                    self.refresh(at);
                }
                endpoint.failing.approach(0.0, FAILING_SHARE);
                endpoint.streak.store(0, Relaxed);
            }
            Outcome::Failure => self.failed(endpoint, begun, at),
            Outcome::Busy(pause) => {
                endpoint.busy.add(1);
                let until = at.saturating_add(pause.min(PAUSE_MAX).as_nanos() as u64);
                endpoint.paused_until.fetch_max(until, Relaxed);
            }
        }
        self.shared.reward(begun.arm, seconds, outcome == Outcome::Success);
        self.rescore(index, at);
    }

    fn failed(&self, endpoint: &Arc<Endpoint>, begun: Begun, at: u64) {
        let seconds = at.saturating_sub(begun.at) as f32 / 1e9;
        endpoint.failures.add(1);
        endpoint.streak.fetch_add(1, Relaxed);
        endpoint.failed.store(at, Relaxed);
        endpoint.failing.approach(1.0, FAILING_SHARE);
        // A failure that took long says how long one waits there; a fast one says nothing.
        if seconds > endpoint.response.mean() {
            endpoint.sample(seconds, begun.ahead, self.shared.config.newest_share, at);
        }
        let config = &self.shared.config.ejection;
        if is_due(config, endpoint) && lock(&self.shared.ledger).eject(config, endpoint, at) {
            self.refresh(at);
        }
    }

    /// A call was given up, and says nothing.
    pub(crate) fn abandon(&self, begun: Begun) {
        let endpoint = &self.members[begun.index].endpoint;
        self.leave(endpoint);
        endpoint.cancelled.add(1);
        self.rescore(begun.index, self.refreshed.load(Relaxed));
    }

    fn leave(&self, endpoint: &Endpoint) {
        endpoint.in_flight.fetch_sub(1, Relaxed);
        if self.table.is_some() {
            self.shared.in_flight.fetch_sub(1, Relaxed);
        }
    }

    /// Its owner says how the member is.
    pub(crate) fn set_state(&self, index: usize, state: State, at: u64) {
        let Some(member) = self.members.get(index) else { return };
        if member.endpoint.state() == state {
            return;
        }
        let before = member.endpoint.set_state(state);
        if matches!(before, State::Unhealthy | State::Away) {
            member.endpoint.ramp_from.store(at, Relaxed);
        }
        self.refresh(at);
    }

    /// Where the turns of a new member begin: not before those of the others.
    pub(crate) fn first_turn(&self) -> u64 {
        let turns = |member: &Member| member.endpoint.turns.load(Relaxed);
        self.members.iter().map(turns).min().unwrap_or(0)
    }
}

/// A part of a turn, so that turns fall between each other, and those of another balancer elsewhere.
pub(crate) fn stagger(identity: u64, serial: u32, weight: u32) -> u64 {
    // Multiples of the golden ratio lie as far from each other as any numbers do (Knuth, volume 3).
    let golden = u64::from(serial).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let apart = if identity == 0 { 0 } else { mixed(identity) };
    scaled(golden.wrapping_add(apart), TURN as u64 / u64::from(weight.max(1)))
}

/// How much the newest outcome counts in the share of failures.
const FAILING_SHARE: f32 = 1.0 / 32.0;
/// The longest pause that an endpoint may ask for.
const PAUSE_MAX: std::time::Duration = std::time::Duration::from_secs(300);
