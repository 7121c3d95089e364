//! The one door at which rules that mean nothing are refused.

use std::collections::HashMap;

use crate::Config;
use crate::pointer::Pointer;
use crate::rule::{Action, Condition, Rule, Scalar};

const PRIORITY_MAX: u8 = 10;
/// Steps of a pointer that a reader of JSON goes along with.
const DEPTH_MAX: usize = 100;
/// Entries of a list: four of them are counted in 16 bits.
const LIST_MAX: usize = 10_000;

/// Why rules are refused: which of them, where in it, what is wrong and how to put it right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule {index} (`{name}`), {field}: {problem}")]
#[non_exhaustive]
pub struct RuleError {
    /// Which rule, counted from 0.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// Where in it, as a file has it: `when.arguments[0].at`.
    pub field: String,
    /// What is wrong, and what would be right.
    pub problem: Problem,
}

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// There are too many rules.
    #[error("more than {0} rules; join some, or raise `rules_max`")]
    TooManyRules(usize),
    /// A list is too long.
    #[error("more than {0} entries; make two rules of it, or use a glob")]
    TooManyEntries(usize),
    /// A text is too long.
    #[error("longer than {0} bytes; shorten it")]
    TooLong(usize),
    /// A text is empty that has to say something.
    #[error("empty; write something, or leave it out")]
    Empty,
    /// The name is taken.
    #[error("rule {0} has the same name; give each its own")]
    SameName(usize),
    /// A list holds nothing, and so nothing would ever do.
    #[error("an empty list, which nothing satisfies; name at least one")]
    EmptyList,
    /// All weights are zero.
    #[error("all weights are 0; give at least one server more")]
    NoWeight,
    /// A server is named twice.
    #[error("`{0}` is named twice; add the weights up")]
    SameServer(String),
    /// No JSON pointer.
    #[error("not a JSON pointer; begin with `/`, and write `~0` for `~` and `~1` for `/`")]
    NoPointer,
    /// The pointer leads too deep.
    #[error("more than {0} steps; look at something higher up")]
    TooDeep(usize),
    /// No number to compare with.
    #[error("not a finite number; write one")]
    NotFinite,
    /// Not a share.
    #[error("a share is more than 0 and at most 1")]
    NoShare,
    /// Not a priority.
    #[error("a priority is 0 to 10")]
    NoPriority,
}

/// Where in a rule, and what is wrong there.
type Fault = (String, Problem);

pub(crate) fn check(rules: &[Rule], config: &Config) -> Result<(), RuleError> {
    let error = |index: usize, field: &str, problem| {
        let name = rules.get(index).map_or_else(String::new, |rule| rule.name.clone());
        Err(RuleError { index, name, field: field.to_owned(), problem })
    };
    if rules.len() > config.rules_max {
        return error(config.rules_max, "rules", Problem::TooManyRules(config.rules_max));
    }
    let mut names = HashMap::new();
    for (index, rule) in rules.iter().enumerate() {
        if let Err((field, problem)) = one(rule, config) {
            return error(index, &field, problem);
        }
        if let Some(before) = names.insert(&*rule.name, index) {
            return error(index, "name", Problem::SameName(before));
        }
    }
    Ok(())
}

