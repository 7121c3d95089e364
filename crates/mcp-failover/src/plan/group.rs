//! Who serves: a state machine that is told who is up.

use std::time::{Duration, Instant};

use crate::ConfigError;
use crate::plan::config::{Failback, GroupConfig, Plan};
use crate::plan::history::{Change, GroupStats, History, Why};

/// How a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "it can serve, it cannot, or it must not")]
pub enum Health {
    /// It can serve.
    Up,
    /// It cannot.
    Down,
    /// It is not to, whether it can or not.
    Drained,
}

/// Members of which some serve while others stand by.
#[derive(Debug)]
pub struct Group {
    config: GroupConfig,
    members: Vec<State>,
    /// Who serves, as places in `members`, in their order.
    places: Vec<usize>,
    /// Who serves by number.
    serving: Vec<usize>,
    /// Whom somebody wanted: until it goes down, or somebody wants the preferred ones.
    forced: Option<usize>,
    history: History,
}

#[derive(Clone, Copy, Debug)]
struct State {
    health: Health,
    since: Instant,
    /// Whether it has never been up and then not: it has not failed, so it need not prove itself.
    is_new: bool,
}

/// Why somebody cannot be made to serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CannotForce {
    /// Nobody has this number.
    #[error("there is no member {0}")]
    Unknown(usize),
    /// It is not up.
    #[error("member {0} is not up")]
    NotUp(usize),
    /// All that are up serve anyway.
    #[error("all that are up serve")]
    AllServe,
}

impl Group {
    /// A group of which nobody is up yet, or why `config` means nothing.
    pub fn new(config: GroupConfig, now: Instant) -> Result<Self, ConfigError> {
        config.check()?;
        let members =
            vec![State { health: Health::Down, since: now, is_new: true }; config.members.len()];
        let history = History::new(config.history_max);
        let (places, serving) = Default::default();
        Ok(Self { config, members, places, serving, forced: None, history })
    }

    /// Who serves, by number, the preferred ones first.
    pub fn active(&self) -> &[usize] {
        &self.serving
    }

    /// A member is like this now; whether that changes who serves.
    pub fn tell(&mut self, number: usize, health: Health, now: Instant) -> Option<&Change> {
        if let Some(index) = self.index(number)
            && self.members[index].health != health
        {
            let State { health: before, is_new, .. } = self.members[index];
            let is_new = is_new && before != Health::Up;
            self.members[index] = State { health, since: now, is_new };
        }
        self.tick(now)
    }

    /// Time has passed; whether that changes who serves.
    pub fn tick(&mut self, now: Instant) -> Option<&Change> {
        if self.forced.is_some_and(|index| self.members[index].health != Health::Up) {
            self.forced = None;
        }
        self.settle(now, self.forced.is_none(), None)
    }

    /// When to [`tick`](Self::tick), if nothing happens until then.
    pub fn next_wake(&self, now: Instant) -> Option<Instant> {
        let failback = match self.config.failback {
            Failback::After(time) => Some(time),
            Failback::Manual => None,
        };
        let wakes = self.members.iter().filter_map(|member| match member.health {
            Health::Down => Some(member.since + self.config.hold_down),
            Health::Up => Some(member.since + failback?),
            Health::Drained => None,
        });
        wakes.filter(|wake| *wake > now).min()
    }

    /// Has a member serve, instead of one that would be preferred.
    pub fn force(&mut self, number: usize, now: Instant) -> Result<Option<&Change>, CannotForce> {
        let index = self.index(number).ok_or(CannotForce::Unknown(number))?;
        if self.config.plan == Plan::ActiveActive {
            return Err(CannotForce::AllServe);
        }
        if self.members[index].health != Health::Up {
            return Err(CannotForce::NotUp(number));
        }
        self.forced = Some(index);
        Ok(self.settle(now, false, Some(Why::Forced)))
    }

    /// Has the preferred ones of those that are up serve, however short they have been.
    pub fn fail_back(&mut self, now: Instant) -> Option<&Change> {
        self.forced = None;
        let wanted = self.wanted(now, |_| true);
        self.install(wanted, now, Why::Failback)
    }

    /// The last changes, the oldest first.
    pub fn history(&self) -> impl DoubleEndedIterator<Item = &Change> {
        self.history.changes()
    }

    /// What has happened so far.
    pub fn stats(&self, now: Instant) -> GroupStats {
        self.history.stats(now)
    }

    fn index(&self, number: usize) -> Option<usize> {
        self.config.members.iter().position(|member| member.number == number)
    }

