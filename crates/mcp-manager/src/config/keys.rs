//! The keys that are known, and what becomes of those that belong to other programs.

/// Where servers are looked for: Claude and most others, then VS Code.
pub(super) const SERVERS: &[&str] = &["mcpServers", "servers"];

/// The keys of the root that mean something here.
pub(super) const ROOT: &[&str] = &["mcpServers", "servers", "inputs", "manager"];

/// The keys of a server's entry that mean something here.
pub(super) const ENTRY: &[&str] = &[
    "type",
    "transport",
    "transportType",
    "command",
    "args",
    "env",
    "envFile",
    "cwd",
    "url",
    "serverUrl",
    "httpUrl",
    "urls",
    "tcp",
    "headers",
    "disabled",
    "enabled",
    "manager",
];

/// Different clients' names of the URL.
pub(super) const URL: &[&str] = &["url", "serverUrl", "httpUrl"];

/// Different clients' names of the transport.
pub(super) const TYPE: &[&str] = &["type", "transport", "transportType"];

/// Keys that say something about how a server looks or is used in one client.
pub(super) const HARMLESS: &[&str] = &[
    // Many clients.
    "name",
    "title",
    "displayName",
    "description",
    "icon",
    "icons",
    "note",
    "notes",
    "comment",
    "id",
    "category",
    "tags",
    "author",
    "homepage",
    "repository",
    "license",
    "version",
    "metadata",
    "settings",
    "config",
    "options",
    "source",
    "priority",
    "timeout",
    // Cline, Roo Code, Kiro: what runs without asking the user.
    "autoApprove",
    "alwaysAllow",
    "networkTimeout",
    "watchPaths",
    // VS Code.
    "dev",
    "gallery",
    // Gemini.
    "trust",
    "extension",
    "extensionName",
    // Claude Code.
    "alwaysLoad",
    "scope",
    // Copilot.
    "isDefaultServer",
    "filterMapping",
    // Inspector.
    "protocolEra",
    "roots",
    "modernLogLevel",
    "connectionTimeout",
    "requestTimeout",
    "taskTtl",
    "autoRefreshOnListChanged",
    "paginatedLists",
    "advertisedExtensions",
    "maxFetchRequests",
    "requestInit",
    "eventSourceInit",
    // mcphub.
    "owner",
    "keepAliveInterval",
    "enableKeepAlive",
    "prompts",
    "resources",
    "startOnDemand",
];

/// Keys that hold a server back in one client, with what it means that they do not here.
pub(super) const RESTRICTING: &[(&str, &str)] = &[
    ("tools", TOOLS),
    ("includeTools", TOOLS),
    ("excludeTools", TOOLS),
    ("enabledTools", TOOLS),
    ("disabledTools", TOOLS),
    ("enabled_tools", TOOLS),
    ("disabled_tools", TOOLS),
    ("sandbox", SANDBOX),
    ("sandboxEnabled", SANDBOX),
    ("oauth", AUTH),
    ("oauthClientId", AUTH),
    ("oauthScopes", AUTH),
    ("auth", AUTH),
    ("authentication", AUTH),
    ("authProviderType", AUTH),
    ("targetAudience", AUTH),
    ("targetServiceAccount", AUTH),
    ("headersHelper", AUTH),
];

const TOOLS: &str = "every tool of the server is offered";
const SANDBOX: &str = "the server runs with the rights of mcp-manager";
const AUTH: &str = "give the server its credentials in `headers` or `env`";

