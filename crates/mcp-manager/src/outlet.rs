//! What waits for a client and belongs to none of its calls.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use mcp_wire::{Members, Message};
use tokio::sync::Notify;

/// Messages that wait for a client that has no stream open. The oldest go first.
const WAITING_MAX: usize = 256;

/// A bounded queue that anybody fills and the client's own stream empties.
#[derive(Debug, Default)]
pub(crate) struct Outlet {
    waiting: Mutex<VecDeque<(Option<News>, Message)>>,
    filled: Notify,
}

/// That something is not as it was: said twice it means no more than once.
#[derive(Debug, PartialEq, Eq)]
struct News {
    method: Box<str>,
    /// The resource that it is about, if it is about one.
    uri: Option<Box<str>>,
}

impl News {
    fn of(message: &Message) -> Option<Self> {
        let method = message.method();
        let uri = match method {
            "notifications/tools/list_changed"
            | "notifications/prompts/list_changed"
            | "notifications/resources/list_changed" => None,
            "notifications/resources/updated" => {
                let params = Members::of(message.params()?).ok()?;
                Some(params.text("uri")?.as_ref().into())
            }
            _ => return None,
        };
        Some(Self { method: method.into(), uri })
    }
}

impl Outlet {
    /// Adds a message, unless it is news that waits already.
    pub(crate) fn push(&self, message: Message) {
        let news = News::of(&message);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if news.is_some() && waiting.iter().any(|(known, _)| *known == news) {
            return;
        }
        if waiting.len() == WAITING_MAX {
            waiting.pop_front();
        }
        waiting.push_back((news, message));
        drop(waiting);
        self.filled.notify_one();
    }

    /// The next message. Cancel safe.
    pub(crate) async fn next(&self) -> Message {
        loop {
            let message = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            if let Some((_, message)) = message {
                // Whoever reads in our place later must not wait for a signal that we used up.
                self.filled.notify_one();
                return message;
            }
            self.filled.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_storm_of_news_is_one_message_and_the_order_stays() {
        let outlet = Outlet::default();
        let list = |list: &str| format!("notifications/{list}/list_changed");
        let updated = |uri: &str| {
            let params = format!(r#"{{"uri":"{uri}"}}"#);
            Message::notification("notifications/resources/updated", &params)
        };
        let log = || Message::notification("notifications/message", "{}");
        for _ in 0..1000 {
            outlet.push(Message::notification(&list("tools"), "{}"));
            outlet.push(updated("a"));
            outlet.push(Message::notification(&list("prompts"), "{}"));
            outlet.push(updated("b"));
        }
        outlet.push(log());
        outlet.push(log());
        outlet.push(updated("a"));
        let mut seen = Vec::new();
        for _ in 0..6 {
            seen.push(outlet.next().await);
        }
        let methods: Vec<_> = seen.iter().map(Message::method).collect();
        let updated_uris: Vec<_> = [1, 3].iter().filter_map(|at| seen[*at].params()).collect();
        assert_eq!(methods[0], list("tools"));
        assert_eq!(methods[2], list("prompts"));
        assert_eq!(updated_uris, [r#"{"uri":"a"}"#, r#"{"uri":"b"}"#]);
        assert_eq!(methods[4..], ["notifications/message"; 2]);
        outlet.push(updated("a"));
        assert_eq!(outlet.next().await.params(), Some(r#"{"uri":"a"}"#), "it is news again");
    }
}
