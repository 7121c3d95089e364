//! How the fleet introduces itself where it is shown as one server.

use mcp_wire::{LEGACY_VERSIONS, MODERN_VERSION, Members, meta, quoted};

use crate::scope::Scope;
use crate::server::Server;
use crate::upstream::own_info;

/// Everything that a fleet can answer: what no server offers is an empty list.
const CAPABILITIES: &str = r#"{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"completions":{},"logging":{}}"#;

/// The result of `initialize` for a client that sees several servers.
pub(crate) fn initialized(scope: &Scope, params: &str) -> String {
    let version = version_for(params);
    format!(
        r#"{{"protocolVersion":"{version}","capabilities":{CAPABILITIES},"serverInfo":{},"instructions":{}}}"#,
        own_info(),
        quoted(&instructions(scope)),
    )
}

/// The result of `initialize` for a client that sees one stateless server: what that server said to
/// us, told in the words of the session era.
pub(crate) fn introduced(server: &Server, discovered: &str, params: &str) -> String {
    let members = Members::of(discovered).ok();
    let part = |name| members.as_ref().and_then(|members| members.get(name));
    let meta = members.as_ref().and_then(|members| members.object(meta::META).ok()?);
    let info = meta.and_then(|meta| meta.get(meta::SERVER_INFO)).map(str::to_owned);
    // A session must be told who it is with, a stateless server need not say so.
    let unnamed = || format!(r#"{{"name":{},"version":"unknown"}}"#, quoted(server.name()));
    let instructions =
        part("instructions").map(|text| format!(",\"instructions\":{text}")).unwrap_or_default();
    format!(
        r#"{{"protocolVersion":"{}","capabilities":{},"serverInfo":{}{instructions}}}"#,
        version_for(params),
        part("capabilities").unwrap_or("{}"),
        info.unwrap_or_else(unnamed),
    )
}

/// The version that a client asked for if we speak it, else our newest.
fn version_for(params: &str) -> &'static str {
    let asked = Members::of(params).ok().and_then(|params| params.text("protocolVersion"));
    let newest = LEGACY_VERSIONS.last().copied().unwrap_or_default();
    let known = |version: &&str| Some(*version) == asked.as_deref();
    LEGACY_VERSIONS.iter().copied().find(known).unwrap_or(newest)
}

/// The result of `server/discover`.
pub(crate) fn discovered(scope: &Scope) -> String {
    format!(
        r#"{{"resultType":"complete","supportedVersions":["{MODERN_VERSION}"],"capabilities":{CAPABILITIES},"instructions":{},"ttlMs":0,"cacheScope":"private","_meta":{{"{}":{}}}}}"#,
        quoted(&instructions(scope)),
        meta::SERVER_INFO,
        own_info(),
    )
}

fn instructions(scope: &Scope) -> String {
    let servers = scope.servers().iter().filter(|server| !server.is_disabled());
    let names: Vec<&str> = servers.map(|server| Server::name(server)).collect();
    let names = names.join(", ");
    if scope.prefixes() {
        format!(
            "Several servers behind one endpoint: {names}. The tool \"x\" of the server \"s\" is called \"s__x\"."
        )
    } else {
        format!("Several servers behind one endpoint: {names}.")
    }
}
