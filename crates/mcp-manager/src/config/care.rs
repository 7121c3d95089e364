//! Reads how servers are kept running: restarts, health checks, limits. The root's block takes these
//! keys as well, as the defaults of all servers.

use std::time::Duration;

use http::Uri;
use jsonc_parser::ast::{ObjectProp, Value};
use jsonc_parser::common::Ranged;

use super::decode::{array, boolean, invalid, string, strings};
use super::problem::ProblemKind;
use super::report::Report;
use super::setting::{bounded, choice, duration, processors, set, size, within};
use super::spec::Transport;
use super::suggest::quote;
use super::upkeep::{CheckKind, Checks, ResourceLimits, RestartPolicy, Restarts};

const RESTARTS: &[(&str, RestartPolicy)] = &[
    ("permanent", RestartPolicy::Permanent),
    ("transient", RestartPolicy::Transient),
    ("temporary", RestartPolicy::Temporary),
];

/// What the root takes: the others need something that no two servers share.
const CHECKS_OF_ALL: &[(&str, Word)] =
    &[("auto", Word::Auto), ("ping", Word::Ping), ("none", Word::None)];

const CHECKS: &[(&str, Word)] = &[
    ("auto", Word::Auto),
    ("ping", Word::Ping),
    ("tcp", Word::Tcp),
    ("http", Word::Http),
    ("command", Word::Command),
    ("none", Word::None),
];

/// What `healthCheck` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Auto,
    Ping,
    Tcp,
    Http,
    Command,
    None,
}

/// The settings that the keys set.
pub(super) struct Care<'s> {
    pub(super) restarts: &'s mut Restarts,
    pub(super) checks: &'s mut Checks,
    pub(super) limits: &'s mut ResourceLimits,
    pub(super) target: &'s mut usize,
    pub(super) cooldown: &'s mut Duration,
}

impl Care<'_> {
    /// Reads one key, if it is one of these. `healthCheck` is left to whoever knows the server.
    pub(super) fn read(&mut self, key: &str, value: &Value<'_>, report: &mut Report<'_>) -> bool {
        let Self { restarts, checks, limits, target, cooldown } = self;
        match key {
            "restart" => set(&mut restarts.policy, choice(key, value, RESTARTS, report)),
            "restartsMax" => set(&mut restarts.max, bounded(key, value, 1, 1_000, report)),
            "restartPeriod" => set(&mut restarts.period, duration(key, value, report)),
            "restartPauseMax" => set(&mut restarts.pause_max, duration(key, value, report)),
            "healthInterval" => set(&mut checks.interval, duration(key, value, report)),
            "healthTimeout" => set(&mut checks.timeout, duration(key, value, report)),
            "unhealthyAfter" => {
                set(&mut checks.unhealthy_after, bounded(key, value, 1, 100, report))
            }
            "healthyAfter" => set(&mut checks.healthy_after, bounded(key, value, 1, 100, report)),
            "restartUnhealthy" => set(&mut checks.restart, boolean(key, value, report)),
            "maxMemory" => {
                let bytes = size(key, value, report);
                let bytes = within(key, value, bytes, 1 << 20, 1 << 50, report);
                set(&mut limits.memory_bytes, bytes.map(|bytes| Some(bytes as u64)));
            }
            "maxProcesses" => {
                set(&mut limits.processes, bounded(key, value, 1, 100_000, report).map(Some));
            }
            "maxOpenFiles" => {
                set(&mut limits.open_files, bounded(key, value, 16, 1 << 20, report).map(Some));
            }
            "maxCpu" => set(&mut limits.cpu_millis, processors(key, value, report).map(Some)),
            "scaleTarget" => set(&mut **target, bounded(key, value, 1, 10_000, report)),
            "scaleCooldown" => set(&mut **cooldown, duration(key, value, report)),
            _ => return false,
        }
        true
    }
}

/// `healthCheck` at the root.
pub(super) fn check_of_all(value: &Value<'_>, report: &mut Report<'_>) -> Option<CheckKind> {
    Some(match choice("healthCheck", value, CHECKS_OF_ALL, report)? {
        Word::Ping => CheckKind::Ping,
        Word::None => CheckKind::None,
        _ => CheckKind::Auto,
    })
}

/// What a server's block says of its checks, with the places of the keys.
#[derive(Debug, Default)]
pub(super) struct Probe {
    /// `None` within if it is not understood; the report says so.
    word: Option<(Option<Word>, usize)>,
    url: Option<(Option<String>, usize)>,
    command: Option<(Option<Vec<String>>, usize)>,
}