    /// `prefers`: whether the preferred ones take over by themselves.
    fn settle(&mut self, now: Instant, prefers: bool, why: Option<Why>) -> Option<&Change> {
        let hold = match self.config.failback {
            Failback::After(time) => time,
            Failback::Manual => Duration::MAX,
        };
        let has_been_up = |member: &State| now.saturating_duration_since(member.since) >= hold;
        let may_push = |member: &State| prefers && (member.is_new || has_been_up(member));
        let wanted = self.wanted(now, may_push);
        let why = why.unwrap_or_else(|| {
            let is_lost = |index: &usize| !self.can_go_on(*index, now);
            let is_no_return =
                |index: &usize| self.places.contains(index) || self.members[*index].is_new;
            if self.places.iter().any(is_lost) {
                Why::Failed
            } else if wanted.iter().all(is_no_return) {
                Why::Joined
            } else {
                Why::Failback
            }
        });
        self.install(wanted, now, why)
    }

    fn install(&mut self, wanted: Vec<usize>, now: Instant, why: Why) -> Option<&Change> {
        if wanted == self.places {
            return None;
        }
        let lost = self.places.iter().filter(|index| self.members[**index].health == Health::Down);
        let down = lost.map(|index| now.saturating_duration_since(self.members[*index].since));
        let recovered_after = down.max().filter(|_| !wanted.is_empty());
        let numbers = |places: &[usize]| -> Vec<usize> {
            places.iter().map(|index| self.config.members[*index].number).collect()
        };
        let (from, to) = (numbers(&self.places), numbers(&wanted));
        self.places = wanted;
        self.serving.clone_from(&to);
        self.history.push(Change { at: now, from, to, why, recovered_after });
        self.history.changes().next_back()
    }

    /// Whether one who serves goes on: it is up, or has not been down for long.
    fn can_go_on(&self, index: usize, now: Instant) -> bool {
        let member = &self.members[index];
        match member.health {
            Health::Up => true,
            Health::Down => now.saturating_duration_since(member.since) < self.config.hold_down,
            Health::Drained => false,
        }
    }

    fn is_up(&self, index: usize) -> bool {
        self.members[index].health == Health::Up
    }

    /// Who is to serve. `may_push`: whether one who stands by may take the place of one who serves and is
    /// less preferred.
    fn wanted(&self, now: Instant, may_push: impl Fn(&State) -> bool) -> Vec<usize> {
        let all = 0..self.members.len();
        match &self.config.plan {
            Plan::ActiveActive => {
                let serves = |index: &usize| {
                    self.is_up(*index)
                        || (self.places.contains(index) && self.can_go_on(*index, now))
                };
                all.filter(serves).collect()
            }
            Plan::ActivePassive => self.places(1, now, may_push),
            Plan::NPlusOne { spares } => self.places(self.members.len() - spares, now, may_push),
            Plan::CrossDatacenter { zones } => self.zone(zones, now, may_push),
        }
    }

    /// So many: those who serve and can go on, and the best of the others where places are free.
    fn places(&self, count: usize, now: Instant, may_push: impl Fn(&State) -> bool) -> Vec<usize> {
        let mut chosen: Vec<usize> =
            self.places.iter().copied().filter(|index| self.can_go_on(*index, now)).collect();
        if let Some(forced) = self.forced.filter(|index| !chosen.contains(index)) {
            chosen.truncate(count.saturating_sub(1));
            chosen.push(forced);
        }
        for index in 0..self.members.len() {
            if chosen.len() >= count {
                break;
            }
            if self.is_up(index) && !chosen.contains(&index) {
                chosen.push(index);
            }
        }
        chosen.sort_unstable();
        for index in 0..self.members.len() {
            let Some(worst) = chosen.last().copied().filter(|worst| *worst > index) else { break };
            if self.is_up(index) && !chosen.contains(&index) && may_push(&self.members[index]) {
                chosen.retain(|other| *other != worst);
                chosen.push(index);
                chosen.sort_unstable();
            }
        }
        chosen
    }

    /// All of one place.
    fn zone(
        &self,
        zones: &[String],
        now: Instant,
        may_push: impl Fn(&State) -> bool,
    ) -> Vec<usize> {
        let zone_of = |index: usize| self.config.members[index].zone.as_deref();
        let rank = |index: usize| zones.iter().position(|zone| Some(&**zone) == zone_of(index));
        let all = || 0..self.members.len();
        let current = self.places.iter().copied().find(|index| self.can_go_on(*index, now));
        let mut best = match (self.forced, current) {
            (Some(forced), _) => rank(forced),
            (None, Some(current)) => rank(current),
            (None, None) => None,
        };
        let ups = || all().filter(|index| self.is_up(*index));
        best = best.or_else(|| ups().filter_map(rank).min());
        let better = ups().filter(|index| may_push(&self.members[*index])).filter_map(rank).min();
        best = match (best, better) {
            (Some(best), Some(better)) => Some(best.min(better)),
            (best, better) => best.or(better),
        };
        let Some(best) = best else { return Vec::new() };
        let serves = |index: &usize| {
            rank(*index) == Some(best)
                && (self.is_up(*index)
                    || (self.places.contains(index) && self.can_go_on(*index, now)))
        };
        all().filter(serves).collect()
    }
}
