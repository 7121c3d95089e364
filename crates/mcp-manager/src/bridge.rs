//! The least that makes one era's messages acceptable in the other.
//!
//! What a server with sessions asks of a stateless client on the way is `stateless.rs` and
//! `park.rs`; what a stateless server asks of a client with a session is not carried yet: see
//! `docs/protocol.md`.

use std::sync::Arc;

use mcp_wire::{Era, Members, Message, Request, meta, stateless_meta};

use crate::client::Client;
use crate::failure::Failure;
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
    /// A client with a session, a stateless server.
    ToLegacy,
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
            if REMOVED.contains(&method) || method == "subscriptions/listen" {
                return Err(Failure::MethodNotFound { method: method.to_owned() });
            }
            Ok(Bridge::ToModern(Carried::new(CACHEABLE.contains(&method))))
        }
        (false, Era::Modern) => {
            let method = request.method();
            if REMOVED.contains(&method) {
                return Err(Failure::MethodNotFound { method: method.to_owned() });
            }
            let hello = client.and_then(Client::params);
            let hello = hello.as_deref().and_then(|json| Members::of(json).ok());
            let part = |name| hello.as_ref().and_then(|hello| hello.get(name));
            let capabilities = part("capabilities").unwrap_or("{}");
            let version = mcp_wire::MODERN_VERSION;
            let members = stateless_meta(version, capabilities, part("clientInfo"));
            request.add_meta(&members);
            request.set_version(version);
            Ok(Bridge::ToLegacy)
        }
    }
}

impl Bridge {
    /// The answer as the client's era has it.
    pub(crate) fn answer(
        &mut self,
        upstream: &Arc<Upstream>,
        reply: Message,
    ) -> Result<Message, Failure> {
        match self {
            Self::None => Ok(reply),
            Self::ToModern(carried) => Ok(carried.answer(upstream, reply)),
            Self::ToLegacy => {
                let result = reply.result_json().and_then(|result| Members::of(result).ok());
                let kind = result.as_ref().and_then(|result| result.text("resultType"));
                if kind.as_deref() == Some("input_required") {
                    let why =
                        "it asks for input, which clients of this era cannot be asked for yet";
                    return Err(Failure::Protocol {
                        server: upstream.server().to_string(),
                        why: why.to_owned(),
                    });
                }
                Ok(reply)
            }
        }
    }
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
