//! What the stateless era asks of every request, and of every result.

use bytes::Bytes;

use super::Description;
use crate::{
    Draft, Era, ErrorObject, MODERN_VERSION, Members, Message, Request, code, meta, quoted,
};

/// The era that a request belongs to, or what it lacks to belong to the stateless one.
pub(super) fn era(request: &Request) -> Result<Era, ErrorObject> {
    let invalid = |member| {
        let why = format!("`_meta` must have a valid {}", quoted(member));
        ErrorObject::new(code::INVALID_PARAMS, why)
    };
    let Some(meta) = request.meta() else { return Ok(Era::Legacy) };
    let Some(requested) = meta.get(meta::PROTOCOL_VERSION) else { return Ok(Era::Legacy) };
    match request.version() {
        None => return Err(invalid(meta::PROTOCOL_VERSION)),
        Some(MODERN_VERSION) => {}
        Some(_) => {
            let data = format!(r#"{{"supported":["{MODERN_VERSION}"],"requested":{requested}}}"#);
            let why = "unsupported protocol version";
            return Err(ErrorObject::new(code::UNSUPPORTED_VERSION, why).with_data(data));
        }
    }
    match meta.object(meta::CLIENT_CAPABILITIES) {
        Ok(Some(_)) => Ok(Era::Modern),
        _ => Err(invalid(meta::CLIENT_CAPABILITIES)),
    }
}

/// The result of `server/discover`.
pub(super) fn discovery(about: &Description) -> String {
    let capabilities = &about.capabilities;
    let instructions = about.instructions.as_ref();
    let instructions = instructions.map(|text| format!(r#","instructions":{}"#, quoted(text)));
    let instructions = instructions.unwrap_or_default();
    let versions = quoted(MODERN_VERSION);
    format!(r#"{{"supportedVersions":[{versions}],"capabilities":{capabilities}{instructions}}}"#)
}

/// The bytes of `answer`, a result for `method`, with every member that the era demands and the
/// service left out.
pub(super) fn completed(answer: Message, method: &str, about: &Description) -> Bytes {
    let Some(result) = answer.result_json() else { return answer.bytes().clone() };
    let Ok(members) = Members::of(result) else { return answer.bytes().clone() };
    // Nothing may be kept that the service did not say may be kept.
    let defaults = [("resultType", "\"complete\""), ("ttlMs", "0"), ("cacheScope", "\"private\"")];
    let defaults = if cacheable(method) { &defaults[..] } else { &defaults[..1] };
    let missing = defaults.iter().filter(|(name, _)| members.get(name).is_none());
    let mut added: Vec<_> = missing.map(|(name, json)| format!("\"{name}\":{json}")).collect();

    let server = format!(r#""{}":{}"#, meta::SERVER_INFO, about.server_info);
    let own = members.get(meta::META).and_then(|own| Some((own, Members::of(own).ok()?)));
    let mut draft = Draft::new(answer.clone());
    match own {
        None => added.push(format!(r#""{}":{{{server}}}"#, meta::META)),
        Some((_, own)) if own.get(meta::SERVER_INFO).is_some() => {}
        Some((own, _)) => {
            if let Some(range) = answer.range_of(own) {
                draft.insert(&range, &server);
            }
        }
    }
    if let (Some(range), false) = (answer.range_of(result), added.is_empty()) {
        draft.insert(&range, &added.join(","));
    }
    draft.finish()
}

/// Whether results for `method` say how long they may be kept.
fn cacheable(method: &str) -> bool {
    method == "server/discover" || method == "resources/read" || method.ends_with("/list")
}
