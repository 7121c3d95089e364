//! How a connection to a server begins, in either era of the protocol.

use std::time::Duration;

use crate::{CallError, Connection, Kind, Members, Message, Request, Timing, code, meta};

/// The version of the stateless era that we speak.
pub const MODERN_VERSION: &str = "2026-07-28";
/// The versions of the session era, oldest first.
pub const LEGACY_VERSIONS: &[&str] = &["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

/// The two eras of the protocol that are in use side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a third era would change every use of this")]
pub enum Era {
    /// Up to 2025-11-25: `initialize`, then a session with requests in both directions.
    Legacy,
    /// From 2026-07-28: every request stands for itself.
    Modern,
}

/// A session that a server has opened for us.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Initialized {
    /// The server's answer; its result has capabilities, server info and instructions.
    pub answer: Message,
    /// The protocol version that the server chose.
    pub version: String,
}

/// What a stateless server says of itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Discovered {
    /// The server's answer to `server/discover`.
    pub answer: Message,
}

/// Why a server could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// No answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The server answered with an error.
    #[error("the server refused: {error}")]
    Refused {
        /// The error, as JSON text.
        error: String,
    },
    /// The server's answer lacks what the protocol demands.
    #[error("the server's answer lacks {member:?}")]
    Incomplete {
        /// What is missing.
        member: &'static str,
    },
    /// The server speaks none of our versions.
    #[error("the server speaks none of our protocol versions, but {theirs}")]
    Version {
        /// What it speaks, as JSON text.
        theirs: String,
    },
}

/// Opens a session with the given `params` of `initialize` (JSON text).
///
/// Where they ask for the stateless version, the newest that has sessions is asked for instead: some
/// clients ask for whatever is newest, and some servers promise whatever they are asked for.
pub async fn initialize(
    connection: &Connection,
    params: &str,
    limit: Duration,
) -> Result<Initialized, HandshakeError> {
    let mut request = read(Message::request("0", "initialize", params))?;
    let message = request.message().clone();
    let members = message.params().and_then(|params| Members::of(params).ok());
    let wanted = members.as_ref().and_then(|members| members.get("protocolVersion"));
    if let Some(wanted) = wanted.filter(|wanted| *wanted == crate::quoted(MODERN_VERSION)) {
        let newest = LEGACY_VERSIONS.last().copied().unwrap_or_default();
        request.replace(wanted, &crate::quoted(newest));
    }
    let answer = ask(connection, request, limit).await?;
    let incomplete = |member| HandshakeError::Incomplete { member };
    let result = answer.result_json().and_then(|result| Members::of(result).ok());
    let result = result.ok_or_else(|| incomplete("result"))?;
    let version = result.text("protocolVersion").ok_or_else(|| incomplete("protocolVersion"))?;
    if !LEGACY_VERSIONS.contains(&&*version) {
        return Err(HandshakeError::Version { theirs: version.into_owned() });
    }
    let version = version.into_owned();
    connection.begin_session(&version);
    let initialized = Message::notification("notifications/initialized", "{}");
    connection.send(initialized.bytes().clone()).await?;
    connection.listen();
    Ok(Initialized { answer, version })
}

/// Asks a server whether it speaks the stateless era, and what it offers.
pub async fn discover(
    connection: &Connection,
    client_info: &str,
    limit: Duration,
) -> Result<Discovered, HandshakeError> {
    let meta = stateless_meta(MODERN_VERSION, "{}", Some(client_info));
    let params = format!(r#"{{"_meta":{{{meta}}}}}"#);
    let question = read(Message::request("0", "server/discover", &params))?;
    let answer = match ask(connection, question.clone(), limit).await {
        // Asked again, as the specification has it, with a version that the server names: ours.
        Err(HandshakeError::Refused { error }) if offers_ours(&error) => {
            ask(connection, question, limit).await?
        }
        answer => answer?,
    };
    let result = answer.result_json().and_then(|result| Members::of(result).ok());
    let versions = result.as_ref().and_then(|result| result.get("supportedVersions"));
    let versions = versions.ok_or(HandshakeError::Incomplete { member: "supportedVersions" })?;
    if !names_ours(versions) {
        return Err(HandshakeError::Version { theirs: versions.to_owned() });
    }
    Ok(Discovered { answer })
}

/// Whether an error refuses a version and names ours among those that the server speaks: one that
/// was just replaced by a newer one does, or one behind a balancer.
fn offers_ours(error: &str) -> bool {
    let Ok(error) = Members::of(error) else { return false };
    let is_about_versions = error.get("code") == Some(&*code::UNSUPPORTED_VERSION.to_string());
    let data = error.object("data").ok().flatten();
    is_about_versions && data.and_then(|data| data.get("supported")).is_some_and(names_ours)
}

fn names_ours(versions: &str) -> bool {
    let ours = crate::quoted(MODERN_VERSION);
    crate::elements(versions).is_some_and(|all| all.contains(&&*ours))
}

/// The members of `_meta` (JSON text without its braces) that a stateless request must have.
pub fn stateless_meta(version: &str, capabilities: &str, client_info: Option<&str>) -> String {
    let version = crate::quoted(version);
    let info = client_info.map(|info| format!(r#","{}":{info}"#, meta::CLIENT_INFO));
    format!(
        r#""{}":{version},"{}":{capabilities}{}"#,
        meta::PROTOCOL_VERSION,
        meta::CLIENT_CAPABILITIES,
        info.unwrap_or_default()
    )
}

fn read(message: Message) -> Result<Request, HandshakeError> {
    Request::read(message).map_err(|_| HandshakeError::Incomplete { member: "params" })
}

async fn ask(
    connection: &Connection,
    request: Request,
    limit: Duration,
) -> Result<Message, HandshakeError> {
    let timing = Timing { timeout: limit, timeout_max: limit };
    let answer = connection.call(request, timing).reply().await?;
    match (answer.kind(), answer.error_json()) {
        (Kind::Error, Some(error)) => Err(HandshakeError::Refused { error: error.to_owned() }),
        _ => Ok(answer),
    }
}
