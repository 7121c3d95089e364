//! What the headers and the body of a stateless request must agree on (MCP 2026-07-28, "Streamable
//! HTTP").

use http::HeaderMap;

use crate::{ErrorObject, Request, code, headers, stateless};

/// How much of a mismatch is repeated, in characters.
const WORDS_MAX: usize = 400;
/// Methods that are about something, and that the stateless era does not have.
const OF_SESSIONS: [&str; 3] = ["tasks/result", "resources/subscribe", "resources/unsubscribe"];

/// Why a stateless request that came over HTTP is refused, if it is: with `HeaderMismatch`,
/// `UnsupportedProtocolVersion` or invalid params, and HTTP status 400 whichever it is.
///
/// Arguments that a tool wants repeated are its own matter: see [`argument`].
pub fn check(headers: &HeaderMap, request: &Request) -> Result<(), ErrorObject> {
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
    stateless::check(request)?;
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

fn check_name(headers: &HeaderMap, request: &Request) -> Result<(), ErrorObject> {
    // What only sessions have is refused as what it is: a method that nobody here knows.
    if OF_SESSIONS.contains(&request.method()) {
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

/// Whether the header `name` repeats an argument whose text is `value`, or is not there because the
/// argument is not either.
pub fn argument(headers: &HeaderMap, name: &str, value: Option<&str>) -> Result<(), ErrorObject> {
    let header = single(headers, name)?.map(|header| {
        headers::decode_value(header)
            .ok_or_else(|| mismatch(&format!("{name} is marked as base64 and is none")))
    });
    match (header.transpose()?, value) {
        (None, None) => Ok(()),
        (Some(header), Some(value)) if header == value => Ok(()),
        (Some(_), None) => Err(mismatch(&format!("{name} repeats no argument"))),
        (None, Some(_)) => Err(mismatch(&format!("the header {name} is missing"))),
        (Some(header), Some(value)) => {
            Err(mismatch(&format!("{name} is {header:?}, but the argument is {value:?}")))
        }
    }
}

/// The value of a header that may stand once.
///
/// # Errors
/// `HeaderMismatch`, if it stands twice or has characters that it may not have.
pub fn single<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, ErrorObject> {
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
