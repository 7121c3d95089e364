//! Settings that go together, under a name.

use std::collections::HashMap;
use std::fmt;

use super::expand::Scope;
use super::lookup::NoLookup;
use super::report::Report;
use super::settings::Settings;
use super::{manager, syntax};

/// Settings that go together: `preset` in the `manager` block of the root. What the file says itself
/// goes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Preset {
    /// `development`: what fails is seen at once and in full; nothing is hidden by repeats.
    Development,
    /// `production-small`: a few servers, some fifty calls a second.
    ProductionSmall,
    /// `production-large`: many servers and clients, some thousand calls a second.
    ProductionLarge,
    /// `high-availability`: trouble is found early and stepped around, at the cost of more calls.
    HighAvailability,
    /// `performance-optimized`: short response times; what is slow is asked twice.
    PerformanceOptimized,
}

impl Preset {
    /// All that there are.
    pub const ALL: [Self; 5] = [
        Self::Development,
        Self::ProductionSmall,
        Self::ProductionLarge,
        Self::HighAvailability,
        Self::PerformanceOptimized,
    ];

    /// Its name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::ProductionSmall => "production-small",
            Self::ProductionLarge => "production-large",
            Self::HighAvailability => "high-availability",
            Self::PerformanceOptimized => "performance-optimized",
        }
    }

    /// What it is for, in a few words.
    pub fn about(self) -> &'static str {
        match self {
            Self::Development => "what fails is seen at once, and nothing is repeated",
            Self::ProductionSmall => "a few servers, some fifty calls a second",
            Self::ProductionLarge => "many servers and clients, some thousand calls a second",
            Self::HighAvailability => "trouble is found early and stepped around",
            Self::PerformanceOptimized => "short response times: what is slow is asked twice",
        }
    }

    /// What it says, as the `manager` block that it stands for.
    pub fn block(self) -> &'static str {
        match self {
            Self::Development => include_str!("presets/development.json"),
            Self::ProductionSmall => include_str!("presets/production-small.json"),
            Self::ProductionLarge => include_str!("presets/production-large.json"),
            Self::HighAvailability => include_str!("presets/high-availability.json"),
            Self::PerformanceOptimized => include_str!("presets/performance-optimized.json"),
        }
    }

    /// The settings that it makes.
    pub fn settings(self) -> Settings {
        let mut report = Report::new(self.block(), &format!("preset {self}"));
        self.read(&mut report)
    }

    /// The same; what it says of which key is told to `heard`.
    pub(super) fn settings_for(self, heard: &mut Report<'_>) -> Settings {
        let mut report = Report::new(self.block(), &format!("preset {self}"));
        let settings = self.read(&mut report);
        heard.said.append(&mut report.said);
        settings
    }

    fn read(self, report: &mut Report<'_>) -> Settings {
        let mut settings = Settings { preset: Some(self), ..Settings::default() };
        let scope =
            Scope { lookup: &NoLookup, workspace: Default::default(), inputs: HashMap::new() };
        if let Some(block) = syntax::parse(self.block(), report) {
            manager::global_over(&mut settings, &block, &scope, report);
        }
        settings
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_a_block_without_a_mistake_and_none_is_the_default() {
        for preset in Preset::ALL {
            let mut report = Report::new(preset.block(), "");
            let settings = preset.read(&mut report);
            assert_eq!(report.problems, [], "{preset}");
            assert!(!report.said.is_empty(), "{preset}");
            assert_ne!(settings.for_server(), Settings::default().for_server(), "{preset}");
        }
    }
}
