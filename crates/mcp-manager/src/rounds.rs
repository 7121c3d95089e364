//! A stateless server asks its client for input within an answer, and is called again with what it
//! asked for. A client with a session is asked in requests of their own. A call of such a client to
//! such a server goes in rounds, which this drives.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use mcp_wire::{Era, Event, Members, Message, Request, quoted};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout_at};

use crate::client::Client;
use crate::demand::Demand;
use crate::failure::Failure;
use crate::server::Server;
use crate::upstream::Upstream;

/// How often one call may ask for input. Other clients give up after ten.
const ROUNDS_MAX: usize = 16;
/// Messages that wait for the face to write them. The rest wait at the server's connection.
const WAITING_MAX: usize = 16;
/// How long a server that is not ready yet, and asks nothing, is left alone: twice as long each
/// time, as other clients do it.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// A call that has been asked for input. Dropping it ends it, and takes back what is still asked.
#[derive(Debug)]
pub(crate) struct Rounds {
    events: mpsc::Receiver<Result<Event, Failure>>,
    driver: AbortHandle,
}

/// What a call consists of that goes in rounds.
#[derive(Debug)]
pub(crate) struct Asking {
    /// What was sent at first.
    pub(crate) request: Request,
    /// Who is asked.
    pub(crate) client: Option<Arc<Client>>,
    pub(crate) server: Arc<Server>,
    pub(crate) upstream: Arc<Upstream>,
}

impl Rounds {
    /// Goes on with a call whose first answer was this `demand`.
    pub(crate) fn begin(asking: Asking, demand: Message) -> Self {
        let (sender, events) = mpsc::channel(WAITING_MAX);
        let driver = tokio::spawn(async move {
            let outcome = asking.drive(demand, &sender).await.map(Event::Reply);
            // Nobody waits for a call that was dropped.
            let _ = sender.send(outcome).await;
        });
        Self { events, driver: driver.abort_handle() }
    }

    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Event, Failure>> {
        // A driver that is gone without an outcome means that the runtime is shutting down.
        self.events.poll_recv(context).map(|event| event.unwrap_or(Err(Failure::Stopping)))
    }
}

impl Drop for Rounds {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

type Events = mpsc::Sender<Result<Event, Failure>>;

impl Asking {
    async fn drive(mut self, mut reply: Message, events: &Events) -> Result<Message, Failure> {
        let first = self.request.clone().settled()?;
        let mut pause = PAUSE_MIN;
        for _ in 0..ROUNDS_MAX {
            let demand = Demand::read(&reply).map_err(|why| self.broken(why))?;
            let responses = if demand.questions.is_empty() {
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
                None
            } else {
                Some(self.ask(&demand, events).await?)
            };
            let mut members = Vec::new();
            members.extend(responses.as_deref().map(|json| ("inputResponses", json)));
            members.extend(demand.state.as_deref().map(|json| ("requestState", json)));
            let mut request = first.clone();
            request.set_params(&members);
            reply = self.send(request, events).await?;
            if !Demand::is_in(&reply) {
                return Ok(reply);
            }
        }
        Err(self.broken(format!("it asked for input more than {ROUNDS_MAX} times in one call")))
    }

    /// Puts the questions of one round to the client: its answers, as a JSON object.
    async fn ask(&self, demand: &Demand, events: &Events) -> Result<String, Failure> {
        let client = self.client.as_ref().ok_or_else(|| self.unanswered("nobody can be asked"))?;
        let hello = client.params().unwrap_or_default();
        for question in &demand.questions {
            question.may_be_asked(&hello).map_err(|why| self.unanswered(why))?;
        }
        let mut open = Open { client, ids: Vec::new() };
        let answers = self.answers(demand, &mut open, events).await;
        if answers.is_err() {
            // The stream of the call is the one that the client is sure to read.
            for withdrawn in open.withdraw() {
                let _ = events.send(Ok(Event::Message(withdrawn))).await;
            }
        }
        answers
    }

