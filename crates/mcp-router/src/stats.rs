//! What was counted, as it is at a moment.

/// What a [`Router`](crate::Router) decided so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The rules, in their order.
    pub rules: Vec<RuleStats>,
    /// Calls of which no rule held.
    pub unmatched: u64,
    /// Calls that were refused.
    pub denied: u64,
    /// Calls of which somebody gets a copy.
    pub mirrored: u64,
}

/// What a rule decided so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleStats {
    /// Its name.
    pub name: String,
    /// Calls that it decided.
    pub matches: u64,
}

/// What a [`Predictor`](crate::Predictor) knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PredictorStats {
    /// Servers, and tools of servers, that are remembered.
    pub keys: usize,
    /// What was written: of each response time that is told two, one for its tool, one for its server.
    pub writes: u64,
    /// What was not, because another thread was writing at the same place.
    pub skipped: u64,
    /// What was forgotten to remember something else.
    pub evictions: u64,
}
