//! Two callers with equal ids and equal progress tokens never see each other's answers, whatever is
//! lost, late, duplicated or made up on the way.
//!
//! A plan of random steps is played against a connection; next to it runs a model that knows what
//! every caller must have seen in the end, what the peer must have been told, and every counter.

#[path = "crosstalk/model.rs"]
mod model;
mod peer;

use std::time::Duration;

use mcp_wire::{Connection, Event, Exchange, Inbox, Message, Options, Request, Timing};
use proptest::prelude::*;
use proptest::sample::Index;
use tokio::runtime::Builder;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use self::model::{End, Model, Seen};
use self::peer::{Peer, connect, connected};

#[derive(Clone, Debug)]
enum Step {
    /// Somebody calls this method, and waits for so many ticks.
    Call(Index, u32),
    Progress(Index),
    Answer(Index),
    /// Something that is no JSON-RPC, but names a call.
    Unreadable(Index),
    /// An answer, or progress, in one of the forms that name nobody.
    WrongAnswer(Index, Index),
    WrongProgress(Index, Index),
    /// A line that is no message.
    Noise(Index),
    /// A notification, or a request, that names no call.
    Note,
    Ask(Index),
    /// The caller goes away.
    Leave(Index),
    Wait(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let any = any::<Index>;
    prop_oneof![
        4 => (any(), 1..8_u32).prop_map(|(method, ticks)| Step::Call(method, ticks)),
        6 => any().prop_map(Step::Progress),
        4 => any().prop_map(Step::Answer),
        1 => any().prop_map(Step::Unreadable),
        2 => (any(), any()).prop_map(|(call, form)| Step::WrongAnswer(call, form)),
        2 => (any(), any()).prop_map(|(call, form)| Step::WrongProgress(call, form)),
        1 => any().prop_map(Step::Noise),
        2 => Just(Step::Note),
        1 => any().prop_map(Step::Ask),
        2 => any().prop_map(Step::Leave),
        3 => (0..4_u32).prop_map(Step::Wait),
    ]
}

/// While these are in flight, servers ask back.
const ASKABLE: &[&str] = &["tools/call", "prompts/get", "resources/read"];
const METHODS: &[&str] =
    &["tools/call", "prompts/get", "resources/read", "tools/list", "resources/subscribe", "x"];

const NOISE: &[&str] =
    &["noise", "\u{feff}", "{", "[]", "[1,2]", "{\"jsonrpc\":\"2.0\"}", "\0", "7"];

/// Ids that look like `id` and are not: nobody may be found under them.
fn wrong(id: u64, form: &Index) -> String {
    let forms = [
        format!("\"{id}\""),
        format!("{id}.0"),
        format!("{id}e0"),
        format!("-{id}"),
        format!("{}", id + 1_000_000),
        "9007199254740993".to_owned(),
        "18446744073709551617".to_owned(),
        "0".to_owned(),
        "1e400".to_owned(),
        "\"t\"".to_owned(),
        "\"\"".to_owned(),
    ];
    form.get(&forms).clone()
}

/// Time passes in these; deadlines lie between two.
const TICK: Duration = Duration::from_millis(10);
const HALF_A_TICK: Duration = Duration::from_millis(5);

struct Caller {
    ours: u64,
    task: JoinHandle<Vec<Seen>>,
}

/// Reads everything that a call brings, and how it ends.
async fn listen(mut exchange: Exchange) -> Vec<Seen> {
    let mut seen = Vec::new();
    loop {
        match exchange.next().await {
            Ok(Event::Message(message)) => seen.push(Seen::Message(message.as_str().to_owned())),
            Ok(Event::Reply(message)) => {
                seen.push(Seen::Reply(message.as_str().to_owned()));
                return seen;
            }
            Err(error) => {
                seen.push(Seen::Failed(error.to_string()));
                return seen;
            }
        }
    }
}

/// One play of a plan.
struct Play {
    connection: Connection,
    inbox: Inbox,
    peer: Peer,
    callers: Vec<Caller>,
    model: Model,
    cancelled: Vec<String>,
}

impl Play {
    fn new(exclusive: bool) -> Self {
        let mut options = Options::default();
        options.exclusive = exclusive;
        let (connection, inbox, peer) = connect(&options);
        let (callers, cancelled) = (Vec::new(), Vec::new());
        Self { connection, inbox, peer, callers, model: Model::new(exclusive), cancelled }
    }

