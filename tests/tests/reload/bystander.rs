//! A server that no reload concerns, and a client of it: neither is to notice anything.

use std::thread::{self, JoinHandle};

use serde_json::{Value, json};
use system_tests::gateway::Gateway;
use system_tests::raw::{Client, Era};
use system_tests::servers::misbehave;
use system_tests::wait::{PATIENCE, see};

use crate::{LEGACY, pid};

/// What is known of the server `bystander` of a gateway.
pub(crate) struct Bystander {
    /// A session, which has a process of its own.
    client: Client,
    session: u32,
    /// The processes that `/status` names.
    pids: Value,
}

/// Its entry.
pub(crate) fn entry() -> Value {
    misbehave(&[])
}

impl Bystander {
    pub(crate) fn of(gateway: &Gateway) -> Self {
        gateway.server_in("bystander", "ready");
        let client = Client::connect(gateway.url(), LEGACY).unwrap();
        let session = pid(&client, "bystander__pid");
        let pids = gateway.server("bystander")["pids"].take();
        assert_ne!(pids, json!([]));
        Self { client, session, pids }
    }

    /// Begins a call in its session that takes so long; the answer is checked.
    pub(crate) fn busy(&self, gateway: &Gateway, ms: u64) -> JoinHandle<()> {
        let (url, arguments) = (gateway.url().to_owned(), format!(r#"{{"ms":{ms}}}"#));
        let params = format!(r#"{{"name":"bystander__slow","arguments":{arguments}}}"#);
        let (id, reply) = self.client.open("tools/call", &params, "").unwrap();
        thread::spawn(move || {
            let answer = system_tests::raw::until_answer(reply, &id).unwrap();
            assert!(answer.error().is_empty() && !answer.result().is_empty(), "{url}: {answer:?}");
        })
    }

    /// Nothing has happened to it.
    pub(crate) fn assert_untouched(&self, gateway: &Gateway) {
        assert_eq!(gateway.server("bystander")["pids"], self.pids);
        assert_eq!(pid(&self.client, "bystander__pid"), self.session);
        let other = Client::connect(gateway.url(), Era::Modern).unwrap();
        let answer = other.call("bystander__echo", r#"{"message":"hi"}"#).unwrap();
        assert!(answer.result().contains("Echo: hi"), "{answer:?}");
        see(PATIENCE, || gateway.server("bystander")["pids"].take(), |pids| *pids == self.pids);
    }
}
