//! How severe a log message is, and which ones a client wants.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// A severity of RFC 5424, section 6.2.1, least severe first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "RFC 5424 has these eight")]
pub enum Level {
    /// Details for debugging.
    Debug,
    /// General information.
    Info,
    /// Normal, but significant.
    Notice,
    /// Something may go wrong.
    Warning,
    /// Something went wrong.
    Error,
    /// A part of the server does not work.
    Critical,
    /// Somebody must act now.
    Alert,
    /// The server does not work.
    Emergency,
}

impl Level {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Debug, "debug"),
        (Self::Info, "info"),
        (Self::Notice, "notice"),
        (Self::Warning, "warning"),
        (Self::Error, "error"),
        (Self::Critical, "critical"),
        (Self::Alert, "alert"),
        (Self::Emergency, "emergency"),
    ];

    /// The level that MCP calls `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, own)| *own == name).map(|(level, _)| level)
    }

    /// What MCP calls it.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// Which log messages a call's client wants to see.
#[derive(Clone, Debug)]
pub(super) enum Threshold {
    /// A stateless request says so itself, or wants none.
    Request(Option<Level>),
    /// A session has one for all its calls.
    Session(SessionLevel),
}

impl Threshold {
    pub(super) fn admits(&self, level: Level) -> bool {
        match self {
            Self::Request(least) => least.is_some_and(|least| level >= least),
            Self::Session(least) => level as u8 >= least.0.load(Ordering::Relaxed),
        }
    }
}

/// The level that `logging/setLevel` sets, for the calls that run as well.
#[derive(Clone, Debug)]
pub(super) struct SessionLevel(Arc<AtomicU8>);

impl Default for SessionLevel {
    fn default() -> Self {
        // The protocol leaves open what a client sees that never set a level.
        Self(Arc::new(AtomicU8::new(Level::Info as u8)))
    }
}

impl SessionLevel {
    pub(super) fn set(&self, level: Level) {
        self.0.store(level as u8, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_order_agree() {
        for (at, (level, name)) in Level::ALL.into_iter().enumerate() {
            assert_eq!(level as usize, at);
            assert_eq!((level.name(), Level::named(name)), (name, Some(level)));
        }
        assert_eq!(Level::named("loud"), None);
    }

    #[test]
    fn a_stateless_request_that_names_no_level_sees_nothing() {
        assert!(!Threshold::Request(None).admits(Level::Emergency));
        assert!(Threshold::Request(Some(Level::Error)).admits(Level::Error));
        let session = SessionLevel::default();
        let threshold = Threshold::Session(session.clone());
        assert!(!threshold.admits(Level::Debug) && threshold.admits(Level::Info));
        session.set(Level::Debug);
        assert!(threshold.admits(Level::Debug));
    }
}
