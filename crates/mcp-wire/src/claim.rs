//! Which call a notification names, and the renaming that brings it to its caller.

use std::ops::Range;

use crate::{Draft, Members, Message, meta};

/// The call that a notification names, and where the name stands.
#[derive(Debug)]
pub(crate) enum Claim {
    /// It names none.
    Nobody,
    /// By progress token.
    Token(Range<usize>),
    /// By the id of the `subscriptions/listen` request that it belongs to.
    Subscription(Range<usize>),
}

pub(crate) fn claim(message: &Message) -> Claim {
    let Some(Ok(params)) = message.params().map(Members::of) else { return Claim::Nobody };
    let range = |part: Option<&str>| part.and_then(|part| message.range_of(part));
    if message.method() == "notifications/progress" {
        return range(params.get(meta::PROGRESS_TOKEN)).map_or(Claim::Nobody, Claim::Token);
    }
    let Ok(Some(meta)) = params.object(meta::META) else { return Claim::Nobody };
    range(meta.get(meta::SUBSCRIPTION_ID)).map_or(Claim::Nobody, Claim::Subscription)
}

/// `message` with other text at `range`.
pub(crate) fn rewritten(message: Message, range: Range<usize>, with: &str) -> Message {
    let mut draft = Draft::new(message);
    draft.replace(range, with);
    draft.into_message()
}

/// The number at `range` or in `id`, if it is written exactly as we write ours: `"1"`, `1.0` and
/// `01` are not.
pub(crate) fn ours(id: Option<&str>) -> Option<u64> {
    let id = id?;
    let digits = id.bytes().all(|byte| byte.is_ascii_digit()) && !id.starts_with('0');
    if digits { id.parse().ok() } else { None }
}

/// The id in something that is not a message as a whole, but would be an answer.
pub(crate) fn salvaged_id(line: &[u8]) -> Option<u64> {
    #[derive(serde::Deserialize)]
    struct Remains {
        id: u64,
        /// What has a method is a request, and its id is one of the peer's own.
        method: Option<serde::de::IgnoredAny>,
    }
    // To serde, an array is a struct without its field names.
    let object = line.trim_ascii_start().starts_with(b"{");
    let remains = object.then(|| serde_json::from_slice::<Remains>(line).ok())??;
    remains.method.is_none().then_some(remains.id)
}
