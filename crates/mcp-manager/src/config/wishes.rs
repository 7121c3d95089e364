//! Settings for whoever knows what they want, and not by which keys.

use mcp_balance::Strategy;

use super::policy::Hedge;
use super::preset::Preset;
use super::settings::Settings;
use super::upkeep::CheckKind;

/// What somebody wants of a manager, from which [`Settings::custom`] makes settings.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wishes {
    /// About how many servers there will be. Default: 3.
    pub servers: usize,
    /// Which replica a call goes to. Default: the default of [`Strategy`].
    pub strategy: Strategy,
    /// How much trouble there may be. Default: [`Reliability::Normal`].
    pub reliability: Reliability,
    /// Whether short response times are worth more calls. Default: `false`.
    pub performance: bool,
    /// Whether servers are asked how they are. Default: `true`.
    pub health_checks: bool,
    /// Whether calls go on to other replicas when they fail. Default: `true`.
    pub failover: bool,
}

/// How much trouble there may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reliability {
    /// As it comes.
    Basic,
    /// What production needs.
    #[default]
    Normal,
    /// Trouble is found early and stepped around.
    High,
}

/// From so many servers on, they are many.
const MANY: usize = 6;

impl Default for Wishes {
    fn default() -> Self {
        Self {
            servers: 3,
            strategy: Strategy::default(),
            reliability: Reliability::default(),
            performance: false,
            health_checks: true,
            failover: true,
        }
    }
}

impl Settings {
    /// Settings that fit these wishes: those of the preset that comes closest, and what is wanted
    /// otherwise.
    pub fn custom(wishes: &Wishes) -> Self {
        let mut settings = match wishes.reliability {
            Reliability::Basic => Self::default(),
            Reliability::Normal if wishes.servers < MANY => Preset::ProductionSmall.settings(),
            Reliability::Normal => Preset::ProductionLarge.settings(),
            Reliability::High => Preset::HighAvailability.settings(),
        };
        settings.policy.balance = wishes.strategy;
        if wishes.performance {
            let fast = Preset::PerformanceOptimized.settings();
            settings.policy.repeats.hedge = fast.policy.repeats.hedge;
            settings.policy.limits.adaptive = true;
            settings.policy.limits.wait = fast.policy.limits.wait;
            settings.scale_target = fast.scale_target;
            settings.scale_cooldown = fast.scale_cooldown;
        }
        if !wishes.health_checks {
            settings.checks.kind = CheckKind::None;
        }
        if !wishes.failover {
            let repeats = &mut settings.policy.repeats;
            (repeats.retries, repeats.hedge, repeats.attempt_timeout) = (0, Hedge::Off, None);
        }
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn custom(change: impl FnOnce(&mut Wishes)) -> Settings {
        let mut wishes = Wishes::default();
        change(&mut wishes);
        Settings::custom(&wishes)
    }

    #[test]
    fn each_wish_is_seen_in_the_settings() {
        let preset = |settings: Settings| settings.preset;
        assert_eq!(preset(custom(|_| {})), Some(Preset::ProductionSmall));
        assert_eq!(preset(custom(|wishes| wishes.servers = 20)), Some(Preset::ProductionLarge));
        let high = custom(|wishes| wishes.reliability = Reliability::High);
        assert_eq!(high.policy.repeats.retries, 3);
        assert_eq!(preset(high), Some(Preset::HighAvailability));
        assert_eq!(custom(|wishes| wishes.reliability = Reliability::Basic), Settings::default());
        let turns = custom(|wishes| wishes.strategy = Strategy::RoundRobin);
        assert_eq!(turns.policy.balance, Strategy::RoundRobin);
        let fast = custom(|wishes| wishes.performance = true);
        assert_eq!(
            (fast.policy.repeats.hedge, fast.policy.limits.adaptive),
            (Hedge::Learned, true)
        );
        assert_eq!(custom(|wishes| wishes.health_checks = false).checks.kind, CheckKind::None);
        let once = custom(|wishes| (wishes.performance, wishes.failover) = (true, false));
        assert_eq!((once.policy.repeats.retries, once.policy.repeats.hedge), (0, Hedge::Off));
    }
}
