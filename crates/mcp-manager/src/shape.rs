//! What a session's server says, in the shapes of the stateless era.

use mcp_wire::{Draft, Members, Message, code, meta};

/// Notifications of the session era that belong to no request of the stateless one: they go to
/// subscriptions there, or are not known.
const UNKNOWN: &[&str] = &[
    "notifications/cancelled",
    "notifications/elicitation/complete",
    "notifications/initialized",
    "notifications/prompts/list_changed",
    "notifications/resources/list_changed",
    "notifications/resources/updated",
    "notifications/roots/list_changed",
    "notifications/tasks/status",
    "notifications/tools/list_changed",
];

/// Whether a stateless request may hear of a notification with this method at all.
pub(crate) fn is_known(method: &str) -> bool {
    !UNKNOWN.contains(&method)
}

/// An answer with what the stateless era demands of one. `info` is how the server introduced
/// itself, as JSON text.
pub(crate) fn answer(reply: Message, cacheable: bool, info: Option<&str>) -> Message {
    let mut draft = Draft::new(reply.clone());
    if let Some(result) = reply.result_json() {
        complete(&mut draft, &reply, result, cacheable, info);
    } else if let Some(error) = reply.error_json() {
        let found = Members::of(error).ok().and_then(|members| {
            let code = members.get("code")?;
            let gone = code == code::RESOURCE_NOT_FOUND.to_string();
            gone.then(|| reply.range_of(code))?
        });
        if let Some(range) = found {
            draft.replace(range, code::INVALID_PARAMS.to_string());
        }
    }
    draft.into_message()
}

fn complete(draft: &mut Draft, reply: &Message, result: &str, cacheable: bool, info: Option<&str>) {
    let (Ok(members), Some(range)) = (Members::of(result), reply.range_of(result)) else { return };
    let mut lacking = Vec::with_capacity(4);
    let mut want = |name: &str, value: &str| {
        if members.get(name).is_none() {
            lacking.push(format!("\"{name}\":{value}"));
        }
    };
    want("resultType", "\"complete\"");
    if cacheable {
        want("ttlMs", "0");
        want("cacheScope", "\"private\"");
    }
    if let Some(info) = info {
        let info = format!("\"{}\":{info}", meta::SERVER_INFO);
        match members.get(meta::META) {
            None => want(meta::META, &format!("{{{info}}}")),
            Some(own) => {
                let lacks = Members::of(own).is_ok_and(|own| own.get(meta::SERVER_INFO).is_none());
                if let Some(own) = reply.range_of(own).filter(|_| lacks) {
                    draft.insert(&own, &info);
                }
            }
        }
    }
    if !lacking.is_empty() {
        draft.insert(&range, &lacking.join(","));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: Option<&str> = Some(r#"{"name":"s"}"#);

    fn answered(result: &str, cacheable: bool) -> String {
        let reply = answer(Message::result("1", result), cacheable, INFO);
        reply.result_json().unwrap().to_owned()
    }

    #[test]
    fn results_get_what_they_lack_and_keep_the_rest() {
        assert_eq!(
            answered(r#"{"b":1.0,"a":2}"#, false),
            r#"{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"}},"b":1.0,"a":2}"#
        );
        assert_eq!(
            answered(r#"{"_meta":{"x":1},"ttlMs":7}"#, true),
            r#"{"resultType":"complete","cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"},"x":1},"ttlMs":7}"#
        );
        let whole = r#"{"resultType":"x","_meta":{"io.modelcontextprotocol/serverInfo":1}}"#;
        assert_eq!(answered(whole, false), whole);
        assert_eq!(answered("[1]", true), "[1]", "what is no object stays");
        let odd = answered(r#"{"_meta":3}"#, false);
        assert_eq!(odd, r#"{"resultType":"complete","_meta":3}"#);
    }

    #[test]
    fn only_the_code_of_a_lost_resource_changes() {
        let error = |text: &str| {
            let reply = format!(r#"{{"jsonrpc":"2.0","id":1,"error":{text}}}"#);
            let reply = Message::parse(reply, &mcp_wire::Limits::default()).unwrap();
            answer(reply, false, INFO).error_json().unwrap().to_owned()
        };
        assert_eq!(
            error(r#"{"code":-32002,"message":"-32002"}"#),
            r#"{"code":-32602,"message":"-32002"}"#
        );
        let other = r#"{"code":-32001,"message":"m","data":{"code":-32002}}"#;
        assert_eq!(error(other), other);
    }
}
