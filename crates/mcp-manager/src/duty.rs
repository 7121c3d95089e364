//! Which replicas of a server serve, and which stand by.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use mcp_failover::{CannotForce, Change, Failback, Group, GroupConfig, Health, Member, Plan};

use crate::config::{StandbyPlan, StandbyPolicy};

/// Changes of one server that are remembered.
const HISTORY_MAX: usize = 64;

/// Which replicas of one line-up serve.
#[derive(Debug)]
pub(crate) struct Duty {
    group: Mutex<Group>,
    /// All of them, the preferred ones first.
    numbers: Vec<usize>,
}

/// What has changed at a server, and when somebody has to look again.
#[derive(Debug, Default)]
pub(crate) struct Roll {
    changes: VecDeque<Change>,
    wake: Option<Instant>,
}

impl Duty {
    /// `None` where all serve anyway.
    pub(crate) fn new(policy: &StandbyPolicy, numbers: &[usize], now: Instant) -> Option<Self> {
        let mut config = GroupConfig::new(0, plan(policy, numbers.len())?);
        let last = policy.zones.last();
        let member = |(index, number): (usize, &usize)| {
            let zone = policy.zones.get(index).or(last);
            match zone {
                Some(zone) => Member::new(*number).in_zone(zone),
                None => Member::new(*number),
            }
        };
        config.members = numbers.iter().enumerate().map(member).collect();
        config.failback = policy.failback.map_or(Failback::Manual, Failback::After);
        let group = Mutex::new(Group::new(config, now).ok()?);
        Some(Self { group, numbers: numbers.to_vec() })
    }

    /// How replicas are, by number: what that changes, and when to look again.
    pub(crate) fn tell(
        &self,
        health: impl Iterator<Item = (usize, Health)>,
        now: Instant,
    ) -> (Vec<Change>, Option<Instant>) {
        let mut group = self.lock();
        let mut changes = Vec::new();
        for (number, health) in health {
            changes.extend(group.tell(number, health, now).cloned());
        }
        (changes, group.next_wake(now))
    }

    /// The numbers of those that serve. Of none, all may be tried.
    pub(crate) fn active(&self) -> Vec<usize> {
        self.lock().active().to_vec()
    }

    /// Has one serve that stands by: this one, or the first that can.
    pub(crate) fn force(
        &self,
        number: Option<usize>,
        now: Instant,
    ) -> Result<Option<Change>, CannotForce> {
        let mut group = self.lock();
        let candidates = match number {
            Some(number) => vec![number],
            None => {
                let stands_by = |number: &usize| !group.active().contains(number);
                self.numbers.iter().copied().filter(stands_by).collect()
            }
        };
        let mut last = CannotForce::AllServe;
        for number in candidates {
            match group.force(number, now) {
                Ok(change) => return Ok(change.cloned()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Has the preferred ones serve again.
    pub(crate) fn fail_back(&self, now: Instant) -> Option<Change> {
        self.lock().fail_back(now).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Group> {
        self.group.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Roll {
    pub(crate) fn note(&mut self, changes: Vec<Change>) {
        for change in changes {
            if self.changes.len() == HISTORY_MAX {
                self.changes.pop_front();
            }
            self.changes.push_back(change);
        }
    }

    pub(crate) fn changes(&self) -> Vec<Change> {
        self.changes.iter().cloned().collect()
    }

    /// Whether somebody has to be told to look at `wake`: nobody is yet.
    pub(crate) fn is_sooner(&mut self, wake: Instant) -> bool {
        let sooner = self.wake.is_none_or(|set| wake < set);
        if sooner {
            self.wake = Some(wake);
        }
        sooner
    }

    /// It is this time.
    pub(crate) fn woke(&mut self, wake: Instant) {
        if self.wake == Some(wake) {
            self.wake = None;
        }
    }
}

fn plan(policy: &StandbyPolicy, replicas: usize) -> Option<Plan> {
    if replicas < 2 {
        return None;
    }
    match policy.plan {
        StandbyPlan::ActiveActive => None,
        StandbyPlan::ActivePassive => Some(Plan::ActivePassive),
        StandbyPlan::NPlusOne => Some(Plan::NPlusOne { spares: policy.count.min(replicas - 1) }),
        StandbyPlan::CrossDatacenter => {
            let mut zones: Vec<String> = Vec::new();
            for zone in &policy.zones {
                if !zones.contains(zone) {
                    zones.push(zone.clone());
                }
            }
            (!zones.is_empty()).then_some(Plan::CrossDatacenter { zones })
        }
    }
}
