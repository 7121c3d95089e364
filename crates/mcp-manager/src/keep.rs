//! What a fleet keeps for its clients from one request to the next.

use std::sync::Arc;

use crate::failure::Failure;
use crate::handles::Handles;
use crate::park::Parked;
use crate::roster::Roster;
use crate::seal::Seal;
use crate::steer::Rules;

/// Shared by all requests of one fleet.
#[derive(Debug)]
pub(crate) struct Keep {
    /// Closes what clients carry for us: states of parked calls, cursors of merged lists.
    pub(crate) seal: Seal,
    /// Where tasks were made, and whatever else has to go back there.
    pub(crate) handles: Handles,
    /// Calls whose servers wait for what their clients will say.
    pub(crate) parked: Parked,
    /// Where calls go that do not go where their name says.
    pub(crate) rules: Rules,
    /// The servers that there are now.
    pub(crate) roster: Arc<Roster>,
}

impl Keep {
    pub(crate) fn new(roster: Arc<Roster>) -> Result<Self, Failure> {
        let (handles, parked, rules) = Default::default();
        Ok(Self { seal: Seal::new()?, handles, parked, rules, roster })
    }
}
