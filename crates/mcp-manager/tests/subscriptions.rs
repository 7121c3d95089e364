//! What clients hear of changes, through a fleet in this process.

#![cfg(feature = "demo")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use mcp_manager::{Call, Client, Definition, Fleet, Plan, demo};
use mcp_wire::{Message, Request};

/// A client with a session, over the demo fleet.
struct Session {
    fleet: Fleet,
    client: Arc<Client>,
}

impl Session {
    async fn open() -> Self {
        let mut plan = Plan::default();
        plan.servers = demo::fleet().into_iter().map(Definition::from).collect();
        let fleet = Fleet::new(plan).unwrap();
        fleet.start();
        let client = fleet.connect(fleet.everything());
        let session = Self { fleet, client };
        let params = r#"{"protocolVersion":"2025-11-25","capabilities":{}}"#;
        let request = Request::read(Message::request("1", "initialize", params)).unwrap();
        session.fleet.initialize(&session.client, &request).await.unwrap();
        session
    }

    async fn ask(&self, method: &str, params: &str) -> Message {
        let request = Request::read(Message::request("1", method, params)).unwrap();
        let (client, scope) = (Some(Arc::clone(&self.client)), self.client.scope().clone());
        let exchange = self.fleet.dispatch(Call { request, client, scope }).await.unwrap();
        exchange.reply().await.unwrap()
    }

    /// What is remembered of the client's subscriptions: servers and their own URIs.
    fn subscriptions(&self) -> Vec<(String, Vec<String>)> {
        let memory = self.client.memory();
        let memory = memory.borrow();
        let all = memory.subscriptions.iter();
        all.map(|(server, uris)| (server.clone(), uris.iter().cloned().collect())).collect()
    }
}

#[tokio::test]
async fn what_a_client_is_subscribed_to_is_remembered() {
    let session = Session::open().await;
    for key in ["a", "b", "a"] {
        let params = format!(r#"{{"uri":"notebook+note:///{key}"}}"#);
        assert_eq!(session.ask("resources/subscribe", &params).await.result_json(), Some("{}"));
    }
    let both = vec!["note:///a".to_owned(), "note:///b".to_owned()];
    assert_eq!(session.subscriptions(), [("notebook".to_owned(), both)]);

    let refused = session.ask("resources/subscribe", r#"{"uri":"clock+note:///a"}"#).await;
    assert!(refused.error_json().is_some());
    assert_eq!(session.subscriptions().len(), 1);

    for key in ["b", "a"] {
        let params = format!(r#"{{"uri":"notebook+note:///{key}"}}"#);
        assert_eq!(session.ask("resources/unsubscribe", &params).await.result_json(), Some("{}"));
    }
    assert_eq!(session.subscriptions(), []);
}
