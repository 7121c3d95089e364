//! The calculator: expressions, units, statistics. It keeps no state.

mod expression;
mod functions;
mod lexer;
mod number;
mod statistics;
mod units;

use std::sync::LazyLock;

use mcp_wire::ErrorObject;
use mcp_wire::serve::{Call, Description, Service};
use serde_json::{Value, json};

use super::arguments::{Arguments, Misuse};
use super::tool::{self, Effect, Outcome, Output, Tool};

/// The server.
pub(super) struct Calculator;

impl Service for Calculator {
    fn describe(&self) -> Description {
        let capabilities = json!({ "tools": {} });
        let instructions = "Every result is structured content. Angles are in radians.";
        super::description("calculator", "Calculator", &capabilities, instructions)
    }

    async fn call(&self, call: Call) -> Result<String, ErrorObject> {
        match call.method() {
            "tools/list" => Ok(tool::list(&call, &TOOLS)),
            "tools/call" => {
                let (name, arguments) = tool::chosen(&call, &TOOLS)?;
                Ok(tool::result(arguments.and_then(|arguments| run(name, &arguments))))
            }
            _ => Err(call.unknown_method()),
        }
    }
}

fn run(tool: &str, arguments: &Arguments) -> Outcome {
    let value = match tool {
        "evaluate" => {
            let value = expression::evaluate(arguments.text("expression")?);
            let value = value.map_err(|error| Misuse(error.to_string()))?;
            json!({ "value": number::to_json(value) })
        }
        "convert" => {
            let (from, to) = (arguments.text("from")?, arguments.text("to")?);
            let value = units::convert(arguments.number("value")?, from, to)?;
            json!({ "value": number::to_json(value), "unit": to })
        }
        _ => statistics::of(arguments.list("numbers")?)?,
    };
    Ok(Output::Structured(value))
}

static TOOLS: LazyLock<Vec<Tool>> = LazyLock::new(|| {
    let number = json!({ "type": "number" });
    let object = |properties: Value| {
        let names: Vec<_> = properties.as_object().into_iter().flatten().map(|(k, _)| k).collect();
        json!({ "type": "object", "properties": properties, "required": names })
    };
    let tool = |name, title, description, properties, required, output| Tool {
        name,
        title,
        description,
        properties,
        required,
        output: Some(object(output)),
        effect: Effect::Reads,
    };
    vec![
        tool(
            "evaluate",
            "Evaluate an expression",
            "The value of an arithmetic expression: + - * / % ^, parentheses, pi, e, sqrt, abs, \
             min, max, round, floor, ceil, ln, log10, sin, cos.",
            json!({ "expression": { "type": "string", "maxLength": expression::LENGTH_MAX } }),
            &["expression"],
            json!({ "value": number }),
        ),
        tool(
            "convert",
            "Convert between units",
            "Converts lengths, masses, temperatures, times and amounts of data.",
            json!({
                "value": number,
                "from": { "type": "string", "enum": units::names() },
                "to": { "type": "string", "enum": units::names() },
            }),
            &["value", "from", "to"],
            json!({ "value": number, "unit": { "type": "string" } }),
        ),
        tool(
            "statistics",
            "Describe a list of numbers",
            "Count, sum, mean, median, extremes and standard deviations of a list of numbers.",
            json!({ "numbers": {
                "type": "array",
                "items": number,
                "minItems": 1,
                "maxItems": statistics::NUMBERS_MAX,
            } }),
            &["numbers"],
            json!({
                "count": { "type": "integer" },
                "sum": number,
                "mean": number,
                "median": number,
                "min": number,
                "max": number,
                "standard_deviation": number,
                "sample_standard_deviation": { "type": ["number", "null"] },
            }),
        ),
    ]
});
