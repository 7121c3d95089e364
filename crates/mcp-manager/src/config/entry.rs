//! A server's entry: its keys sorted out, then put together into a [`ServerSpec`].

use std::collections::HashMap;

use jsonc_parser::ast::{Object, ObjectProp};
use jsonc_parser::common::Ranged;

use super::decode::{boolean, object, properties};
use super::expand::Scope;
use super::keys;
use super::manager;
use super::problem::{Fault, ProblemKind};
use super::report::Report;
use super::settings::Settings;
use super::spec::{ServerKind, ServerSpec, Transport};
use super::suggest::{nearest, quote};
use super::value::Values;
use super::{child, endpoint, tcp, transport, urls};

/// The longest name of a server, in characters.
const NAME_CHARS_MAX: usize = 128;

/// The keys of an entry that are read here; those that are `null` count as absent, since many
/// programs write all the keys they know.
pub(super) struct Entry<'v, 'a> {
    pub(super) name: &'v str,
    /// Where the entry's name is.
    pub(super) at: usize,
    fields: HashMap<&'v str, &'v ObjectProp<'a>>,
}

impl<'v, 'a> Entry<'v, 'a> {
    pub(super) fn get(&self, key: &str) -> Option<&'v ObjectProp<'a>> {
        self.fields.get(key).copied()
    }
}

/// Reads one entry. `None` if it is no server; then the report says why.
pub(super) fn read(
    property: &ObjectProp<'_>,
    scope: &Scope<'_>,
    global: &Settings,
    report: &mut Report<'_>,
) -> Option<ServerSpec> {
    let name = property.name.as_str();
    check_name(name, property.name.start(), report);
    let fix = "write {\"command\": \"...\"} or {\"url\": \"...\"}";
    let object = object(name, &property.value, fix, report)?;
    let entry = Entry { name, at: property.name.start(), fields: fields(object, report) };

    let block = entry.get("manager").map(|property| &property.value);
    let mut defaults = global.for_server();
    if let Some(era) = inspectors_era(object) {
        defaults.protocol_era = era;
    }
    report.server = Some(name.to_owned());
    let mut block = manager::server(block, defaults, report);
    report.server = None;
    let disabled = disabled(&entry, report);
    let transport = transport::decide(&entry, report);
    let settings = block.settle(transport, urls::count(&entry), report);
    let transport = transport?;
    if let Some((_, at)) = block.inherit_env.filter(|_| transport != Transport::Stdio) {
        let what = "`inheritEnv` means nothing for a server that is not started here";
        report.problem(at, ProblemKind::Conflict, what, "remove it");
    }

    let inherit_env = block.inherit_env.is_some_and(|(inherit, _)| inherit);
    let mut values = Values { report, scope, reasons: Vec::new() };
    let kind = match transport {
        Transport::Stdio => ServerKind::Stdio(child::read(&entry, inherit_env, &mut values)?),
        Transport::Http => ServerKind::Http(endpoint::http(&entry, &mut values)?),
        Transport::Sse => ServerKind::Sse(endpoint::http(&entry, &mut values)?),
        Transport::WebSocket => ServerKind::WebSocket(endpoint::websocket(&entry, &mut values)?),
        Transport::Tcp => ServerKind::Tcp(tcp::read(&entry, &mut values)?),
    };
    let reasons = values.reasons;
    let fault = (!reasons.is_empty()).then(|| Fault { server: name.to_owned(), reasons });
    Some(ServerSpec { name: name.to_owned(), kind, disabled, settings, fault })
}

fn check_name(name: &str, at: usize, report: &mut Report<'_>) {
    let length = name.chars().count();
    let what = if name.is_empty() {
        "a server's name is empty".to_owned()
    } else if length > NAME_CHARS_MAX {
        format!("the server name {} has {length} characters", quote(name))
    } else if name.contains('/') {
        format!("the server name {} holds a `/`", quote(name))
    } else if name.contains(char::is_control) {
        format!("the server name {} holds a control character", quote(name))
    } else {
        return;
    };
    let fix = "use 1 to 128 characters, none of them a `/` or a control character";
    report.problem(at, ProblemKind::InvalidValue, what, fix);
}

