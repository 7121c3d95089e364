//! Requests of the stateless era: what their headers and their body must agree on.

use http::HeaderMap;
use mcp_wire::{
    ErrorObject, LEGACY_VERSIONS, MODERN_VERSION, Members, MembersError, Request, code, headers,
    meta, quoted, subject_member,
};

/// How much of a mismatch is repeated, in characters.
const WORDS_MAX: usize = 400;

/// Whether a request is of the stateless era: it says so in its body, or in its header.
pub(crate) fn claims(headers: &HeaderMap, request: &Request) -> bool {
    let header = single(headers, headers::PROTOCOL_VERSION).ok().flatten();
    let claimed = header.is_some_and(|version| version >= MODERN_VERSION);
    // Only the stateless era has this method, so what it lacks can be told.
    request.version().is_some() || claimed || request.method() == "server/discover"
}

/// Why a stateless request is refused, if it is. Every such refusal has HTTP status 400.
pub(crate) fn check(headers: &HeaderMap, request: &Request) -> Result<(), ErrorObject> {
    let header = single(headers, headers::PROTOCOL_VERSION)?;
    if let Some(version) = request.version() {
        match header {
            None => return Err(mismatch("the header MCP-Protocol-Version is missing")),
            Some(header) if header != version => {
                let why =
                    format!("MCP-Protocol-Version is {header:?}, but the body says {version:?}");
                return Err(mismatch(&why));
            }
            Some(_) => {}
        }
    }
    check_body(request)?;
    match single(headers, headers::METHOD)? {
        None => return Err(mismatch("the header Mcp-Method is missing")),
        Some(method) if method != request.method() => {
            let own = request.method();
            return Err(mismatch(&format!("Mcp-Method is {method:?}, but the body says {own:?}")));
        }
        Some(_) => {}
    }
    check_name(headers, request)
}

/// As [`check`], for transports that have no headers.
pub(crate) fn check_body(request: &Request) -> Result<(), ErrorObject> {
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

fn check_name(headers: &HeaderMap, request: &Request) -> Result<(), ErrorObject> {
    if subject_member(request.method()).is_none() {
        return Ok(());
    }
    let Some(name) = request.name() else { return Ok(()) };
    let Some(header) = single(headers, headers::NAME)? else {
        return Err(mismatch("the header Mcp-Name is missing"));
    };
    let decoded = headers::decode_value(header)
        .ok_or_else(|| mismatch("the header Mcp-Name is marked as base64 and is none"))?;
    if decoded == name {
        return Ok(());
    }
    Err(mismatch(&format!("Mcp-Name is {decoded:?}, but the body says {name:?}")))
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
    for param in params {
        let name = &param.header;
        let header = single(headers, name)?.map(|header| {
            headers::decode_value(header)
                .ok_or_else(|| mismatch(&format!("{name} is marked as base64 and is none")))
        });
        match (header.transpose()?, param.value(arguments)) {
            (None, None) => {}
            (Some(header), Some(value)) if header == value => {}
            (Some(_), None) => return Err(mismatch(&format!("{name} repeats no argument"))),
            (None, Some(_)) => return Err(mismatch(&format!("the header {name} is missing"))),
            (Some(header), Some(value)) => {
                let why = format!("{name} is {header:?}, but the argument is {value:?}");
                return Err(mismatch(&why));
            }
        }
    }
    Ok(())
}

/// The value of a header that may stand once.
fn single<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, ErrorObject> {
    // Header names are case-insensitive, and a tool's schema may write its own in any case.
    let mut values = headers.get_all(name.to_ascii_lowercase()).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(mismatch(&format!("the header {name} stands more than once")));
    }
    let unreadable =
        |_| mismatch(&format!("the header {name} has characters that it may not have"));
    value.to_str().map(Some).map_err(unreadable)
}

fn mismatch(why: &str) -> ErrorObject {
    // A name may be as long as a message; what is said of it need not be.
    let why: String = why.chars().take(WORDS_MAX).collect();
    ErrorObject::new(code::HEADER_MISMATCH, format!("header mismatch: {why}"))
}

fn unsupported(version: &str) -> ErrorObject {
    let known = LEGACY_VERSIONS.iter().rev().map(|version| quoted(version));
    let known: Vec<String> = [quoted(MODERN_VERSION)].into_iter().chain(known).collect();
    let data = format!(r#"{{"supported":[{}],"requested":{}}}"#, known.join(","), quoted(version));
    let why = format!("protocol version {version:?} is not supported");
    ErrorObject::new(code::UNSUPPORTED_VERSION, why).with_data(data)
}

/// The params of a request that nothing can be decided from.
pub(crate) fn unreadable_params(error: &MembersError) -> ErrorObject {
    ErrorObject::new(code::INVALID_PARAMS, format!("params: {error}"))
}
