//! x
mod config_error;
mod retry;
pub use crate::config_error::ConfigError;
pub use crate::retry::attempts::{Attempts, Expected, Step};
pub use crate::retry::backoff::Backoff;
pub use crate::retry::budget::{Budget, BudgetConfig};
pub use crate::retry::call::{Attempt, Call, Failure, Kind, Safety, Sent, Verdict};
pub use crate::retry::gave_up::{GaveUp, Reason};
pub use crate::retry::latencies::Latencies;
pub use crate::retry::policy::{Hedge, Policy};
#[cfg(feature = "tokio")]
pub use crate::retry::run::Retry;
pub use crate::retry::stats::RetryStats;
