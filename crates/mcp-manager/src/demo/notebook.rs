//! The notebook: notes by key, as tools, as resources to subscribe to, and as prompts.

mod completion;
mod import;
mod prompts;
mod resources;
mod store;
mod tools;
mod uri;

use mcp_wire::ErrorObject;
use mcp_wire::serve::{Call, Change, Description, Service};
use serde_json::json;
use tokio::sync::broadcast;

use self::store::Store;
use super::tool;

/// Changes that may wait for a client; one that misses some is told that anything may have changed.
const CHANGES: usize = 256;

/// The server: one set of notes, whoever is connected.
pub(super) struct Notebook {
    store: Store,
    changes: broadcast::Sender<Change>,
}

impl Default for Notebook {
    fn default() -> Self {
        Self { store: Store::default(), changes: broadcast::channel(CHANGES).0 }
    }
}

impl Service for Notebook {
    fn describe(&self) -> Description {
        let capabilities = json!({
            "tools": {},
            "prompts": {},
            "resources": { "subscribe": true, "listChanged": true },
            "completions": {},
        });
        let instructions = "Notes are kept by key, in memory. Each is also the resource \
            note:///{key}, with the key percent-encoded.";
        super::description("notebook", "Notebook", &capabilities, instructions)
    }

    async fn call(&self, call: Call) -> Result<String, ErrorObject> {
        match call.method() {
            "tools/list" => Ok(tool::list(&call, &tools::TOOLS)),
            "tools/call" => {
                let (name, arguments) = tool::chosen(&call, &tools::TOOLS)?;
                Ok(tool::result(match arguments {
                    Ok(arguments) if name == "import" => self.import(&arguments, &call).await,
                    Ok(arguments) => self.run(name, &arguments),
                    Err(misuse) => Err(misuse),
                }))
            }
            "resources/list" => Ok(resources::list(&self.store)),
            "resources/templates/list" => Ok(resources::templates()),
            "resources/read" => resources::read(&self.store, &call),
            "prompts/list" => Ok(prompts::list()),
            "prompts/get" => prompts::get(&self.store, &call),
            "completion/complete" => completion::complete(&self.store, &call),
            _ => Err(call.unknown_method()),
        }
    }

    fn changes(&self) -> Option<broadcast::Receiver<Change>> {
        Some(self.changes.subscribe())
    }
}

impl Notebook {
    /// Announces that the note `key` is different, and whether the list of notes is.
    fn announce(&self, key: &str, listed: bool) {
        // With nobody connected there is nobody to tell.
        if listed {
            let _ = self.changes.send(Change::Resources);
        }
        let _ = self.changes.send(Change::Resource(uri::of(key)));
    }
}
