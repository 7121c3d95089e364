//! What a stateless request must carry (MCP 2026-07-28), whatever it comes over.

use crate::{ErrorObject, MODERN_VERSION, Request, code, meta, quoted};

/// Why a stateless request is refused for what it carries itself, if it is. With
/// `UnsupportedProtocolVersion` or invalid params.
///
/// All that there is to check on transports that have no headers.
pub fn check(request: &Request) -> Result<(), ErrorObject> {
    let missing = |member: &str| {
        let why = format!("params._meta lacks {member:?}, which every stateless request needs");
        ErrorObject::new(code::INVALID_PARAMS, why)
    };
    let version = request.version().ok_or_else(|| missing(meta::PROTOCOL_VERSION))?;
    if version != MODERN_VERSION {
        return Err(unsupported(version));
    }
    let capabilities = request.meta().and_then(|meta| meta.get(meta::CLIENT_CAPABILITIES));
    if !capabilities.is_some_and(|json| json.starts_with('{')) {
        return Err(missing(meta::CLIENT_CAPABILITIES));
    }
    Ok(())
}

/// What is named is what may stand in a request's `_meta`, and so what `server/discover` names: the
/// versions that open a session do not.
fn unsupported(version: &str) -> ErrorObject {
    let requested = quoted(version);
    let data = format!(r#"{{"supported":["{MODERN_VERSION}"],"requested":{requested}}}"#);
    let why = format!("protocol version {version:?} is not supported");
    ErrorObject::new(code::UNSUPPORTED_VERSION, why).with_data(data)
}
