//! Reads `"manager": {...}`, at the root and inside a server's entry. Strict: it is ours alone.

use std::time::Duration;

use jsonc_parser::ast::{ObjectProp, Value};
use jsonc_parser::common::Ranged;

use super::care::{Probe, check_of_all, is_limit, refuse_limits};
use super::copies::Copies;
use super::decode::{boolean, invalid, object, properties};
use super::expand::Scope;
use super::keys;
use super::policies::{self, Setting};
use super::preset::Preset;
use super::problem::ProblemKind;
use super::report::Report;
use super::rules;
use super::setting::{
    address, choice, count, directory, duration, hosts, origins, set, size, within,
};
use super::settings::{Namespace, Settings};
use super::spec::{ProtocolEra, ServerSettings, Transport};
use super::suggest::{list, nearest, quote};
use super::units;
use super::upkeep::ResourceLimits;

const FIX_BLOCK: &str = "write {\"key\": value, ...}";
const SESSIONS_MAX: u64 = 1_000_000;

/// The block at the root.
pub(super) fn global(value: &Value<'_>, scope: &Scope<'_>, report: &mut Report<'_>) -> Settings {
    let preset = value.as_object().and_then(|block| block.get("preset"));
    let names = Preset::ALL.map(|preset| (preset.name(), preset));
    let preset = preset.and_then(|property| choice("preset", &property.value, &names, report));
    let mut settings = preset.map_or_else(Settings::default, |one| one.settings_for(report));
    global_over(&mut settings, value, scope, report);
    settings
}

/// The block at the root, over what is there already.
pub(super) fn global_over(
    settings: &mut Settings,
    value: &Value<'_>,
    scope: &Scope<'_>,
    report: &mut Report<'_>,
) {
    let Some(block) = object("manager", value, FIX_BLOCK, report) else { return };
    let (mut calls, mut pauses, mut admin_at) = (None, None, 0);
    for property in properties(block, report) {
        let key = property.name.as_str();
        let value = &property.value;
        report.says(property);
        if settings.care().read(key, value, report) {
            continue;
        }
        if let Some(setting) = Setting::read(key, value, report) {
            setting.iter().for_each(|setting| setting.put(&mut settings.policy));
            pauses = pauses.or(is_pause(key).then_some(value.start()));
            continue;
        }
        match key {
            "preset" => {}
            "tools" => settings.tools.extend(policies::tools(value, report)),
            "rules" => settings.rules = rules::read(value, report),
            "healthCheck" => set(&mut settings.checks.kind, check_of_all(value, report)),
            "drainTimeout" => set(&mut settings.drain_timeout, duration(key, value, report)),
            "watch" => set(&mut settings.watch, boolean(key, value, report)),
            "namespace" => {
                let names = [("server", Namespace::Server), ("none", Namespace::None)];
                set(&mut settings.namespace, choice(key, value, &names, report));
            }
            "listen" => settings.listen = address(key, value, report),
            "admin" => {
                settings.admin = address(key, value, report);
                admin_at = value.start();
            }
            "allowedHosts" => settings.allowed_hosts = hosts(key, value, report),
            "allowedOrigins" => settings.allowed_origins = origins(key, value, report),
            "listTimeout" => set(&mut settings.list_timeout, duration(key, value, report)),
            "callTimeout" => {
                calls = Some(value.start());
                set(&mut settings.call_timeout, duration(key, value, report));
            }
            "callTimeoutMax" => {
                calls = Some(value.start());
                set(&mut settings.call_timeout_max, duration(key, value, report));
            }
            "startTimeout" => set(&mut settings.start_timeout, duration(key, value, report)),
            "maxSessions" => {
                let sessions =
                    within(key, value, count(key, value, report), 1, SESSIONS_MAX, report);
                set(&mut settings.sessions_max, sessions);
            }
            "sessionIdle" => set(&mut settings.session_idle, duration(key, value, report)),
            "resumeTimeout" => set(&mut settings.resume_timeout, duration(key, value, report)),
            "stateDir" => {
                let written = directory(key, value, report);
                settings.state_dir = written.map(|written| scope.path(written));
            }
            "maxFrameBytes" => {
                let bytes = within(key, value, size(key, value, report), 1 << 10, 1 << 30, report);
                set(&mut settings.frame_bytes_max, bytes);
            }
            _ => unknown(property, keys::GLOBAL, keys::SERVER, "a server's entry", report),
        }
    }
    check_calls(calls, settings.call_timeout, settings.call_timeout_max, report);
    if settings.admin.is_some_and(|admin| admin.port() != 0 && settings.listen == Some(admin)) {
        let what = "`listen` and `admin` are the same address";
        report.problem(admin_at, ProblemKind::Conflict, what, "give one of them another port");
    }
    policies::check_pauses(pauses, &settings.policy, report);
}

