//! What a server asks of a stateless client because of one call.

use std::fmt::Write as _;

use mcp_wire::{Members, Message, meta, quoted};

/// Questions of one call that may be open at a time: one that asks on and on is refused.
const OPEN_MAX: usize = 64;

/// What a client says that it can be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Askable {
    sampling: bool,
    elicitation: bool,
    roots: bool,
}

impl Askable {
    pub(crate) fn new(capabilities: &Members<'_>) -> Self {
        let has = |name| capabilities.get(name).is_some();
        Self { sampling: has("sampling"), elicitation: has("elicitation"), roots: has("roots") }
    }

    pub(crate) fn any(self) -> bool {
        self.sampling || self.elicitation || self.roots
    }

    /// The stateless era can carry three questions, and each client names those that it answers.
    fn allows(self, method: &str) -> bool {
        match method {
            "sampling/createMessage" => self.sampling,
            "elicitation/create" => self.elicitation,
            "roots/list" => self.roots,
            _ => false,
        }
    }
}

/// The questions of one call that have no answer yet, in the order in which they were asked.
#[derive(Debug)]
pub(crate) struct Questions {
    askable: Askable,
    open: Vec<Question>,
    last: u64,
}

#[derive(Debug)]
struct Question {
    /// Its name towards the client, which it keeps until it is answered.
    number: u64,
    request: Message,
}

impl Questions {
    pub(crate) fn new(askable: Askable) -> Self {
        Self { askable, open: Vec::new(), last: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Takes a request of the server, or gives it back if its client cannot be asked.
    pub(crate) fn ask(&mut self, request: Message) -> Option<Message> {
        if !self.askable.allows(request.method()) || self.open.len() >= OPEN_MAX {
            return Some(request);
        }
        self.last += 1;
        self.open.push(Question { number: self.last, request });
        None
    }

    /// The server takes a question back.
    pub(crate) fn cancelled(&mut self, notification: &Message) {
        let params = notification.params().and_then(|params| Members::of(params).ok());
        let id = params.as_ref().and_then(|params| params.get("requestId"));
        self.open.retain(|question| question.request.id() != id);
    }

    /// Everything that is open, as the result of the call so far.
    pub(crate) fn demand(&self, state: &str, info: Option<&str>) -> String {
        let mut out = String::from(r#"{"resultType":"input_required","inputRequests":{"#);
        for (at, question) in self.open.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let method = quoted(question.request.method());
            // Writing to a string does not fail.
            let _ = write!(out, r#"{comma}"question-{}":{{"method":{method}"#, question.number);
            if let Some(params) = question.request.params() {
                let _ = write!(out, r#","params":{params}"#);
            }
            out.push('}');
        }
        let _ = write!(out, r#"}},"requestState":{}"#, quoted(state));
        if let Some(info) = info {
            let _ = write!(out, r#","_meta":{{"{}":{info}}}"#, meta::SERVER_INFO);
        }
        out.push('}');
        out
    }

    /// The answers that the server gets: the client's words, under the server's own ids. What the
    /// client did not answer stays open.
    pub(crate) fn answers(&mut self, responses: &Members<'_>) -> Vec<Message> {
        let mut answers = Vec::new();
        self.open.retain(|question| {
            let Some(response) = responses.get(&format!("question-{}", question.number)) else {
                return true;
            };
            answers.extend(question.request.id().map(|id| Message::result(id, response)));
            false
        });
        answers
    }

    /// Gives up: what nobody will answer.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = Message> {
        std::mem::take(&mut self.open).into_iter().map(|question| question.request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn questions(capabilities: &str) -> Questions {
        Questions::new(Askable::new(&Members::of(capabilities).unwrap()))
    }

    fn ask(id: &str, method: &str) -> Message {
        Message::request(id, method, r#"{"b":1.0,"a":2}"#)
    }

    #[test]
    fn only_what_the_client_can_be_asked_is() {
        let mut all = questions(r#"{"sampling":{},"roots":{}}"#);
        for (method, asked) in [
            ("sampling/createMessage", true),
            ("roots/list", true),
            ("elicitation/create", false),
            ("ping", false),
            ("tasks/get", false),
        ] {
            assert_eq!(all.ask(ask("1", method)).is_none(), asked, "{method}");
        }
        assert!(!Askable::new(&Members::of(r#"{"tasks":{}}"#).unwrap()).any());
    }

    #[test]
    fn several_are_one_demand_and_params_stay_as_they_were() {
        let mut all = questions(r#"{"sampling":{},"roots":{}}"#);
        assert!(all.ask(ask("\"x\"", "sampling/createMessage")).is_none());
        let bare = r#"{"jsonrpc":"2.0","id":2,"method":"roots/list"}"#;
        let bare = Message::parse(bare, &mcp_wire::Limits::default()).unwrap();
        assert!(all.ask(bare).is_none());
        assert_eq!(
            all.demand("s", Some("{}")),
            concat!(
                r#"{"resultType":"input_required","inputRequests":{"#,
                r#""question-1":{"method":"sampling/createMessage","params":{"b":1.0,"a":2}},"#,
                r#""question-2":{"method":"roots/list"}},"requestState":"s","#,
                r#""_meta":{"io.modelcontextprotocol/serverInfo":{}}}"#
            )
        );
    }

    #[test]
    fn answers_go_under_the_servers_ids_and_what_is_missing_is_asked_again() {
        let mut all = questions(r#"{"roots":{}}"#);
        for id in ["\"x\"", "7", "8"] {
            assert!(all.ask(ask(id, "roots/list")).is_none());
        }
        let cancelled = Message::notification("notifications/cancelled", r#"{"requestId":8}"#);
        all.cancelled(&cancelled);
        let responses = r#"{"question-3":{"late":1},"question-1":{"roots":[1.0]},"question-9":{}}"#;
        let answers = all.answers(&Members::of(responses).unwrap());
        let [answer] = &answers[..] else { panic!("{answers:?}") };
        assert_eq!(answer.as_str(), r#"{"jsonrpc":"2.0","id":"x","result":{"roots":[1.0]}}"#);
        let again = all.demand("s", None);
        assert!(again.contains("question-2") && !again.contains("question-1"), "{again}");
        assert!(!again.contains("question-3"), "{again}");
    }

    #[test]
    fn questions_are_bounded() {
        let mut all = questions(r#"{"roots":{}}"#);
        for number in 0..OPEN_MAX {
            assert!(all.ask(ask(&number.to_string(), "roots/list")).is_none());
        }
        assert!(all.ask(ask("\"more\"", "roots/list")).is_some());
        assert_eq!(all.take().count(), OPEN_MAX);
        assert!(all.is_empty());
    }
}
