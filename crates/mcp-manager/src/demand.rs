//! What a stateless server wants to know before it answers, read from its `input_required` result.

use mcp_wire::{Limits, Members, Message};

/// What one answer may ask.
const QUESTIONS_MAX: usize = 64;

/// What stands in one answer.
#[derive(Debug)]
pub(crate) struct Demand {
    /// In the order of the answer.
    pub(crate) questions: Vec<Question>,
    /// What the server wants back as it is, as JSON text.
    pub(crate) state: Option<String>,
}

/// One input that is asked for.
#[derive(Debug)]
pub(crate) struct Question {
    /// Under which the response goes back.
    pub(crate) key: String,
    /// The request that a session makes of it, with an id to be replaced.
    pub(crate) request: Message,
}

impl Demand {
    /// Whether an answer asks instead of answering.
    pub(crate) fn is_in(reply: &Message) -> bool {
        let result = reply.result_json().and_then(|result| Members::of(result).ok());
        let kind = result.as_ref().and_then(|result| result.text("resultType"));
        kind.as_deref() == Some("input_required")
    }

    /// What `reply` asks for, or which rule it breaks.
    pub(crate) fn read(reply: &Message) -> Result<Self, String> {
        let unreadable = |error| format!("its demand for input cannot be read: {error}");
        let result = Members::of(reply.result_json().unwrap_or("{}")).map_err(unreadable)?;
        let state = result.get("requestState").map(str::to_owned);
        let asked = result.object("inputRequests").map_err(unreadable)?;
        let mut questions = Vec::new();
        for (key, json) in asked.iter().flat_map(Members::iter) {
            if questions.len() == QUESTIONS_MAX {
                return Err(format!("it asks for more than {QUESTIONS_MAX} inputs at once"));
            }
            questions.push(Question { key: key.to_owned(), request: as_request(json)? });
        }
        if questions.is_empty() && state.is_none() {
            return Err("it demands input, and does not say which".to_owned());
        }
        Ok(Self { questions, state })
    }
}

/// A request of a session, from what stands in an answer: everything in it stays.
fn as_request(json: &str) -> Result<Message, String> {
    let members = json.strip_prefix('{').ok_or("an input that it asks for is no object")?;
    let text = format!(r#"{{"jsonrpc":"2.0","id":0,{members}"#);
    // It came within a message that was bounded.
    let mut limits = Limits::default();
    limits.frame_bytes = text.len();
    Message::parse(text, &limits)
        .map_err(|error| format!("an input that it asks for is no request: {error}"))
}

impl Question {
    /// Whether a client that introduced itself with `hello` (JSON text) can answer this, or why
    /// not.
    pub(crate) fn may_be_asked(&self, hello: &str) -> Result<(), String> {
        let method = self.request.method();
        let capability = match method {
            "sampling/createMessage" => "sampling",
            "elicitation/create" => "elicitation",
            "roots/list" => "roots",
            _ => return Err(format!("{method:?} is nothing that a client can be asked")),
        };
        let hello = Members::of(hello).ok();
        let capabilities = hello.as_ref().and_then(|hello| hello.object("capabilities").ok()?);
        let declared = capabilities.as_ref().and_then(|all| all.get(capability));
        let lacks = |what: &str| Err(format!("the client did not declare {what:?}"));
        let Some(declared) = declared else { return lacks(capability) };
        let params = self.request.params().and_then(|params| Members::of(params).ok());
        let mode = params.as_ref().and_then(|params| params.text("mode"));
        let opens_page = capability == "elicitation" && mode.as_deref() == Some("url");
        if opens_page && !Members::of(declared).is_ok_and(|modes| modes.get("url").is_some()) {
            return lacks("elicitation.url");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(result: &str) -> Result<Demand, String> {
        Demand::read(&Message::result("1", result))
    }

    #[test]
    fn an_answer_that_only_speaks_of_input_asks_for_none() {
        let is = |result: &str| Demand::is_in(&Message::result("1", result));
        assert!(is(r#"{"resultType":"input_required","requestState":"s"}"#));
        assert!(is(r#"{"resultType":"input\u005frequired"}"#));
        assert!(!is(r#"{"resultType":"complete","text":"input_required"}"#));
        assert!(!is(r#"{"content":[{"resultType":"input_required"}]}"#));
        assert!(!is("[]"));
    }

    #[test]
    fn every_entry_becomes_a_request_with_all_that_stands_in_it() {
        let read = demand(
            r#"{"inputRequests":{"b":{"method":"roots/list"},"\u0061":{"x":1.0,
                "method":"elicitation/create","params":{"z":2e0}}},"requestState":"s\u0074"}"#,
        )
        .unwrap();
        assert_eq!(read.state.as_deref(), Some(r#""s\u0074""#));
        let keys: Vec<_> = read.questions.iter().map(|question| &*question.key).collect();
        assert_eq!(keys, ["b", "a"]);
        let [roots, form] = &read.questions[..] else { panic!() };
        assert_eq!(roots.request.method(), "roots/list");
        assert_eq!(form.request.params(), Some(r#"{"z":2e0}"#));
        assert!(form.request.as_str().contains(r#""x":1.0"#));
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        let none = r#"{"requestState":"s","inputRequests":{}}"#;
        assert!(demand(none).unwrap().questions.is_empty());
        let many = |count: usize| {
            let all: Vec<_> =
                (0..count).map(|n| format!(r#""{n}":{{"method":"roots/list"}}"#)).collect();
            demand(&format!(r#"{{"inputRequests":{{{}}}}}"#, all.join(",")))
        };
        assert_eq!(many(QUESTIONS_MAX).unwrap().questions.len(), QUESTIONS_MAX);
        for refused in [
            many(QUESTIONS_MAX + 1),
            demand("{}"),
            demand(r#"{"inputRequests":{"a":1}}"#),
            demand(r#"{"inputRequests":{"a":{}}}"#),
            demand(r#"{"inputRequests":[]}"#),
            demand(r#"{"inputRequests":{"a":{"method":"roots/list","id":7}}}"#),
            demand(r#"{"inputRequests":{"a":{"method":"x"},"\u0061":{"method":"x"}}}"#),
        ] {
            assert!(refused.is_err(), "{refused:?}");
        }
    }

    #[test]
    fn a_client_is_asked_only_what_it_declared() {
        let ask = |entry: &str, capabilities: &str| {
            let all = demand(&format!(r#"{{"inputRequests":{{"a":{entry}}}}}"#)).unwrap();
            let hello = format!(r#"{{"capabilities":{capabilities}}}"#);
            all.questions[0].may_be_asked(&hello).is_ok()
        };
        let form = r#"{"method":"elicitation/create","params":{"mode":"form"}}"#;
        let page = r#"{"method":"elicitation/create","params":{"mode":"url"}}"#;
        assert!(ask(r#"{"method":"roots/list"}"#, r#"{"roots":{}}"#));
        assert!(!ask(r#"{"method":"roots/list"}"#, r#"{"sampling":{}}"#));
        assert!(ask(r#"{"method":"sampling/createMessage"}"#, r#"{"sampling":{}}"#));
        assert!(ask(form, r#"{"elicitation":{}}"#));
        assert!(!ask(form, "{}"));
        assert!(!ask(page, r#"{"elicitation":{}}"#));
        assert!(ask(page, r#"{"elicitation":{"url":{}}}"#));
        assert!(!ask(r#"{"method":"tools/call"}"#, r#"{"tools":{}}"#));
    }
}