fn is_pause(key: &str) -> bool {
    matches!(key, "breakerPause" | "breakerPauseMax")
}

/// What a server's block says, and whether it inherits the environment.
#[derive(Debug)]
pub(super) struct ServerBlock {
    pub(super) settings: ServerSettings,
    /// With the place of the key, if it is there.
    pub(super) inherit_env: Option<(bool, usize)>,
    copies: Copies,
    probe: Probe,
    /// The keys that set limits, and their places.
    limits: Vec<(String, usize)>,
}

impl ServerBlock {
    /// What a server is told that is reached in this way, at so many URLs.
    pub(super) fn settle(
        &mut self,
        transport: Option<Transport>,
        urls: usize,
        report: &mut Report<'_>,
    ) -> ServerSettings {
        let mut settings = self.settings.clone();
        std::mem::take(&mut self.copies).settle(&mut settings, urls, report);
        let probe = std::mem::take(&mut self.probe);
        settings.checks.kind = probe.kind(&settings.checks.kind, transport, report);
        if transport.is_some_and(|transport| transport != Transport::Stdio) {
            refuse_limits(&self.limits, report);
            settings.limits = ResourceLimits::default();
        }
        settings
    }
}

/// The block inside a server's entry; `defaults` are the merged settings of the root.
pub(super) fn server(
    value: Option<&Value<'_>>,
    defaults: ServerSettings,
    report: &mut Report<'_>,
) -> ServerBlock {
    let mut read = ServerBlock {
        settings: defaults,
        inherit_env: None,
        copies: Copies::default(),
        probe: Probe::default(),
        limits: Vec::new(),
    };
    let block = value.and_then(|value| object("manager", value, FIX_BLOCK, report));
    let Some(block) = block else { return read };
    let settings = &mut read.settings;
    let (mut calls, mut pauses) = (None, None);
    for property in properties(block, report) {
        let key = property.name.as_str();
        let value = &property.value;
        report.says(property);
        if is_limit(key) {
            read.limits.push((key.to_owned(), property.name.start()));
        }
        if settings.care().read(key, value, report)
            || read.copies.read(property, report)
            || read.probe.read(property, report)
        {
            continue;
        }
        if let Some(setting) = Setting::read(key, value, report) {
            setting.iter().for_each(|setting| setting.put(&mut settings.policy));
            pauses = pauses.or(is_pause(key).then_some(value.start()));
            continue;
        }
        match key {
            "tools" => settings.tools.extend(policies::tools(value, report)),
            "inheritEnv" => {
                let at = property.name.start();
                read.inherit_env = boolean(key, value, report).map(|inherit| (inherit, at));
            }
            "protocolEra" => {
                let era = choice(key, value, ERAS, report);
                set(&mut settings.protocol_era, era);
            }
            "listTimeout" => set(&mut settings.list_timeout, duration(key, value, report)),
            "callTimeout" => {
                calls = Some(value.start());
                set(&mut settings.call_timeout, duration(key, value, report));
            }
            "callTimeoutMax" => {
                calls = Some(value.start());
                set(&mut settings.call_timeout_max, duration(key, value, report));
            }
            "startTimeout" => set(&mut settings.start_timeout, duration(key, value, report)),
            _ => unknown(property, keys::SERVER, keys::GLOBAL, "the root of the file", report),
        }
    }
    check_calls(calls, settings.call_timeout, settings.call_timeout_max, report);
    policies::check_pauses(pauses, &settings.policy, report);
    read
}

pub(super) const ERAS: &[(&str, ProtocolEra)] = &[
    ("auto", ProtocolEra::Auto),
    ("legacy", ProtocolEra::Legacy),
    ("modern", ProtocolEra::Modern),
];

/// `at` is where this block speaks of calls; a block that does not only inherits what was checked.
fn check_calls(at: Option<usize>, call: Duration, max: Duration, report: &mut Report<'_>) {
    if let Some(at) = at.filter(|_| max < call) {
        let what =
            format!("{} is longer than `callTimeoutMax`, {}", units::show(call), units::show(max));
        invalid("callTimeout", at, what, "shorten the one or raise the other", report);
    }
}

fn unknown(
    property: &ObjectProp<'_>,
    here: &[&'static str],
    elsewhere: &[&str],
    place: &str,
    report: &mut Report<'_>,
) {
    let key = property.name.as_str();
    let fix = match nearest(key, here) {
        _ if elsewhere.contains(&key) => format!("it belongs in the `manager` block of {place}"),
        Some(near) => format!("did you mean {}?", quote(near)),
        None => format!("this block takes {}", list(here)),
    };
    let what = format!("unknown key {} in `manager`", quote(key));
    report.problem(property.name.start(), ProblemKind::UnknownKey, what, fix);
}
