//! Completing the key of a note while it is typed.

use mcp_wire::serve::Call;
use mcp_wire::{ErrorObject, Members, code};
use serde_json::json;

use super::store::Store;
use super::uri;

/// Values in one answer: what the protocol allows.
const VALUES_MAX: usize = 100;

/// Answers `completion/complete`. Keys are completed, for the prompt and for the template that
/// take one; anything else that exists has no suggestions.
pub(super) fn complete(store: &Store, call: &Call) -> Result<String, ErrorObject> {
    let params = call.params();
    let object = |name| params.as_ref().and_then(|params| params.object(name).ok()?);
    let invalid = |why: &str| ErrorObject::new(code::INVALID_PARAMS, why);
    let reference = object("ref").ok_or_else(|| invalid("`ref` must be an object"))?;
    let argument = object("argument").ok_or_else(|| invalid("`argument` must be an object"))?;
    let is = |members: &Members<'_>, name, value| members.text(name).as_deref() == Some(value);
    let takes_key = match reference.text("type").as_deref() {
        Some("ref/prompt") if is(&reference, "name", "summarize") => true,
        Some("ref/prompt") if is(&reference, "name", "daily_review") => false,
        Some("ref/resource") if is(&reference, "uri", uri::TEMPLATE) => true,
        _ => return Err(invalid("`ref` names no prompt or resource template of this server")),
    };
    let typed = argument.text("value").ok_or_else(|| invalid("`value` must be a string"))?;
    let typed = typed.to_lowercase();
    let keys = store.all().into_iter().map(|(key, _)| key);
    let fits = |key: &String| key.to_lowercase().starts_with(&typed);
    let wanted = takes_key && is(&argument, "name", "key");
    let mut values: Vec<_> = if wanted { keys.filter(fits).collect() } else { Vec::new() };
    let total = values.len();
    values.truncate(VALUES_MAX);
    let more = total > values.len();
    let completion = json!({ "values": values, "total": total, "hasMore": more });
    Ok(json!({ "completion": completion }).to_string())
}