impl Probe {
    /// Reads one key, if it is one of these.
    pub(super) fn read(&mut self, property: &ObjectProp<'_>, report: &mut Report<'_>) -> bool {
        let (key, value) = (property.name.as_str(), &property.value);
        let at = property.name.start();
        match key {
            "healthCheck" => self.word = Some((choice(key, value, CHECKS, report), at)),
            "healthUrl" => self.url = Some((url(key, value, report), at)),
            "healthCommand" => self.command = Some((command(key, value, report), at)),
            _ => return false,
        }
        true
    }

    /// What is checked; `default` if nothing is said.
    pub(super) fn kind(
        self,
        default: &CheckKind,
        transport: Option<Transport>,
        report: &mut Report<'_>,
    ) -> CheckKind {
        let (word, at) = match self.word {
            Some((Some(word), at)) => (Some(word), at),
            // What goes with it cannot be told.
            Some((None, _)) => return default.clone(),
            None => (None, 0),
        };
        let fields = [
            ("healthUrl", self.url.as_ref().map(|(_, at)| *at), Word::Http, "http"),
            ("healthCommand", self.command.as_ref().map(|(_, at)| *at), Word::Command, "command"),
        ];
        for (key, place, needs, named) in fields {
            let fix = format!("write \"healthCheck\": \"{named}\", or remove it");
            match place {
                Some(place) if word != Some(needs) => {
                    let what = format!("`{key}` means nothing without `healthCheck`: `{named}`");
                    report.problem(place, ProblemKind::Conflict, what, fix);
                }
                None if word == Some(needs) => {
                    let what = format!("`healthCheck`: `{named}` needs `{key}`");
                    report.problem(at, ProblemKind::Missing, what, format!("add `{key}`"));
                }
                _ => {}
            }
        }
        if word == Some(Word::Tcp) && transport == Some(Transport::Stdio) {
            let what = "`healthCheck`: `tcp` means nothing for a server that is started here";
            let fix = "write `auto`, or `command` with `healthCommand`";
            report.problem(at, ProblemKind::Conflict, what, fix);
        }
        match word {
            None => default.clone(),
            Some(Word::Auto) => CheckKind::Auto,
            Some(Word::Ping) => CheckKind::Ping,
            Some(Word::Tcp) => CheckKind::Tcp,
            Some(Word::None) => CheckKind::None,
            Some(Word::Http) => {
                let url = self.url.and_then(|(url, _)| url).unwrap_or_default();
                CheckKind::Http { url }
            }
            Some(Word::Command) => {
                let command = self.command.and_then(|(command, _)| command).unwrap_or_default();
                CheckKind::Command { command }
            }
        }
    }
}

fn url(key: &str, value: &Value<'_>, report: &mut Report<'_>) -> Option<String> {
    const FIX: &str =
        "write \"http://host:port/path\"; references such as `${VAR}` are not replaced here";
    let lit = string(key, value, FIX, report)?;
    let is_url = lit.value.parse::<Uri>().is_ok_and(|uri| {
        let known = matches!(uri.scheme_str(), Some("http" | "https"));
        let authority = uri.authority();
        known
            && authority.is_some_and(|host| !host.as_str().contains('@') && !host.host().is_empty())
    });
    if !is_url {
        // Not the value: it may hold a password.
        invalid(
            key,
            value.start(),
            "is not an http:// or https:// URL without a password",
            FIX,
            report,
        );
        return None;
    }
    Some(lit.value.clone().into_owned())
}

fn command(key: &str, value: &Value<'_>, report: &mut Report<'_>) -> Option<Vec<String>> {
    const FIX: &str = "write [\"program\", \"argument\", ...]";
    array(key, value, FIX, report)?;
    let words: Vec<String> =
        strings(key, value, report).iter().map(|lit| lit.value.clone().into_owned()).collect();
    if words.first().is_none_or(|program| program.trim().is_empty()) {
        invalid(key, value.start(), "names no program", FIX, report);
        return None;
    }
    if words.iter().any(|word| word.contains('\0')) {
        invalid(key, value.start(), "holds a NUL character", "remove it", report);
        return None;
    }
    Some(words)
}

/// Whether this key sets a limit.
pub(super) fn is_limit(key: &str) -> bool {
    matches!(key, "maxMemory" | "maxProcesses" | "maxOpenFiles" | "maxCpu")
}

/// Refuses each limit that a block sets for a server that is not started here.
pub(super) fn refuse_limits(limits: &[(String, usize)], report: &mut Report<'_>) {
    for (key, at) in limits {
        let what = format!("{} means nothing for a server that is not started here", quote(key));
        report.problem(*at, ProblemKind::Conflict, what, "remove it");
    }
}