fn one(rule: &Rule, config: &Config) -> Result<(), Fault> {
    text("name", &rule.name, config)?;
    let when = &rule.when;
    let lists = [
        ("when.methods", &when.methods),
        ("when.tools", &when.tools),
        ("when.servers", &when.servers),
        ("when.clients", &when.clients),
        ("when.tags.any", &when.tags.any),
        ("when.tags.all", &when.tags.all),
    ];
    for (field, list) in lists {
        at_most(field, list.len(), config)?;
        for (at, entry) in list.iter().enumerate() {
            text(&format!("{field}[{at}]"), entry, config)?;
        }
    }
    at_most("when.arguments", when.arguments.len(), config)?;
    for (at, argument) in when.arguments.iter().enumerate() {
        let field = format!("when.arguments[{at}]");
        pointer(&format!("{field}.at"), &argument.at, config)?;
        condition(&format!("{field}.is"), &argument.is, config)?;
    }
    action(&rule.then, config)?;
    if let Some(mirror) = &rule.mirror {
        text("mirror.server", &mirror.server, config)?;
        // So that what is not a number fails too.
        if !(mirror.share > 0.0 && mirror.share <= 1.0) {
            return Err(("mirror.share".to_owned(), Problem::NoShare));
        }
    }
    if rule.priority.is_some_and(|priority| priority > PRIORITY_MAX) {
        return Err(("priority".to_owned(), Problem::NoPriority));
    }
    rule.fallback.as_ref().map_or(Ok(()), |server| text("fallback", server, config))
}

fn action(action: &Action, config: &Config) -> Result<(), Fault> {
    let shares = match action {
        Action::Pass => return Ok(()),
        Action::Route(server) => return text("then.route", server, config),
        Action::Deny(reason) => return text("then.deny", reason, config),
        Action::Split(shares) => shares,
    };
    let fault = |problem| Err(("then.split".to_owned(), problem));
    at_most("then.split", shares.len(), config)?;
    for (at, share) in shares.iter().enumerate() {
        text(&format!("then.split[{at}].server"), &share.server, config)?;
        if shares[..at].iter().any(|before| before.server == share.server) {
            return fault(Problem::SameServer(share.server.clone()));
        }
    }
    if shares.is_empty() {
        return fault(Problem::EmptyList);
    }
    if shares.iter().all(|share| share.weight == 0) {
        return fault(Problem::NoWeight);
    }
    Ok(())
}

fn condition(field: &str, condition: &Condition, config: &Config) -> Result<(), Fault> {
    match condition {
        Condition::Equals(value) => scalar(field, value, config),
        Condition::OneOf(values) => {
            at_most(field, values.len(), config)?;
            if values.is_empty() {
                return Err((field.to_owned(), Problem::EmptyList));
            }
            values.iter().try_for_each(|value| scalar(field, value, config))
        }
        Condition::Exists(_) => Ok(()),
        Condition::Glob(glob) => text(field, glob, config),
        Condition::Greater(number) | Condition::Less(number) => {
            scalar(field, &Scalar::Number(*number), config)
        }
    }
}

fn scalar(field: &str, value: &Scalar, config: &Config) -> Result<(), Fault> {
    match value {
        Scalar::Number(number) if !number.is_finite() => {
            Err((field.to_owned(), Problem::NotFinite))
        }
        Scalar::Text(text) => short(field, text, config),
        Scalar::Number(_) | Scalar::Bool(_) | Scalar::Null => Ok(()),
    }
}

fn pointer(field: &str, text: &str, config: &Config) -> Result<(), Fault> {
    short(field, text, config)?;
    let most = config.pointer_depth_max.min(DEPTH_MAX);
    match Pointer::parse(text) {
        None => Err((field.to_owned(), Problem::NoPointer)),
        Some(pointer) if pointer.0.len() > most => Err((field.to_owned(), Problem::TooDeep(most))),
        Some(_) => Ok(()),
    }
}

fn at_most(field: &str, count: usize, config: &Config) -> Result<(), Fault> {
    let most = config.list_max.min(LIST_MAX);
    let fits = count <= most;
    fits.then_some(()).ok_or_else(|| (field.to_owned(), Problem::TooManyEntries(most)))
}

fn text(field: &str, text: &str, config: &Config) -> Result<(), Fault> {
    if text.is_empty() {
        return Err((field.to_owned(), Problem::Empty));
    }
    short(field, text, config)
}

fn short(field: &str, text: &str, config: &Config) -> Result<(), Fault> {
    let fits = text.len() <= config.text_max;
    fits.then_some(()).ok_or_else(|| (field.to_owned(), Problem::TooLong(config.text_max)))
}
