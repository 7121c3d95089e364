//! The least that makes one era's messages acceptable in the other.
//!
//! What a server with sessions asks of a stateless client on the way is in `stateless.rs` and
//! `park.rs`; what a stateless server asks of a client with a session, in `rounds.rs`.

use std::sync::Arc;

use mcp_wire::{Era, Members, Message, Request, meta, quoted, stateless_meta};

use crate::client::Client;
use crate::demand::Demand;
use crate::failure::Failure;
use crate::feed::DEFAULT_LEVEL;
use crate::server::offers;
use crate::stateless::Carried;
use crate::upstream::Upstream;

/// Methods that the stateless era has no more.
const REMOVED: &[&str] =
    &["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"];
/// Methods whose results carry hints for caches in the stateless era.
const CACHEABLE: &[&str] = &[
    "server/discover",
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "resources/read",
];

/// How the answer to a request has to be changed for its client.
#[derive(Debug)]
pub(crate) enum Bridge {
    /// Client and server are of the same era.
    None,
    /// A stateless client, a server with sessions.
    ToModern(Carried),
    /// A client with a session, a stateless server. The request as it was sent, for a server that
    /// wants it again with more.
    ToLegacy(Box<Request>),
}

/// Prepares `request` for the era of `upstream`, and says how its answer comes back.
pub(crate) fn cross(
    request: &mut Request,
    client: Option<&Client>,
    upstream: &Upstream,
) -> Result<Bridge, Failure> {
    match (request.version().is_some(), upstream.era()) {
        (true, Era::Modern) | (false, Era::Legacy) => Ok(Bridge::None),
        (true, Era::Legacy) => {
            let method = request.method();
            if REMOVED.contains(&method) {
                return Err(Failure::MethodNotFound { method: method.to_owned() });
            }
            Ok(Bridge::ToModern(Carried::new(CACHEABLE.contains(&method))))
        }
        (false, Era::Modern) => {
            let method = request.method();
            if REMOVED.contains(&method) {
                return Err(Failure::MethodNotFound { method: method.to_owned() });
            }
            make_stateless(request, client, upstream);
            Ok(Bridge::ToLegacy(Box::new(request.clone())))
        }
    }
}

impl Bridge {
    /// The answer as the client's era has it.
    pub(crate) fn answer(&mut self, upstream: &Arc<Upstream>, reply: Message) -> Message {
        match self {
            Self::ToModern(carried) => carried.answer(upstream, reply),
            // Clients with sessions take more members, and any code of an error.
            Self::None | Self::ToLegacy(_) => reply,
        }
    }

    /// The request to repeat with what `reply` asks for, if it asks for something and its client
    /// cannot see that by itself.
    pub(crate) fn asked_by(&self, reply: &Message) -> Option<&Request> {
        match self {
            Self::ToLegacy(request) => Demand::is_in(reply).then_some(request),
            Self::None | Self::ToModern { .. } => None,
        }
    }
}

/// Writes into `request` what a stateless server wants to know of its client.
fn make_stateless(request: &mut Request, client: Option<&Client>, upstream: &Upstream) {
    let hello = client.and_then(Client::params);
    let hello = hello.as_deref().and_then(|json| Members::of(json).ok());
    let part = |name| hello.as_ref().and_then(|hello| hello.get(name));
    let (capabilities, info) = (part("capabilities").unwrap_or("{}"), part("clientInfo"));
    let mut members = stateless_meta(mcp_wire::MODERN_VERSION, capabilities, info);
    if offers(upstream, "logging") {
        // A session sees log messages unless it says otherwise, a stateless request only if it does.
        let level = client.and_then(Client::level);
        let level = level.as_deref().unwrap_or(DEFAULT_LEVEL.name());
        members.push_str(&format!(",\"{}\":{}", meta::LOG_LEVEL, quoted(level)));
    }
    request.add_meta(&members);
    request.set_version(mcp_wire::MODERN_VERSION);
}

/// A session's introduction, told in the words of the stateless era.
pub(crate) fn discovered(introduction: &str) -> String {
    let members = Members::of(introduction).ok();
    let part = |name| members.as_ref().and_then(|members| members.get(name));
    let capabilities = part("capabilities").unwrap_or("{}");
    let instructions =
        part("instructions").map(|text| format!(",\"instructions\":{text}")).unwrap_or_default();
    let info = part("serverInfo").unwrap_or("{}");
    format!(
        r#"{{"resultType":"complete","supportedVersions":["{}"],"capabilities":{capabilities}{instructions},"ttlMs":0,"cacheScope":"private","_meta":{{"{}":{info}}}}}"#,
        mcp_wire::MODERN_VERSION,
        meta::SERVER_INFO,
    )
}
