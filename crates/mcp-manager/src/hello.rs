//! How the fleet introduces itself where it is shown as one server.

use std::sync::Arc;

use mcp_wire::{Era, LEGACY_VERSIONS, MODERN_VERSION, Members, meta, quoted};

use crate::link::own_info;
use crate::scope::Scope;
use crate::server::{Server, capabilities};
use crate::upstream::Upstream;

/// Everything that any fleet can answer: what no server offers is an empty list.
const ALWAYS: &str = r#""tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"completions":{},"logging":{}"#;
/// What tasks are to stateless clients. In sessions they are a capability of their own.
const TASKS_EXTENSION: &str = "io.modelcontextprotocol/tasks";

/// The result of `initialize` for a client that sees several servers.
pub(crate) fn initialized(scope: &Scope, params: &str) -> String {
    let version = version_for(params);
    format!(
        r#"{{"protocolVersion":"{version}","capabilities":{},"serverInfo":{},"instructions":{}}}"#,
        offered(scope, Era::Legacy),
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
        r#"{{"resultType":"complete","supportedVersions":["{MODERN_VERSION}"],"capabilities":{},"instructions":{},"ttlMs":0,"cacheScope":"private","_meta":{{"{}":{}}}}}"#,
        offered(scope, Era::Modern),
        quoted(&instructions(scope)),
        meta::SERVER_INFO,
        own_info(),
    )
}

/// What a fleet offers to clients of `era`: with what any fleet can, the tasks and the extensions
/// that those of its servers offer that are ready now.
fn offered(scope: &Scope, era: Era) -> String {
    let ready: Vec<Arc<Upstream>> =
        scope.servers().iter().filter_map(|server| server.ready()).collect();
    let offers = |upstream, name| capabilities(upstream)?.object(name).ok()?;
    let all = |name| ready.iter().filter_map(|upstream| offers(upstream, name)).collect();
    let (tasks, extensions) = match era {
        Era::Legacy => (union(all("tasks"), &[]), union(all("extensions"), &[TASKS_EXTENSION])),
        Era::Modern => (None, union(all("extensions"), &[])),
    };
    let mut offered = format!("{{{ALWAYS}");
    for (name, object) in [("tasks", tasks), ("extensions", extensions)] {
        if let Some(object) = object {
            offered.push_str(&format!(",\"{name}\":{object}"));
        }
    }
    offered.push('}');
    offered
}

/// Every member of these objects but the `hidden` ones, as the first that has it writes it.
fn union(objects: Vec<Members<'_>>, hidden: &[&str]) -> Option<String> {
    let mut union: Vec<(&str, &str)> = Vec::new();
    for (name, value) in objects.iter().flat_map(Members::iter) {
        if !hidden.contains(&name) && union.iter().all(|(known, _)| *known != name) {
            union.push((name, value));
        }
    }
    let members: Vec<String> =
        union.iter().map(|(name, value)| format!("{}:{value}", quoted(name))).collect();
    (!members.is_empty()).then(|| format!("{{{}}}", members.join(",")))
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
