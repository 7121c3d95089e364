//! Reads how many of a server there are, and who shares their sessions.

use jsonc_parser::ast::ObjectProp;
use jsonc_parser::common::Ranged;

use super::decode::boolean;
use super::problem::ProblemKind;
use super::report::Report;
use super::setting::{bounded, choice};
use super::spec::ServerSettings;
use super::upkeep::Sessions;

/// The most replicas of a server, and the most URLs.
pub(super) const REPLICAS_MAX: u64 = 64;

const SESSIONS: &[(&str, Sessions)] = &[
    ("per-session", Sessions::PerSession),
    ("shared", Sessions::Shared),
    ("pooled", Sessions::Pooled),
];

/// What a server's block says, each with the place of its key.
#[derive(Debug, Default)]
pub(super) struct Copies {
    /// `None` within if it is not understood; the report says so.
    sessions: Option<(Option<Sessions>, usize)>,
    shareable: Option<(bool, usize)>,
    spares: Option<(usize, usize)>,
    replicas: Option<(usize, usize)>,
    min: Option<(usize, usize)>,
    max: Option<(usize, usize)>,
}

impl Copies {
    /// Reads one key, if it is one of these.
    pub(super) fn read(&mut self, property: &ObjectProp<'_>, report: &mut Report<'_>) -> bool {
        let (key, value) = (property.name.as_str(), &property.value);
        let at = property.name.start();
        let mut number = |max| bounded(key, value, 1, max, report).map(|number| (number, at));
        match key {
            "replicas" => self.replicas = number(REPLICAS_MAX),
            "minReplicas" => self.min = number(REPLICAS_MAX),
            "maxReplicas" => self.max = number(REPLICAS_MAX),
            "spares" => self.spares = number(16),
            "sessions" => {
                self.sessions = Some((choice(key, value, SESSIONS, report), at));
            }
            "shareable" => self.shareable = boolean(key, value, report).map(|shares| (shares, at)),
            _ => return false,
        }
        true
    }

    /// Settles what is not said; a server that is reached by `urls` is there as often as there are
    /// URLs.
    pub(super) fn settle(
        self,
        settings: &mut ServerSettings,
        urls: usize,
        report: &mut Report<'_>,
    ) {
        self.share(settings, report);
        let scaling = &mut settings.scaling;
        let (min, max) = (self.min.map(|(min, _)| min), self.max.map(|(max, _)| max));
        if let (Some((min, first)), Some((max, second))) = (self.min, self.max)
            && min > max
        {
            let what = format!("`minReplicas`, {min}, is above `maxReplicas`, {max}");
            let fix = "lower the one or raise the other";
            return report.problem(first.max(second), ProblemKind::Conflict, what, fix);
        }
        let usual = urls.max(min.unwrap_or(1)).min(max.unwrap_or(usize::MAX));
        let replicas = self.replicas.map_or(usual, |(replicas, _)| replicas);
        if let Some((replicas, at)) = self.replicas {
            for (key, other, outside) in [
                ("minReplicas", min, min.is_some_and(|min| replicas < min)),
                ("maxReplicas", max, max.is_some_and(|max| replicas > max)),
            ] {
                if let Some(other) = other.filter(|_| outside) {
                    let word = if key == "minReplicas" { "below" } else { "above" };
                    let what = format!("`replicas`, {replicas}, is {word} `{key}`, {other}");
                    let fix = "write a number between `minReplicas` and `maxReplicas`";
                    report.problem(at, ProblemKind::Conflict, what, fix);
                }
            }
        }
        scaling.replicas = replicas;
        scaling.replicas_min = min.unwrap_or(replicas);
        scaling.replicas_max = max.unwrap_or(replicas);
    }

    fn share(&self, settings: &mut ServerSettings, report: &mut Report<'_>) {
        // What goes with a word that is not understood cannot be told.
        let (sessions, at) = match self.sessions {
            Some((None, _)) => return,
            Some((said, at)) => (said, at),
            None => (None, 0),
        };
        if let (Some((shares, other)), Some(sessions)) = (self.shareable, sessions)
            && shares != (sessions == Sessions::Shared)
        {
            let what = "`shareable` and `sessions` say different things";
            report.problem(at.max(other), ProblemKind::Conflict, what, "keep one of them");
        }
        let shares = self.shareable.is_some_and(|(shares, _)| shares);
        let usual = if shares { Sessions::Shared } else { settings.sessions };
        settings.sessions = sessions.unwrap_or(usual);
        if let Some((spares, at)) = self.spares {
            settings.spares = spares;
            if settings.sessions != Sessions::Pooled {
                let what = "`spares` means nothing without `sessions`: `pooled`";
                let fix = "write \"sessions\": \"pooled\", or remove it";
                report.problem(at, ProblemKind::Conflict, what, fix);
            }
        }
    }
}
