//! Requests of the stateless era, as they come over HTTP.

use http::HeaderMap;
use mcp_wire::http::agreement;
use mcp_wire::{ErrorObject, MODERN_VERSION, Members, MembersError, Request, code, headers};

/// Whether a request is of the stateless era: it says so in its body, or in its header.
pub(crate) fn claims(headers: &HeaderMap, request: &Request) -> bool {
    let header = agreement::single(headers, headers::PROTOCOL_VERSION).ok().flatten();
    let claimed = header.is_some_and(|version| version >= MODERN_VERSION);
    // Only the stateless era has this method, so what it lacks can be told.
    request.version().is_some() || claimed || request.method() == "server/discover"
}

/// Whether the arguments that a tool wants repeated in headers are there, and the same.
pub(crate) fn check_params(
    headers: &HeaderMap,
    request: &Request,
    params: &[mcp_manager::HeaderParam],
) -> Result<(), ErrorObject> {
    if params.is_empty() {
        return Ok(());
    }
    let body = request.params();
    let arguments = body.as_ref().and_then(|params: &Members<'_>| params.get("arguments"));
    params.iter().try_for_each(|param| {
        agreement::argument(headers, &param.header, param.value(arguments).as_deref())
    })
}

/// The params of a request that nothing can be decided from.
pub(crate) fn unreadable_params(error: &MembersError) -> ErrorObject {
    ErrorObject::new(code::INVALID_PARAMS, format!("params: {error}"))
}
