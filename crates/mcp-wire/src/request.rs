//! A request on its way to a peer: what of it is routed on, and what is rewritten.

use std::ops::Range;
use std::time::Duration;

use crate::members::{Members, MembersError};
use crate::{Draft, Message, meta, unquoted};

/// A request, or a notification, whose `params` have been looked at once.
///
/// Everything that routing and forwarding need stands here; nothing else of the params was read.
#[derive(Clone, Debug)]
pub struct Request {
    draft: Draft,
    params: Option<Range<usize>>,
    meta: Option<Range<usize>>,
    token: Option<Range<usize>>,
    name: Option<Name>,
    version: Option<Box<str>>,
    headers: Vec<(Box<str>, String)>,
}

/// The one thing that a request is about: a tool, a prompt, a resource or a task.
#[derive(Clone, Debug)]
struct Name {
    text: Box<str>,
    range: Range<usize>,
}

/// How long a call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a pause between signs of life, and a cap")]
pub struct Timing {
    /// The longest silence: each progress notification starts it anew.
    pub timeout: Duration,
    /// The longest time in all, whatever progress is reported.
    pub timeout_max: Duration,
}

impl Default for Timing {
    /// A minute of silence, ten minutes in all.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(60), timeout_max: Duration::from_secs(600) }
    }
}

/// The member of `params` that says what a request of this method is about.
pub fn subject_member(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => Some("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" | "tasks/result" => Some("taskId"),
        _ => None,
    }
}

impl Request {
    /// Looks into the params of `message`.
    pub fn read(message: Message) -> Result<Self, MembersError> {
        let (mut meta, mut token, mut name, mut version) = (None, None, None, None);
        let range = |part: &str| message.range_of(part);
        let params = message.params().and_then(range);
        if let Some(json) = message.params() {
            let members = Members::of(json)?;
            let subject = subject_member(message.method());
            if let Some(raw) = subject.and_then(|member| members.get(member))
                && let (Some(range), Some(text)) = (range(raw), unquoted(raw))
            {
                name = Some(Name { text: text.into(), range });
            }
            if let Some(json) = members.get(meta::META) {
                meta = range(json);
                let members = Members::of(json)?;
                token = members.get(meta::PROGRESS_TOKEN).and_then(range);
                version = members.text(meta::PROTOCOL_VERSION).map(|text| text.into());
            }
        }
        let draft = Draft::new(message);
        Ok(Self { draft, params, meta, token, name, version, headers: Vec::new() })
    }

    /// The message as it came.
    pub fn message(&self) -> &Message {
        self.draft.message()
    }

    /// The method.
    pub fn method(&self) -> &str {
        self.message().method()
    }

    /// The tool, prompt, resource or task that the request is about.
    pub fn name(&self) -> Option<&str> {
        self.name.as_ref().map(|name| &*name.text)
    }

    /// The protocol version of a stateless request; `None` for one that belongs to a session.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The members of `params`.
    pub fn params(&self) -> Option<Members<'_>> {
        self.message().params().and_then(|params| Members::of(params).ok())
    }

    /// The members of `params._meta`.
    pub fn meta(&self) -> Option<Members<'_>> {
        let text = self.message().as_str().get(self.meta.clone()?)?;
        Members::of(text).ok()
    }

    /// Makes the request be about something else: `name` as the peer behind knows it.
    pub fn rename(&mut self, name: &str) {
        if let Some(own) = &mut self.name {
            if &*own.text == name {
                return;
            }
            self.draft.replace(own.range.clone(), crate::message::quoted(name));
            own.text = name.into();
        }
    }

    /// Replaces `part`, a text from within this request's message, by the JSON text `with`.
    pub fn replace(&mut self, part: &str, with: &str) {
        let message = self.draft.message();
        if let Some(range) = message.range_of(part) {
            self.draft.replace(range, with);
        }
    }

    /// Writes `members` (JSON text such as `"a":1`) into `params._meta`.
    ///
    /// The caller has seen that none of them is there, and calls this once.
    pub fn add_meta(&mut self, members: &str) {
        if let Some(meta) = self.meta.clone() {
            self.draft.insert(&meta, members);
        } else if let Some(params) = self.params.clone() {
            self.draft.insert(&params, &format!("\"_meta\":{{{members}}}"));
        } else {
            let whole = 0..self.message().bytes().len();
            self.draft.insert(&whole, &format!("\"params\":{{\"_meta\":{{{members}}}}}"));
        }
    }

    /// Sets the protocol version that goes into the HTTP header, for a request made stateless.
    pub fn set_version(&mut self, version: &str) {
        self.version = Some(version.into());
    }

    /// Takes the version away: the request goes over a session now.
    ///
    /// With it goes what a stateless request says of its client: the session has said who is there
    /// and what it can do, and a server of both eras would take the request for a stateless one.
    pub fn clear_version(&mut self) {
        self.version = None;
        if let Some(meta) = &self.meta {
            self.draft.take_out(meta, meta::OF_STATELESS_REQUESTS);
        }
    }

    /// HTTP headers that repeat arguments, as the tool's schema demands (`x-mcp-header`): the
    /// header's name and its decoded value.
    pub fn set_headers(&mut self, headers: Vec<(Box<str>, String)>) {
        self.headers = headers;
    }

    /// See [`set_headers`](Self::set_headers).
    pub fn headers(&self) -> &[(Box<str>, String)] {
        &self.headers
    }

    pub(crate) fn token(&self) -> Option<Range<usize>> {
        self.token.clone()
    }

    pub(crate) fn draft_mut(&mut self) -> &mut Draft {
        &mut self.draft
    }

    pub(crate) fn into_draft(self) -> Draft {
        self.draft
    }
}