    async fn call(&mut self, method: &str, ticks: u32) {
        // What names no call goes to the newest: whether this one is, must not be left open.
        self.wait(u32::from(self.model.exclusive)).await;
        let tag = self.callers.len();
        let params = format!(r#"{{"tag":{tag},"_meta":{{"progressToken":"t"}}}}"#);
        let request = Request::read(Message::request("1", method, &params)).expect("legal");
        let timeout = TICK * ticks - HALF_A_TICK;
        let exchange = self.connection.call(request, Timing { timeout, timeout_max: timeout });
        let sent = loop {
            let sent = self.peer.next().await;
            if sent.method() == method {
                break sent;
            }
            self.cancelled.push(sent.as_str().to_owned());
        };
        let ours = sent.id().and_then(|id| id.parse().ok()).expect("an id of ours");
        assert!(self.callers.iter().all(|other| other.ours < ours), "id {ours} was used before");
        let tagged = format!(r#"{{"tag":{tag},"_meta":{{"progressToken":{ours}}}}}"#);
        assert_eq!(sent.params(), Some(&*tagged));
        self.callers.push(Caller { ours, task: tokio::spawn(listen(exchange)) });
        self.model.begin(ours, ticks, ASKABLE.contains(&method));
    }

    async fn play(&mut self, step: Step) {
        // Steps about a call mean nothing before the first.
        let pick = |index: &Index| {
            let some = !self.callers.is_empty();
            some.then(|| index.index(self.callers.len()))
        };
        match step {
            Step::Call(method, ticks) => {
                self.call(METHODS[method.index(METHODS.len())], ticks).await
            }
            Step::Wait(ticks) => self.wait(ticks).await,
            Step::Noise(which) => {
                self.model.malformed += 1;
                self.peer.line(which.get(NOISE)).await;
            }
            Step::Note => {
                let note = Message::notification("notifications/message", &self.model.fresh());
                self.model.unsolicited(note.as_str());
                self.peer.line(note.as_str()).await;
            }
            Step::Ask(id) => {
                let id = pick(&id).map_or(7, |at| self.callers[at].ours);
                let ask = Message::request(&id.to_string(), "roots/list", &self.model.fresh());
                self.model.unsolicited(ask.as_str());
                self.peer.line(ask.as_str()).await;
            }
            Step::Progress(at) | Step::Answer(at) | Step::Unreadable(at) | Step::Leave(at)
                if pick(&at).is_none() => {}
            Step::WrongAnswer(at, _) | Step::WrongProgress(at, _) if pick(&at).is_none() => {}
            Step::Progress(at) => {
                let (at, content) = (pick(&at).unwrap_or(0), self.model.fresh());
                let ours = self.callers[at].ours.to_string();
                self.model.deliver(at, Seen::Message(progress("\"t\"", &content)));
                self.peer.line(progress(&ours, &content)).await;
            }
            Step::WrongProgress(at, form) => {
                let token = wrong(self.callers[pick(&at).unwrap_or(0)].ours, &form);
                self.model.stray += 1;
                self.peer.line(progress(&token, &self.model.fresh())).await;
            }
            Step::Answer(at) => {
                let at = pick(&at).unwrap_or(0);
                let (ours, content) = (self.callers[at].ours.to_string(), self.model.fresh());
                let answer = Message::result(&ours, &content);
                self.model.end(at, End::Seen(Seen::Reply(answer.as_str().to_owned())));
                self.peer.line(answer.as_str()).await;
            }
            Step::WrongAnswer(at, form) => {
                let id = wrong(self.callers[pick(&at).unwrap_or(0)].ours, &form);
                self.model.stray += 2;
                self.peer.result(&id, "{}").await;
                self.peer.line(r#"{"jsonrpc":"2.0","id":null,"error":{}}"#).await;
            }
            Step::Unreadable(at) => {
                let at = pick(&at).unwrap_or(0);
                let ours = self.callers[at].ours;
                let why = "unreadable answer: member \"jsonrpc\" must be \"2.0\"";
                self.model.unreadable(at, Seen::Failed(why.to_owned()));
                self.peer.line(format!(r#"{{"jsonrpc":2,"id":{ours},"result":{{}}}}"#)).await;
            }
            Step::Leave(at) => {
                let at = pick(&at).unwrap_or(0);
                // What was written before arrives before.
                self.wait(1).await;
                self.model.end(at, End::Left);
                self.callers[at].task.abort();
                self.wait(1).await;
            }
        }
    }

    async fn wait(&mut self, ticks: u32) {
        sleep(TICK * ticks).await;
        self.model.pass(ticks);
    }

    /// Everybody has ended: what was seen is what the model says.
    async fn check(mut self) {
        self.wait(10).await;
        for (tag, caller) in self.callers.into_iter().enumerate() {
            let expected = self.model.seen(tag);
            match (caller.task.await, expected) {
                (Ok(seen), Some(expected)) => assert_eq!(seen, expected, "caller {tag}"),
                (Err(_), None) => {}
                (seen, expected) => panic!("caller {tag}: {seen:?}, expected {expected:?}"),
            }
        }
        let stats = self.connection.stats();
        assert_eq!(stats.in_flight, 0, "a call was forgotten");
        assert_eq!((stats.stray, stats.malformed), (self.model.stray, self.model.malformed));
        drop(self.connection);
        while let Some(sent) = self.peer.try_next().await {
            self.cancelled.push(sent.as_str().to_owned());
        }
        // In which order those are told whose time is up at once does not matter.
        self.cancelled.sort_unstable();
        self.model.cancelled.sort_unstable();
        assert_eq!(self.cancelled, self.model.cancelled);
        let mut unsolicited = Vec::new();
        self.peer.hang_up().await;
        while let Some(message) = self.inbox.next().await {
            unsolicited.push(message.as_str().to_owned());
        }
        assert_eq!(unsolicited, self.model.inbox);
    }
}

fn progress(token: &str, content: &str) -> String {
    let params = format!(r#"{{"progressToken":{token},"progress":1,"message":{content}}}"#);
    Message::notification("notifications/progress", &params).as_str().to_owned()
}

proptest! {
    #[test]
    fn no_caller_sees_what_is_not_its_own(
        exclusive in any::<bool>(),
        plan in prop::collection::vec(step(), 0..80),
    ) {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let mut play = Play::new(exclusive);
            for step in plan {
                play.play(step).await;
            }
            play.check().await;
        });
    }
}

/// The same on real threads: many callers, and a peer that answers in whatever order.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_on_many_threads_never_meet() {
    const CALLERS: usize = 16;
    const CALLS: usize = 100;
    let (connection, _inbox, mut peer) = connected();
    let echo = tokio::spawn(async move {
        // What has come is answered in another order, and only when nothing more comes.
        let (mut held, mut answered) = (Vec::new(), 0);
        while answered < CALLERS * CALLS {
            tokio::select! {
                biased;
                sent = peer.next() => {
                    let (id, tag) = (sent.id().expect("a request"), sent.params().expect("a tag"));
                    peer.line(progress(id, tag)).await;
                    held.push((id.to_owned(), tag.to_owned()));
                }
                () = std::future::ready(()), if !held.is_empty() => {
                    let (id, tag) = held.swap_remove(answered * 7 % held.len());
                    peer.result(&id, &tag).await;
                    answered += 1;
                }
            }
        }
        peer
    });
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let connection = connection.clone();
        callers.spawn(async move {
            for call in 0..CALLS {
                let tag = format!(r#"{{"caller":{caller},"call":{call}}}"#);
                let request = Request::read(Message::request("1", "tools/call", &tag));
                let answer = connection.call(request.expect("legal"), Timing::default()).reply();
                assert_eq!(answer.await.expect("an answer").result_json(), Some(&*tag));
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.expect("no caller saw another's answer");
    }
    assert_eq!(connection.stats().in_flight, 0);
    drop(echo.await.expect("the peer"));
}
