//! Another server that is asked when one cannot do it.

use std::sync::Arc;

use mcp_wire::Request;

use crate::care::Care;
use crate::failure::Failure;
use crate::keep::Keep;
use crate::lists::ListKind;
use crate::server::Server;

/// Whether a call that failed in this way before it was sent may be somebody else's: its own server
/// cannot be had now.
pub(crate) fn is_for_another(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::Connection { .. }
            | Failure::Unavailable { .. }
            | Failure::Exhausted { .. }
            | Failure::Command { .. }
            | Failure::NotStarted { .. }
            | Failure::Config { .. }
            | Failure::Timeout { .. }
            | Failure::CircuitOpen { .. }
            | Failure::Busy { .. }
            | Failure::Overloaded { .. }
            | Failure::Stopped { .. }
    )
}

/// The server that is asked instead of `server`, if the policy names one that offers a tool of the same
/// name.
pub(crate) fn of(
    keep: &Keep,
    server: &Arc<Server>,
    care: &Care,
    request: &Request,
) -> Option<Arc<Server>> {
    let name = care.fallback()?;
    let tool = request.name().filter(|_| request.method() == "tools/call")?;
    let other = keep.roster.server(name).filter(|other| !Arc::ptr_eq(other, server))?;
    other.catalog().offers(ListKind::Tools, tool).then_some(other)
}