/// What a manager's block takes at the root.
pub(super) const GLOBAL: &[&str] = &[
    "namespace",
    "listen",
    "admin",
    "allowedHosts",
    "allowedOrigins",
    "listTimeout",
    "callTimeout",
    "callTimeoutMax",
    "startTimeout",
    "maxSessions",
    "sessionIdle",
    "resumeTimeout",
    "stateDir",
    "maxFrameBytes",
    "drainTimeout",
    "watch",
    "restart",
    "restartsMax",
    "restartPeriod",
    "restartPauseMax",
    "healthCheck",
    "healthInterval",
    "healthTimeout",
    "unhealthyAfter",
    "healthyAfter",
    "restartUnhealthy",
    "maxMemory",
    "maxProcesses",
    "maxOpenFiles",
    "maxCpu",
    "scaleTarget",
    "scaleCooldown",
    "preset",
    "rules",
    "breaker",
    "breakerFailures",
    "breakerRate",
    "breakerSamples",
    "breakerWindow",
    "breakerSlow",
    "breakerPause",
    "breakerPauseMax",
    "maxConcurrent",
    "adaptive",
    "maxQueued",
    "maxWait",
    "rateLimit",
    "priority",
    "repeatable",
    "retries",
    "attemptTimeout",
    "hedge",
    "fallback",
    "retryBudget",
    "failover",
    "standby",
    "zones",
    "failback",
    "balance",
    "tools",
];

/// What a manager's block takes inside a server's entry.
pub(super) const SERVER: &[&str] = &[
    "shareable",
    "inheritEnv",
    "protocolEra",
    "listTimeout",
    "callTimeout",
    "callTimeoutMax",
    "startTimeout",
    "replicas",
    "minReplicas",
    "maxReplicas",
    "sessions",
    "spares",
    "healthUrl",
    "healthCommand",
    "restart",
    "restartsMax",
    "restartPeriod",
    "restartPauseMax",
    "healthCheck",
    "healthInterval",
    "healthTimeout",
    "unhealthyAfter",
    "healthyAfter",
    "restartUnhealthy",
    "maxMemory",
    "maxProcesses",
    "maxOpenFiles",
    "maxCpu",
    "scaleTarget",
    "scaleCooldown",
    "breaker",
    "breakerFailures",
    "breakerRate",
    "breakerSamples",
    "breakerWindow",
    "breakerSlow",
    "breakerPause",
    "breakerPauseMax",
    "maxConcurrent",
    "adaptive",
    "maxQueued",
    "maxWait",
    "rateLimit",
    "priority",
    "repeatable",
    "retries",
    "attemptTimeout",
    "hedge",
    "fallback",
    "retryBudget",
    "failover",
    "standby",
    "zones",
    "failback",
    "balance",
    "tools",
];

/// What `tools` takes for a pattern of names.
pub(super) const TOOL: &[&str] = &[
    "breaker",
    "breakerFailures",
    "breakerRate",
    "breakerSamples",
    "breakerWindow",
    "breakerSlow",
    "breakerPause",
    "breakerPauseMax",
    "maxConcurrent",
    "adaptive",
    "maxQueued",
    "maxWait",
    "rateLimit",
    "priority",
    "repeatable",
    "retries",
    "attemptTimeout",
    "hedge",
    "fallback",
];

/// What to do with a key of a server's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// It is read.
    Read,
    /// It is a comment, or another program's business.
    Ignored,
    /// It is ignored, and that matters.
    Missed(&'static str),
    /// Nobody is known to use it.
    Unknown,
}

pub(super) fn entry(key: &str) -> Entry {
    if ENTRY.contains(&key) {
        return Entry::Read;
    }
    if HARMLESS.contains(&key) || is_comment(key) {
        return Entry::Ignored;
    }
    let missed = RESTRICTING.iter().find(|(name, _)| *name == key);
    missed.map_or(Entry::Unknown, |(_, meaning)| Entry::Missed(meaning))
}

/// The ways people write comments where the format has none, and `$schema`.
pub(super) fn is_comment(key: &str) -> bool {
    key.starts_with(['_', '$', '#']) || key.starts_with("//")
}

/// Every key of an entry, to guess from.
pub(super) fn entry_names() -> Vec<&'static str> {
    let missed = RESTRICTING.iter().map(|(name, _)| *name);
    ENTRY.iter().chain(HARMLESS).copied().chain(missed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_in_two_tables() {
        let mut names = entry_names();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
