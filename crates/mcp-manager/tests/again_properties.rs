//! Whatever order death, answers and cancellation come in: no call has two answers or another
//! one's, and what may do harm twice reaches a server once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod scripted;

use std::collections::HashMap;
use std::time::Duration;

use mcp_manager::{Call, Exchange, Failure};
use mcp_wire::{Event, Members, Message, Request};
use proptest::prelude::*;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use self::scripted::{Life, Stage};

/// A moment: long enough for all that needs no time on a paused clock.
const MOMENT: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The client calls a tool that is safe to repeat, or one that is not.
    Call {
        safe: bool,
    },
    /// The client takes its `nth` call back.
    Cancel {
        nth: usize,
    },
    /// The server reads one message.
    Read,
    /// The server answers one of the calls that it has read in this life, cancelled or not.
    Answer {
        nth: usize,
    },
    Die,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => any::<bool>().prop_map(|safe| Step::Call { safe }),
        2 => (0..4_usize).prop_map(|nth| Step::Cancel { nth }),
        6 => Just(Step::Read),
        4 => (0..4_usize).prop_map(|nth| Step::Answer { nth }),
        3 => Just(Step::Die),
    ];
    prop::collection::vec(step, 1..40)
}

/// What became of a call: its answers, and its failure.
type Outcome = (Vec<String>, Option<Failure>);

struct World {
    stage: Stage,
    life: Option<Life>,
    /// What was read in this life and not answered: ids, and which call it is.
    unanswered: Vec<(String, usize)>,
    /// How often each call has reached the server.
    received: HashMap<usize, usize>,
    calls: Vec<(bool, JoinHandle<Outcome>)>,
}

async fn watched(call: impl Future<Output = Result<Exchange, Failure>>) -> Outcome {
    let mut answers = Vec::new();
    let mut exchange = match call.await {
        Ok(exchange) => exchange,
        Err(failure) => return (answers, Some(failure)),
    };
    loop {
        match exchange.next().await {
            Ok(Event::Reply(reply)) => {
                answers.push(reply.result_json().unwrap_or_default().to_owned());
                // Whoever reads on learns that there is no more.
                assert!(
                    timeout(MOMENT, exchange.next())
                        .await
                        .unwrap_or(Err(Failure::Stopping))
                        .is_err()
                );
                return (answers, None);
            }
            Ok(Event::Message(_)) => {}
            Err(failure) => return (answers, Some(failure)),
        }
    }
}

impl World {
    async fn begin() -> Self {
        let (stage, life) = Stage::open().await;
        let (unanswered, received) = Default::default();
        Self { stage, life: Some(life), unanswered, received, calls: Vec::new() }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Call { safe } => self.call(safe),
            Step::Cancel { nth } => {
                let params = format!(r#"{{"requestId":"{nth}"}}"#);
                let cancel = Message::notification("notifications/cancelled", &params);
                self.stage.client.receive(cancel).await;
            }
            Step::Read => self.read().await,
            Step::Answer { nth } if nth < self.unanswered.len() => self.answer(nth).await,
            Step::Answer { .. } => {}
            Step::Die => {
                self.life = None;
                self.unanswered.clear();
            }
        }
        tokio::task::yield_now().await;
    }

    fn call(&mut self, safe: bool) {
        let (tool, number) = (if safe { "read" } else { "pay" }, self.calls.len());
        let params = format!(r#"{{"name":"{tool}","arguments":{{"n":{number}}}}}"#);
        let request = Message::request(&format!("\"{number}\""), "tools/call", &params);
        let request = Request::read(request).unwrap();
        let (client, scope) = (self.stage.client.clone(), self.stage.client.scope().clone());
        let call = Call { request, client: Some(client), scope };
        let fleet = self.stage.fleet.clone();
        let call = watched(async move { fleet.dispatch(call).await });
        self.calls.push((safe, tokio::spawn(call)));
    }

    async fn read(&mut self) {
        if self.life.is_none() {
            let Some(mut life) = self.stage.new_life().await else { return };
            // A client that has gone may leave half a handshake behind.
            if timeout(MOMENT, life.shake_hands()).await.is_err() {
                return;
            }
            self.life = Some(life);
        }
        let Some(life) = &mut self.life else { return };
        let Ok(Some(message)) = timeout(MOMENT, life.try_next()).await else { return };
        if let (Some(id), Some(params)) = (message.id(), message.params()) {
            let params = Members::of(params).unwrap();
            let arguments = params.object("arguments").unwrap().unwrap();
            let number = arguments.get("n").unwrap().parse().unwrap();
            *self.received.entry(number).or_default() += 1;
            self.unanswered.push((id.to_owned(), number));
        }
    }

    async fn answer(&mut self, nth: usize) {
        let (id, number) = self.unanswered.remove(nth);
        if let Some(life) = &mut self.life {
            life.result(&id, &format!(r#"{{"n":{number}}}"#)).await;
        }
    }

    /// From now on the server does what it should, until every call is over.
    async fn settle(mut self) {
        while self.calls.iter().any(|(_, call)| !call.is_finished()) {
            self.read().await;
            while !self.unanswered.is_empty() {
                self.answer(0).await;
            }
            tokio::time::sleep(MOMENT).await;
        }
        for (number, (safe, call)) in self.calls.into_iter().enumerate() {
            let received = self.received.get(&number).copied().unwrap_or(0);
            let (answers, failure) = call.await.unwrap();
            assert!(received <= if safe { 2 } else { 1 }, "{number} reached it {received} times");
            assert_eq!(answers.len(), usize::from(failure.is_none()), "{number}: {failure:?}");
            assert!(answers.iter().all(|answer| *answer == format!(r#"{{"n":{number}}}"#)));
            if let Some(failure) = failure {
                let expected = ["CANCELLED", "SERVER_UNAVAILABLE"];
                assert!(expected.contains(&failure.code()), "{number}: {failure}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]
    #[test]
    fn no_call_is_answered_twice_or_carried_out_twice_that_must_not(steps in steps()) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut world = World::begin().await;
            for step in steps {
                world.step(step).await;
            }
            world.settle().await;
        });
    }
}
