//! What is switched on and off: keys of a server's `manager` block, as data.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};

use crate::process::gateway_program;

/// The program's word for a configuration that it does not take.
const REFUSED: i32 = 2;

/// One feature and how it is said.
#[derive(Debug)]
pub(super) struct Feature {
    pub(super) name: &'static str,
    key: &'static str,
    /// JSON; `None` is to say nothing.
    without: Option<&'static str>,
    /// JSON.
    with: &'static str,
}

/// All that is compared. The one place that knows keys.
const FEATURES: [Feature; 5] = [
    Feature { name: "breaker", key: "breaker", without: Some("false"), with: "true" },
    Feature { name: "retries", key: "retries", without: Some("0"), with: "2" },
    Feature { name: "hedge", key: "hedge", without: Some("false"), with: "true" },
    Feature {
        name: "least-loaded",
        key: "balance",
        without: Some(r#""round-robin""#),
        with: r#""least-loaded""#,
    },
    Feature { name: "max-concurrent", key: "maxConcurrent", without: None, with: "16" },
];

/// A server's `manager` block.
pub(super) type Block = Map<String, Value>;

/// A choice of features to run a scene with.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub(super) name: String,
    pub(super) block: Block,
}

/// The features that the program under test has.
#[derive(Debug)]
pub(super) struct Switches {
    offered: Vec<&'static Feature>,
}

impl Switches {
    /// Asks the program which keys it takes, and says which are left out because it does not.
    pub(super) fn probe(dir: &Path) -> Result<Self, String> {
        let mut offered = Vec::new();
        for feature in &FEATURES {
            match refusal(dir, feature)? {
                None => offered.push(feature),
                Some(said) => println!("left out, not taken by this program: {said:.90}"),
            }
        }
        Ok(Self { offered })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.offered.iter().any(|feature| feature.name == name)
    }

    /// Each feature that the program has, on or off as `on` says of its name.
    pub(super) fn block(&self, on: impl Fn(&str) -> bool) -> Block {
        let said = |feature: &&Feature| {
            let json = if on(feature.name) { Some(feature.with) } else { feature.without };
            Some((feature.key.to_owned(), json.map(parsed)?))
        };
        self.offered.iter().filter_map(said).collect()
    }

    /// All of them; of a program that has none, that is none.
    pub(super) fn everything(&self) -> Choice {
        let name = if self.offered.is_empty() { "none" } else { "all" };
        Choice { name: name.to_owned(), block: self.block(|_| true) }
    }

    /// None, each alone, all, all but each; what would be the same twice is there once.
    pub(super) fn choices(&self) -> Vec<Choice> {
        let choice = |name: String, block| Choice { name, block };
        let mut choices = vec![choice("none".to_owned(), self.block(|_| false))];
        let names = || self.offered.iter().map(|feature| feature.name);
        choices.extend(names().map(|own| choice(own.to_owned(), self.block(|name| name == own))));
        if self.offered.len() > 1 {
            choices.push(self.everything());
        }
        // Of two, all but one is the other alone.
        if self.offered.len() > 2 {
            let but = |own| choice(format!("all but {own}"), self.block(|name| name != own));
            choices.extend(names().map(but));
        }
        choices
    }
}

/// What the program says of a configuration with this feature; `None` if it takes it.
fn refusal(dir: &Path, feature: &Feature) -> Result<Option<String>, String> {
    let file = dir.join("probe.json");
    for json in feature.without.into_iter().chain([feature.with]) {
        let block = json!({ feature.key: parsed(json) });
        let server = json!({ "urls": ["http://127.0.0.1:9/mcp"], "manager": block });
        let config = json!({ "mcpServers": { "echo": server } });
        std::fs::write(&file, config.to_string()).map_err(|error| error.to_string())?;
        let checked = Command::new(gateway_program()?)
            .arg("check")
            .arg(&file)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("mcp-manager check: {error}"))?;
        let said = String::from_utf8_lossy(&checked.stderr);
        match checked.status.code() {
            Some(0) => {}
            Some(REFUSED) => {
                let line = said.lines().next().unwrap_or_default();
                let line = line.split_once(".json:").map_or(line, |(_, said)| said);
                return Ok(Some(format!("{}: {line}", feature.name)));
            }
            _ => return Err(format!("mcp-manager check: {}: {said}", checked.status)),
        }
    }
    Ok(None)
}

/// The constants above are JSON, which a test sees to.
fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switches(count: usize) -> Switches {
        Switches { offered: FEATURES.iter().take(count).collect() }
    }

    #[test]
    fn every_value_is_json() {
        for feature in &FEATURES {
            for json in feature.without.into_iter().chain([feature.with]) {
                assert!(!parsed(json).is_null(), "{}: {json}", feature.name);
            }
        }
    }

    #[test]
    fn no_choice_is_there_twice() {
        for (count, choices) in [(0, 1), (1, 2), (2, 4), (3, 8), (5, 12)] {
            let choices_of = switches(count).choices();
            assert_eq!(choices_of.len(), choices, "{count} features");
            for (index, choice) in choices_of.iter().enumerate() {
                let twice = choices_of[..index].iter().find(|other| other.block == choice.block);
                assert!(twice.is_none(), "{} is {}", choice.name, twice.unwrap().name);
            }
        }
    }

    #[test]
    fn what_is_off_is_said_and_what_the_program_does_not_have_is_not() {
        let block = Value::Object(switches(2).block(|name| name == "retries"));
        assert_eq!(block, json!({ "breaker": false, "retries": 2 }));
    }
}
