//! What a client does in a client scenario of the suite, through a gateway of its own.

use rmcp::model::{CallToolRequestParams, GetPromptRequestParams, ReadResourceRequestParams};
use serde_json::{Map, Value, json};

use crate::fixture::Era;
use crate::gateway::Gateway;
use crate::raw;
use crate::typed::{Client, Mode};

/// One scenario, as the suite names it to the client that it starts.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "what a test program was told")]
pub struct Errand {
    /// Its name.
    pub scenario: String,
    /// What it wants called, where it says so.
    pub context: Value,
    /// The server that the suite plays.
    pub server: String,
    /// The era in which the client speaks.
    pub era: Era,
}

impl Errand {
    /// Starts the gateway in front of the suite's server, and does what the scenario is about.
    ///
    /// # Panics
    /// When a request fails that the scenario needs.
    pub async fn run(&self) {
        let gateway = Gateway::start(&json!({
            "mcpServers": { "suite": { "url": self.server } },
            "manager": { "namespace": "none" },
        }));
        if self.scenario == "http-invalid-tool-headers" {
            return call_all_that_is_listed(gateway.url());
        }
        let mode = if self.era == Era::Modern { Mode::Modern } else { Mode::Legacy };
        let client = Client::connect(gateway.url(), mode).await;
        let tools = client.list_all_tools().await.expect("tools");
        match self.scenario.as_str() {
            "tools_call" => call(&client, "add_numbers", json!({ "a": 5, "b": 3 })).await,
            "elicitation-sep1034-client-defaults" => {
                call(&client, "test_client_elicitation_defaults", json!({})).await;
            }
            "sse-retry" => call(&client, "test_reconnection", json!({})).await,
            "http-standard-headers" => everything_once(&client).await,
            "http-custom-headers" => {
                for wanted in self.context["toolCalls"].as_array().into_iter().flatten() {
                    let tool = wanted["name"].as_str().unwrap_or_default();
                    call(&client, tool, wanted["arguments"].clone()).await;
                }
            }
            "json-schema-2020-12-preservation" => {
                let focal = tools.iter().find(|tool| tool.name == "json_schema_2020_12_tool");
                let schema = json!(focal.expect("the tool in question").input_schema);
                call(&client, "json_schema_echo", json!({ "schema": schema })).await;
            }
            "sep-2322-client-request-state" => {
                let (asks, forgets) = ("test_mrtr_echo_state", "test_mrtr_no_state");
                let unrelated = call(&client, "test_mrtr_unrelated", json!({}));
                tokio::join!(call(&client, asks, json!({})), unrelated);
                call(&client, forgets, json!({})).await;
                call(&client, "test_mrtr_no_result_type", json!({})).await;
            }
            // To connect and to list is all that the others want.
            _ => {}
        }
    }
}

async fn call(client: &Client, tool: &str, arguments: Value) {
    let arguments: Map<_, _> = serde_json::from_value(arguments).expect("an object");
    let request = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
    client.call_tool(request).await.unwrap_or_else(|error| panic!("{tool}: {error}"));
}

/// Each method that has a header of its own.
async fn everything_once(client: &Client) {
    call(client, "test_headers", json!({})).await;
    for resource in client.list_all_resources().await.expect("resources") {
        let request = ReadResourceRequestParams::new(resource.uri.clone());
        client.read_resource(request).await.expect("a resource");
    }
    for prompt in client.list_all_prompts().await.expect("prompts") {
        client.get_prompt(GetPromptRequestParams::new(prompt.name)).await.expect("a prompt");
    }
}

/// Without a client that would leave out itself what must not be called.
fn call_all_that_is_listed(url: &str) {
    let client = raw::Client::connect(url, raw::Era::Modern).expect("a connection");
    let listed = client.request("tools/list", "{}").expect("tools").value();
    for tool in listed["result"]["tools"].as_array().into_iter().flatten() {
        let name = tool["name"].as_str().unwrap_or_default();
        client.call(name, "{}").expect("an answer");
    }
}
