//! What the outcome of a call says of the replica that it came from.

use std::time::Duration;

use mcp_wire::{CallError, Kind, Members, Message, code};

/// What an outcome says of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It does its work. A tool that fails, or refuses its arguments, is a server that works.
    Good,
    /// It, or the way to it, is broken.
    Bad,
    /// It has too much to do, and says so: when it wants to be asked again.
    Busy(Option<Duration>),
    /// Nothing: the client took the call back, or it never left.
    Nothing,
}

/// An answer. Errors that blame the request are none of the server's.
pub(crate) fn of_reply(reply: &Message) -> Judgement {
    if reply.kind() == Kind::Result {
        return Judgement::Good;
    }
    let error = reply.error_json().and_then(|error| Members::of(error).ok());
    let number = error.and_then(|error| error.get("code")?.parse::<i64>().ok());
    match number {
        Some(code::INTERNAL_ERROR) => Judgement::Bad,
        _ => Judgement::Good,
    }
}

/// No answer.
pub(crate) fn of_error(error: &CallError) -> Judgement {
    match error {
        CallError::Cancelled | CallError::SlowCaller { .. } | CallError::SessionLost => {
            Judgement::Nothing
        }
        CallError::Overloaded => Judgement::Busy(None),
        CallError::Status { status: 429, retry_after, .. } => Judgement::Busy(*retry_after),
        CallError::Status { status: 503, retry_after: Some(after), .. } => {
            Judgement::Busy(Some(*after))
        }
        // A request that it does not like.
        CallError::Status { status: 400 | 413 | 422, .. } => Judgement::Nothing,
        _ => Judgement::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, seconds: Option<u64>) -> CallError {
        let retry_after = seconds.map(Duration::from_secs);
        CallError::Status { status, body: String::new(), retry_after }
    }

    #[test]
    fn who_answers_works_unless_it_says_that_it_does_not() {
        let error = |code: i64| {
            let error = mcp_wire::ErrorObject::new(code, "why".to_owned());
            of_reply(&Message::error("1", &error))
        };
        assert_eq!(of_reply(&Message::result("1", r#"{"content":[]}"#)), Judgement::Good);
        assert_eq!(of_reply(&Message::result("1", r#"{"isError":true}"#)), Judgement::Good);
        assert_eq!(error(code::INVALID_PARAMS), Judgement::Good);
        assert_eq!(error(code::METHOD_NOT_FOUND), Judgement::Good);
        assert_eq!(error(code::INTERNAL_ERROR), Judgement::Bad);
    }

    #[test]
    fn who_does_not_answer_is_broken_or_busy_or_was_not_waited_for() {
        let after = Duration::from_secs(60);
        for (error, expected) in [
            (CallError::Timeout { after }, Judgement::Bad),
            (CallError::Closed { why: String::new() }, Judgement::Bad),
            (CallError::Connect { why: String::new() }, Judgement::Bad),
            (CallError::Protocol { why: String::new() }, Judgement::Bad),
            (status(500, None), Judgement::Bad),
            (status(401, None), Judgement::Bad),
            (status(503, None), Judgement::Bad),
            (status(503, Some(2)), Judgement::Busy(Some(Duration::from_secs(2)))),
            (status(429, Some(7)), Judgement::Busy(Some(Duration::from_secs(7)))),
            (status(429, None), Judgement::Busy(None)),
            (CallError::Overloaded, Judgement::Busy(None)),
            (status(400, None), Judgement::Nothing),
            (CallError::Cancelled, Judgement::Nothing),
            (CallError::SlowCaller { limit: 1 }, Judgement::Nothing),
            (CallError::SessionLost, Judgement::Nothing),
        ] {
            assert_eq!(of_error(&error), expected, "{error}");
        }
    }
}