    async fn answers(
        &self,
        demand: &Demand,
        open: &mut Open<'_>,
        events: &Events,
    ) -> Result<String, Failure> {
        let (sender, mut answers) = mpsc::channel(demand.questions.len());
        for question in &demand.questions {
            let asked = open.client.asked().ask_for_call(&question.request, sender.clone());
            let too_many = || self.unanswered("too many questions wait for the client already");
            let (id, shown) = asked.ok_or_else(too_many)?;
            open.ids.push(id);
            let _ = events.send(Ok(Event::Message(shown))).await;
        }
        drop(sender);
        // A person may think for as long as a call may take in all, however silent that is.
        let patience = self.server.timing().timeout_max;
        let until = Instant::now().checked_add(patience);
        let limit = self.server.opener().options.limits.frame_bytes;
        let mut responses = vec![String::new(); demand.questions.len()];
        let mut length = 0;
        for _ in &demand.questions {
            let next = match until {
                Some(until) => timeout_at(until, answers.recv()).await,
                None => Ok(answers.recv().await),
            };
            let late =
                |_| self.unanswered(format!("the client did not answer within {patience:?}"));
            let answer = next.map_err(late)?;
            let answer =
                answer.ok_or_else(|| self.unanswered("the client has ended its session"))?;
            let id = answer.id().and_then(|id| id.parse::<u64>().ok());
            let index = open.ids.iter().position(|own| Some(*own) == id);
            let Some((question, response)) =
                index.and_then(|index| demand.questions.get(index).zip(responses.get_mut(index)))
            else {
                continue;
            };
            let result = answer.result_json().ok_or_else(|| {
                self.unanswered(refused(question.request.method(), answer.error_json()))
            })?;
            length += result.len();
            if length > limit {
                return Err(self.unanswered(format!("the answers are longer than {limit} bytes")));
            }
            *response = format!("{}:{result}", quoted(&question.key));
        }
        Ok(format!("{{{}}}", responses.join(",")))
    }

    /// Calls the server again, and passes on what it says before it answers.
    async fn send(&mut self, request: Request, events: &Events) -> Result<Message, Failure> {
        if !self.upstream.is_alive() {
            // A person was asked: the server may have been started again since.
            self.upstream = self.server.ours().await?;
            if self.upstream.era() != Era::Modern {
                return Err(self.broken("it has sessions now, and had none before".to_owned()));
            }
        }
        let mut exchange = self.upstream.connection.call(request, self.server.timing());
        loop {
            let event = match exchange.next().await {
                Ok(event) => event,
                Err(error) => return Err(self.upstream.explain(error).await),
            };
            match (event, &self.client) {
                (Event::Reply(reply), _) => return Ok(reply),
                (Event::Message(message), Some(client)) => {
                    if let Some(shown) = client.show(&self.upstream, &self.server, message).await {
                        let _ = events.send(Ok(Event::Message(shown))).await;
                    }
                }
                (Event::Message(_), None) => {}
            }
        }
    }

    fn broken(&self, why: String) -> Failure {
        Failure::Protocol { server: self.server.name().to_owned(), why }
    }

    fn unanswered(&self, why: impl Into<String>) -> Failure {
        Failure::Input { server: self.server.name().to_owned(), why: why.into() }
    }
}

/// What a client said that does not give what it was asked for.
fn refused(method: &str, error: Option<&str>) -> String {
    let members = error.and_then(|error| Members::of(error).ok());
    let message = members.as_ref().and_then(|error| error.text("message"));
    let code = members.as_ref().and_then(|error| error.get("code")).unwrap_or("no code");
    let message = message.as_deref().unwrap_or("no reason given");
    format!("the client refused {method}: {message} ({code})")
}

/// Questions of one round, taken back when nobody needs their answers any more.
struct Open<'c> {
    client: &'c Arc<Client>,
    ids: Vec<u64>,
}

impl Open<'_> {
    /// Takes back what has not been answered: the notifications that tell the client.
    fn withdraw(&mut self) -> Vec<Message> {
        let ids = std::mem::take(&mut self.ids).into_iter();
        let owed = ids.filter(|id| self.client.asked().withdraw(*id));
        let told = owed.map(|id| {
            let params = format!(r#"{{"requestId":{id},"reason":"the call is over"}}"#);
            Message::notification("notifications/cancelled", &params)
        });
        told.collect()
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        for withdrawn in self.withdraw() {
            self.client.tell(withdrawn);
        }
    }
}
