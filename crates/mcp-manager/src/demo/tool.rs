//! Tools as the protocol shows them, the choice of one, and what it brings.

use mcp_wire::serve::Call;
use mcp_wire::{Era, ErrorObject, code, quoted};
use serde_json::{Value, json};

use super::arguments::{Arguments, Misuse};

/// How long a list of tools that never changes may be kept.
const TTL_MS: u64 = 3_600_000;

/// One tool of a demo server.
#[derive(Clone, Debug)]
pub(super) struct Tool {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    /// The JSON Schema of each argument, by name.
    pub(super) properties: Value,
    pub(super) required: &'static [&'static str],
    /// The JSON Schema of what it brings, if that is structured.
    pub(super) output: Option<Value>,
    pub(super) effect: Effect,
}

/// What calling a tool changes. Calling it again with the same arguments changes nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing.
    Reads,
    /// It may replace or remove what was there.
    Overwrites,
}

/// What a tool brings.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Output {
    /// A text.
    Text(String),
    /// An object that fits the tool's output schema.
    Structured(Value),
}

pub(super) type Outcome = Result<Output, Misuse>;

impl Tool {
    fn to_json(&self) -> Value {
        let reads = self.effect == Effect::Reads;
        let mut tool = json!({
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": {
                "type": "object",
                "properties": self.properties,
                "required": self.required,
                "additionalProperties": false,
            },
            "annotations": {
                "readOnlyHint": reads,
                "destructiveHint": !reads,
                "idempotentHint": true,
                "openWorldHint": false,
            },
        });
        if let Some(output) = &self.output {
            tool["outputSchema"] = output.clone();
        }
        tool
    }

    /// Every argument has a known name, and every required one is there.
    fn check(&self, arguments: &Arguments) -> Result<(), Misuse> {
        let known = |name: &str| self.properties.get(name).is_some();
        if let Some(unknown) = arguments.names().find(|name| !known(name)) {
            let known = self.properties.as_object().into_iter().flatten();
            let known: Vec<_> = known.map(|(name, _)| format!("`{name}`")).collect();
            let all = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let name = quoted(unknown);
            return Err(Misuse(format!("Unknown argument {name}: this tool takes {all}.")));
        }
        match self.required.iter().find(|name| !arguments.has(name)) {
            Some(missing) => Err(Misuse(format!("The argument `{missing}` is missing."))),
            None => Ok(()),
        }
    }
}

/// The result of `tools/list`.
pub(super) fn list(call: &Call, tools: &[Tool]) -> String {
    let mut result = json!({ "tools": tools.iter().map(Tool::to_json).collect::<Vec<_>>() });
    if call.era() == Era::Modern {
        result["ttlMs"] = TTL_MS.into();
        result["cacheScope"] = "public".into();
    }
    result.to_string()
}

/// The tool that a `tools/call` names, and its arguments, if they are ones that it takes.
pub(super) fn chosen(
    call: &Call,
    tools: &[Tool],
) -> Result<(&'static str, Result<Arguments, Misuse>), ErrorObject> {
    let name = call.name().unwrap_or_default();
    let tool = tools.iter().find(|tool| tool.name == name).ok_or_else(|| {
        ErrorObject::new(code::INVALID_PARAMS, format!("unknown tool {}", quoted(name)))
    })?;
    let arguments = call.params().and_then(|params| params.get("arguments"));
    let arguments = arguments.map_or_else(|| Ok(Arguments::default()), Arguments::read);
    let arguments = arguments.and_then(|arguments| tool.check(&arguments).map(|()| arguments));
    Ok((tool.name, arguments))
}

/// The result of `tools/call`. What went wrong is part of it, so that the model gets to read it.
pub(super) fn result(outcome: Outcome) -> String {
    let text = |text: &str| json!([{ "type": "text", "text": text }]);
    let result = match outcome {
        Ok(Output::Text(answer)) => json!({ "content": text(&answer) }),
        Ok(Output::Structured(value)) => {
            json!({ "content": text(&value.to_string()), "structuredContent": value })
        }
        Err(Misuse(why)) => json!({ "content": text(&why), "isError": true }),
    };
    result.to_string()
}
