//! What a fleet keeps for its clients from one request to the next.

use crate::failure::Failure;
use crate::handles::Handles;
use crate::park::Parked;
use crate::seal::Seal;

/// Shared by all requests of one fleet.
#[derive(Debug)]
pub(crate) struct Keep {
    /// Closes what clients carry for us: states of parked calls, cursors of merged lists.
    pub(crate) seal: Seal,
    /// Where tasks were made, and whatever else has to go back there.
    pub(crate) handles: Handles,
    /// Calls whose servers wait for what their clients will say.
    pub(crate) parked: Parked,
}

impl Keep {
    pub(crate) fn new() -> Result<Self, Failure> {
        Ok(Self { seal: Seal::new()?, handles: Handles::default(), parked: Parked::default() })
    }
}