/// Keeps what is read here, and says what becomes of the rest.
fn fields<'v, 'a>(
    object: &'v Object<'a>,
    report: &mut Report<'_>,
) -> HashMap<&'v str, &'v ObjectProp<'a>> {
    let mut fields = HashMap::new();
    for property in properties(object, report) {
        let key = property.name.as_str();
        let at = property.name.start();
        let is_null = property.value.as_null_keyword().is_some();
        match keys::entry(key) {
            keys::Entry::Read if is_null => {}
            keys::Entry::Read => {
                fields.insert(key, property);
            }
            keys::Entry::Ignored if key == "timeout" => {
                let advice = "write \"manager\": {\"callTimeout\": \"60s\"}";
                report.info(
                    at,
                    format!("`timeout` is ignored, since clients differ on its unit; {advice}"),
                );
            }
            keys::Entry::Ignored if key == "protocolEra" && era(property).is_some() => {}
            keys::Entry::Ignored if keys::is_comment(key) => {}
            keys::Entry::Ignored => report.info(at, format!("{} is ignored", quote(key))),
            keys::Entry::Missed(_) if allows_all(property) => {}
            keys::Entry::Missed(meaning) => {
                report.warning(at, format!("{} is ignored: {meaning}", quote(key)));
            }
            keys::Entry::Unknown => unknown(key, at, report),
        }
    }
    fields
}

fn unknown(key: &str, at: usize, report: &mut Report<'_>) {
    let fix = if keys::SERVER.contains(&key) {
        format!("write it inside \"manager\": {{{key:?}: ...}}")
    } else if keys::GLOBAL.contains(&key) {
        "it belongs in the `manager` block of the root of the file".to_owned()
    } else if let Some(near) = nearest(key, &keys::entry_names()) {
        format!("did you mean {}?", quote(near))
    } else {
        "remove it, or begin it with `_` if it is a comment".to_owned()
    };
    report.problem(at, ProblemKind::UnknownKey, format!("unknown key {}", quote(key)), fix);
}

/// `null`, `false`, `[]` and Copilot's `"tools": ["*"]` hold nothing back.
fn allows_all(property: &ObjectProp<'_>) -> bool {
    let value = &property.value;
    let is_off = value.as_boolean_lit().is_some_and(|lit| !lit.value);
    let is_open = value.as_array().is_some_and(|array| match array.elements.as_slice() {
        [] => property.name.as_str() != "tools",
        [only] => only.as_string_lit().is_some_and(|lit| lit.value == "*"),
        _ => false,
    });
    value.as_null_keyword().is_some() || is_off || is_open
}

/// Inspector writes `protocolEra` into the entry itself; our own block overrides it.
fn inspectors_era(object: &Object<'_>) -> Option<super::ProtocolEra> {
    object.get("protocolEra").and_then(era)
}

fn era(property: &ObjectProp<'_>) -> Option<super::ProtocolEra> {
    let lit = property.value.as_string_lit()?;
    manager::ERAS.iter().find(|(name, _)| *name == lit.value).map(|(_, era)| *era)
}

fn disabled(entry: &Entry<'_, '_>, report: &mut Report<'_>) -> bool {
    let mut switch = |key| {
        let property = entry.get(key)?;
        let value = boolean(key, &property.value, report)?;
        Some((value, property.name.start()))
    };
    let (disabled, enabled) = (switch("disabled"), switch("enabled"));
    if let (Some((disabled, first)), Some((enabled, second))) = (disabled, enabled)
        && disabled == enabled
    {
        let what = "`disabled` and `enabled` say different things";
        report.problem(first.max(second), ProblemKind::Conflict, what, "keep one of them");
    }
    disabled.is_some_and(|(disabled, _)| disabled) || enabled.is_some_and(|(enabled, _)| !enabled)
}

/// Says of each key in `keys` that is there that it does nothing here.
pub(super) fn ignore(entry: &Entry<'_, '_>, keys: &[&str], why: &str, report: &mut Report<'_>) {
    for property in keys.iter().filter_map(|key| entry.get(key)) {
        let is_empty =
            property.value.as_object().is_some_and(|object| object.properties.is_empty())
                || property.value.as_array().is_some_and(|array| array.elements.is_empty());
        if !is_empty {
            let key = quote(property.name.as_str());
            report.info(property.name.start(), format!("{key} is ignored: {why}"));
        }
    }
}
