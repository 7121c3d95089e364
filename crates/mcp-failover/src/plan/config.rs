//! Who there is, and who serves.

use std::time::Duration;

use crate::ConfigError;
use crate::config_error::require;

/// More members are not one group that somebody would fail over within.
const MEMBERS_MOST: usize = 1024;
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Who there is, who of them serves, and how soon that changes.
///
/// Plain data: any value can be written here, and [`check`](Self::check) is the one place that
/// refuses a meaningless one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupConfig {
    /// Who there is, the preferred ones first. Numbers differ.
    pub members: Vec<Member>,
    /// Who of them serves.
    pub plan: Plan,
    /// How long somebody who serves must be down before others take over. Default: none, at once. Longer
    /// overlooks what comes back by itself, and has nobody serve in the meantime.
    pub hold_down: Duration,
    /// When the preferred ones serve again.
    pub failback: Failback,
    /// Changes that are remembered. Default: 64; 1 to 10,000.
    pub history_max: usize,
}

/// One of those who can serve.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// What it is called by.
    pub number: usize,
    /// Where it is, for [`Plan::CrossDatacenter`].
    pub zone: Option<String>,
}

/// Who of the members serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Plan {
    /// All that are up.
    #[default]
    ActiveActive,
    /// One; the others stand by.
    ActivePassive,
    /// All but so many, which stand by for any of them. At least one, and fewer than there are members.
    NPlusOne {
        /// How many stand by.
        spares: usize,
    },
    /// All of one place: the first of these in which somebody is up. Each member is in one of them.
    CrossDatacenter {
        /// The places, the preferred ones first.
        zones: Vec<String>,
    },
}

/// When the preferred ones serve again, after others took over. One that is up for the first time has not
/// failed, and takes its place at once: whoever starts first does not keep it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failback {
    /// When somebody says so.
    Manual,
    /// When they have been up for so long. The default, with a minute: one that comes and goes does not
    /// take everybody with it.
    After(Duration),
}

impl Default for Failback {
    fn default() -> Self {
        Self::After(Duration::from_secs(60))
    }
}

impl Member {
    /// One of this number.
    pub fn new(number: usize) -> Self {
        Self { number, zone: None }
    }

    /// The same in a place.
    #[must_use]
    pub fn in_zone(self, zone: impl Into<String>) -> Self {
        Self { zone: Some(zone.into()), ..self }
    }
}

impl GroupConfig {
    /// So many members, of numbers from 0 on, under this plan.
    pub fn new(members: usize, plan: Plan) -> Self {
        Self {
            members: (0..members).map(Member::new).collect(),
            plan,
            hold_down: Duration::ZERO,
            failback: Failback::default(),
            history_max: 64,
        }
    }

    /// Refuses what means nothing, by the name of the field.
    pub fn check(&self) -> Result<(), ConfigError> {
        let count = self.members.len();
        let mut numbers: Vec<_> = self.members.iter().map(|member| member.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        require((1..=MEMBERS_MOST).contains(&count), "members", "1 to 1024")?;
        require(numbers.len() == count, "members", "of different numbers")?;
        require(self.hold_down <= LONGEST, "hold_down", "at most a day")?;
        require((1..=10_000).contains(&self.history_max), "history_max", "1 to 10,000")?;
        if let Failback::After(time) = self.failback {
            require(time <= LONGEST, "failback", "at most a day")?;
        }
        match &self.plan {
            Plan::NPlusOne { spares } => {
                let some = (1..count).contains(spares);
                require(some, "spares", "at least 1 and fewer than there are members")
            }
            Plan::CrossDatacenter { zones } => {
                let known =
                    |member: &Member| member.zone.as_ref().is_some_and(|zone| zones.contains(zone));
                require(!zones.is_empty(), "zones", "at least one")?;
                require(
                    self.members.iter().all(known),
                    "zone",
                    "one of the plan's, for each member",
                )
            }
            Plan::ActiveActive | Plan::ActivePassive => Ok(()),
        }
    }
}
