//! The outcome of a call as the message that answers it.

use bytes::Bytes;

use super::{Description, stateless};
use crate::{Era, ErrorObject, Kind, Members, Message, code};

/// The answer to the request with this `id` (JSON text) and `method`.
pub(super) fn reply(
    id: &str,
    method: &str,
    era: Era,
    about: &Description,
    outcome: Result<String, ErrorObject>,
) -> Bytes {
    let result = match outcome {
        Ok(result) => result,
        Err(error) => return Message::error(id, &error).bytes().clone(),
    };
    let answer = Message::result(id, &result);
    let object = answer.result_json().is_some_and(|result| Members::of(result).is_ok());
    if answer.kind() != Kind::Result || !object {
        let error = ErrorObject::new(code::INTERNAL_ERROR, "the server made no valid result");
        return Message::error(id, &error).bytes().clone();
    }
    match era {
        Era::Legacy => answer.bytes().clone(),
        Era::Modern => stateless::completed(answer, method, about),
    }
}
