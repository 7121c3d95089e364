//! What is stored of a session: enough to go on with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mcp_manager::Memory;
use serde_json::{Value, json};

/// One session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Its id, which is a secret.
    pub(crate) id: Arc<str>,
    /// The server that it sees alone; `None` for all of them.
    pub(crate) server: Option<String>,
    /// The version of the protocol that was agreed on.
    pub(crate) version: String,
    /// What its client has said.
    pub(crate) memory: Memory,
}

impl Record {
    pub(super) fn to_json(&self) -> String {
        let Memory { params, level, subscriptions, .. } = &self.memory;
        json!({
            "server": self.server,
            "version": self.version,
            "params": params,
            "level": level,
            "subscriptions": subscriptions,
        })
        .to_string()
    }

    pub(super) fn parse(id: &str, json: &str) -> Option<Self> {
        let record: Value = serde_json::from_str(json).ok()?;
        let text = |key: &str| record[key].as_str().map(str::to_owned);
        let mut memory = Memory::default();
        (memory.params, memory.level) = (text("params"), text("level"));
        let set = |uris: &Value| -> Option<BTreeSet<String>> {
            uris.as_array()?.iter().map(|uri| uri.as_str().map(str::to_owned)).collect()
        };
        let subscriptions = record["subscriptions"].as_object()?.iter();
        memory.subscriptions = subscriptions
            .map(|(server, uris)| Some((server.clone(), set(uris)?)))
            .collect::<Option<BTreeMap<_, _>>>()?;
        Some(Self { id: id.into(), server: text("server"), version: text("version")?, memory })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_were() {
        let mut memory = Memory::default();
        memory.params = Some(r#"{"capabilities":{"x":[1.0,9007199254740993]}}"#.to_owned());
        memory.level = Some("warning".to_owned());
        let uris = ["a:1".to_owned(), "a:2".to_owned()].into();
        memory.subscriptions.insert("files".to_owned(), uris);
        for server in [None, Some("files".to_owned())] {
            let (id, version) = ("0123".into(), "2025-11-25".to_owned());
            let record = Record { id, server, version, memory: memory.clone() };
            assert_eq!(Record::parse("0123", &record.to_json()), Some(record));
        }
        assert_eq!(Record::parse("1", "{}"), None);
    }
}
