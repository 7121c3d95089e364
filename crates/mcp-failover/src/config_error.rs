//! What is said of a configuration that means nothing.

/// Why a [`Policy`](crate::Policy), a [`BudgetConfig`](crate::BudgetConfig) or a
/// [`GroupConfig`](crate::GroupConfig) means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {must_be}")]
#[non_exhaustive]
pub struct ConfigError {
    /// The field.
    pub field: &'static str,
    /// What it would have to be.
    pub must_be: &'static str,
}

/// An error about `field`, unless `holds`.
pub(crate) fn require(
    holds: bool,
    field: &'static str,
    must_be: &'static str,
) -> Result<(), ConfigError> {
    if holds { Ok(()) } else { Err(ConfigError { field, must_be }) }
}
