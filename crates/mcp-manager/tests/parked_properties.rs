//! Whatever servers ask, clients answer, and either gives up, in whatever order: an answer reaches
//! the question that it was given to, in the session of the call that it was asked because of.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod puppet;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use mcp_manager::Exchange;
use mcp_wire::Event;
use proptest::prelude::*;
use puppet::{ALL, Puppet, Someone, fleet, settle};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

/// Calls that run at a time, each with a client of its own name.
const CALLS: usize = 4;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A client calls, if its call is over.
    Call(usize),
    /// The server asks because of a call.
    Ask(usize),
    /// The server takes its last question back.
    TakeBack(usize),
    /// A client answers what it was asked, or only the first of it.
    Answer(usize, bool),
    /// A client tries its luck with what another was told.
    Steal(usize, usize),
    /// A client goes away.
    Leave(usize),
    /// The server is done.
    Finish(usize),
    /// Time passes.
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let call = || 0..CALLS;
    prop_oneof![
        3 => call().prop_map(Step::Call),
        4 => call().prop_map(Step::Ask),
        1 => call().prop_map(Step::TakeBack),
        4 => (call(), any::<bool>()).prop_map(|(call, whole)| Step::Answer(call, whole)),
        1 => (call(), call()).prop_map(|(call, other)| Step::Steal(call, other)),
        1 => call().prop_map(Step::Leave),
        2 => call().prop_map(Step::Finish),
        1 => prop_oneof![Just(1), Just(59), Just(299), Just(301)].prop_map(Step::Wait),
    ]
}

/// One client, and its call.
struct Seat {
    someone: Someone,
    tag: String,
    /// Where the server runs the call, and under which id.
    at: Option<(usize, Value)>,
    exchange: Option<Exchange>,
    demand: Option<Value>,
}

struct Play {
    puppet: Puppet,
    seats: Vec<Seat>,
    /// Questions: because of which call, in which session; and which were answered or taken back.
    asked: HashMap<String, (String, usize)>,
    closed: HashSet<String>,
    calls: usize,
}

impl Play {
    fn new() -> Self {
        let puppet = Puppet::new();
        let mut definition = puppet.definition("p");
        // Servers that let calls hang are what this is about.
        definition.settings.policy.breaker.enabled = false;
        let fleet = fleet(vec![definition]);
        let seat = |number| Seat {
            someone: Someone::new(&fleet, "p", ALL).named(&format!("client {number}")),
            tag: String::new(),
            at: None,
            exchange: None,
            demand: None,
        };
        let seats = (0..CALLS).map(seat).collect();
        Self { puppet, seats, asked: HashMap::new(), closed: HashSet::new(), calls: 0 }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Call(at) => self.call(at).await,
            Step::Ask(at) => {
                if let (Some((session, _)), tag) = (&self.seats[at].at, &self.seats[at].tag) {
                    let id = format!("q{}", self.asked.len());
                    self.puppet.ask(*session, &id, "roots/list");
                    self.asked.insert(id, (tag.clone(), *session));
                }
            }
            Step::TakeBack(at) => self.take_back(at),
            Step::Answer(at, whole) => self.answer(at, whole).await,
            Step::Steal(thief, owner) => {
                let Some(demand) = self.seats[owner].demand.clone() else { return };
                let (thief, tag) = (&self.seats[thief], &self.seats[owner].tag);
                if thief.someone.name != self.seats[owner].someone.name {
                    assert!(thief.someone.again(tag, &demand, "{}").await.is_err());
                }
            }
            Step::Leave(at) => {
                (self.seats[at].exchange, self.seats[at].demand) = (None, None);
            }
            Step::Finish(at) => {
                if let Some((session, id)) = self.seats[at].at.take() {
                    self.puppet.answer(session, &id, &json!({ "of": self.seats[at].tag }));
                }
            }
            Step::Wait(seconds) => sleep(Duration::from_secs(seconds)).await,
        }
        self.read().await;
        self.heard().await;
    }

    async fn call(&mut self, at: usize) {
        let seat = &mut self.seats[at];
        if seat.exchange.is_some() || seat.demand.is_some() {
            return;
        }
        seat.tag = format!("call {}", self.calls);
        self.calls += 1;
        seat.exchange = Some(seat.someone.call(&seat.tag).await);
        loop {
            let (session, message) = self.puppet.hear().await;
            if message["method"] == "tools/call" {
                seat.at = Some((session, message["id"].clone()));
                return;
            }
            Self::judge(&self.asked, &mut self.closed, session, &message);
        }
    }

    fn take_back(&mut self, at: usize) {
        let Some((session, _)) = &self.seats[at].at else { return };
        let open = |(id, (tag, _)): &(&String, &(String, usize))| {
            *tag == self.seats[at].tag && !self.closed.contains(*id)
        };
        let Some((id, _)) = self.asked.iter().find(open) else { return };
        self.puppet.notify(*session, "notifications/cancelled", &json!({ "requestId": id }));
        self.closed.insert(id.clone());
    }

    async fn answer(&mut self, at: usize, whole: bool) {
        settle().await;
        let seat = &mut self.seats[at];
        let Some(demand) = seat.demand.take() else { return };
        let mut responses = json!({});
        for (key, question) in demand["inputRequests"].as_object().unwrap() {
            let of = &question["params"]["of"];
            assert_eq!(self.asked[of.as_str().unwrap()].0, seat.tag, "asked because of this call");
            responses[key] = json!({ "of": of, "by": seat.tag });
            if !whole {
                break;
            }
        }
        // It may have waited too long.
        seat.exchange = seat.someone.again(&seat.tag, &demand, &responses.to_string()).await.ok();
    }

    /// What the clients see.
    async fn read(&mut self) {
        for seat in &mut self.seats {
            let Some(exchange) = &mut seat.exchange else { continue };
            let Ok(next) = timeout(Duration::from_millis(30), exchange.next()).await else {
                continue;
            };
            seat.exchange = None;
            let Ok(Event::Reply(reply)) = next else { continue };
            let result: Value = serde_json::from_str(reply.result_json().unwrap()).unwrap();
            match result["resultType"].as_str().unwrap() {
                "input_required" => seat.demand = Some(result),
                _ => assert_eq!(result["of"], seat.tag, "an answer for its own caller"),
            }
        }
    }

    /// What the server sees.
    async fn heard(&mut self) {
        settle().await;
        while let Ok((session, message)) =
            timeout(Duration::from_millis(1), self.puppet.hear()).await
        {
            Self::judge(&self.asked, &mut self.closed, session, &message);
        }
    }

    fn judge(
        asked: &HashMap<String, (String, usize)>,
        closed: &mut HashSet<String>,
        session: usize,
        message: &Value,
    ) {
        let Some(id) = message["id"].as_str() else { return };
        let (tag, asked_in) = &asked[id];
        assert_eq!(*asked_in, session, "an answer in the session of its question");
        let answer = &message["result"];
        if answer.is_object() {
            assert_eq!((&answer["of"], &answer["by"]), (&json!(id), &json!(tag)), "{message}");
            assert!(closed.insert(id.to_owned()), "{id} was answered, or taken back, before");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn an_answer_reaches_its_question_and_no_other(steps in prop::collection::vec(step(), 1..40)) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let mut play = Play::new();
            for step in steps {
                play.step(step).await;
            }
        });
    }
}
