//! Where tasks, and other things that a server gave a name to, were made: only there they are known.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_wire::{Members, Message, Request};

use crate::client::Client;

/// Handles that are remembered, over all servers. The oldest is forgotten first.
const HANDLES_MAX: usize = 10_000;

/// A result longer than this does not say that a task was begun.
const ANNOUNCEMENT_MAX: usize = 16 << 10;

/// The members under which results give handles away, and requests bring them back.
const TASK: &str = "taskId";
const STATE: &str = "requestState";
const CURSOR: &str = "nextCursor";

/// Which server, and which of its replicas, made which handle.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    hashers: [RandomState; 2],
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    made: HashMap<Digest, Origin>,
    order: VecDeque<Digest>,
}

/// Handles may be long, and anything: two hashes with keys of this process stand for one.
type Digest = (u64, u64);

/// Where a handle was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    At {
        server: Arc<str>,
        replica: usize,
    },
    /// Several servers gave the same name to different things.
    Several {
        servers: Vec<Arc<str>>,
    },
}

/// Whose handles: those of one session concern no other. Stateless requests have one owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Owner(usize);

impl Owner {
    /// The session of `client`, if a request belongs to one.
    pub(crate) fn of(client: Option<&Arc<Client>>, request: &Request) -> Self {
        let client = client.filter(|_| request.version().is_none());
        // A client that is gone may give its address to another: that one is then led to a server
        // that does not know the task either.
        Self(client.map_or(0, |client| Arc::as_ptr(client) as usize))
    }
}

impl Origin {
    /// The same name was given again.
    fn also(&mut self, later: Self) {
        let Self::At { server, .. } = &later else { return };
        match self {
            Self::At { server: earlier, .. } if earlier == server => *self = later,
            Self::At { server: earlier, .. } => {
                let servers = vec![Arc::clone(earlier), Arc::clone(server)];
                *self = Self::Several { servers };
            }
            Self::Several { servers } if !servers.contains(server) => {
                servers.push(Arc::clone(server));
            }
            Self::Several { .. } => {}
        }
    }
}

impl Handles {
    /// Remembers the task that an answer of `server` speaks of, if it does.
    pub(crate) fn learn_task(
        &self,
        owner: Owner,
        server: &Arc<str>,
        replica: usize,
        answer: &Message,
    ) {
        // What begins a task says little else; what is long is a result, and is not searched.
        let short = answer.result_json().filter(|json| json.len() <= ANNOUNCEMENT_MAX);
        let Some(result) = short.filter(|json| json.contains(TASK)) else { return };
        let Ok(result) = Members::of(result) else { return };
        let made = match result.object("task") {
            Ok(Some(task)) => task.text(TASK).map(|id| id.into_owned()),
            _ => result.text(TASK).map(|id| id.into_owned()),
        };
        if let Some(id) = made {
            self.learn(owner, TASK, &id, server, replica);
        }
    }

    /// Remembers what an answer of one of several replicas wants to see again.
    pub(crate) fn learn_rest(&self, server: &Arc<str>, replica: usize, answer: &Message) {
        let Some(result) = answer.result_json() else { return };
        for member in [STATE, CURSOR] {
            if result.contains(member)
                && let Some(handle) = Members::of(result).ok().and_then(|result| result.get(member))
            {
                self.learn(Owner::default(), member, handle, server, replica);
            }
        }
    }

    /// Remembers a task that was listed.
    pub(crate) fn learn_listed(&self, owner: Owner, server: &Arc<str>, id: &str) {
        // Each session has one connection with a server, whichever replica that leads to.
        self.learn(owner, TASK, id, server, 0);
    }

    /// Where the task of this id was made.
    pub(crate) fn task(&self, owner: Owner, id: &str) -> Option<Origin> {
        let digest = self.digest(owner, TASK, id);
        self.lock().made.get(&digest).cloned()
    }

    /// Which replica of `server` a request must go to, because it names what that one made.
    pub(crate) fn replica(&self, server: &str, request: &Request) -> Option<usize> {
        let params = request.params()?;
        let task = request.name().filter(|_| request.method().starts_with("tasks/"));
        let digest = |kind, handle| self.digest(Owner::default(), kind, handle);
        let task = task.map(|id| digest(TASK, id));
        let state = params.get(STATE).map(|state| digest(STATE, state));
        let cursor = params.get("cursor").map(|cursor| digest(CURSOR, cursor));
        let known = self.lock();
        let found = [task, state, cursor].into_iter().flatten();
        found.filter_map(|digest| known.made.get(&digest)).find_map(|origin| match origin {
            Origin::At { server: made_by, replica } if **made_by == *server => Some(*replica),
            _ => None,
        })
    }

    fn learn(&self, owner: Owner, kind: &str, handle: &str, server: &Arc<str>, replica: usize) {
        let digest = self.digest(owner, kind, handle);
        let origin = Origin::At { server: Arc::clone(server), replica };
        let mut known = self.lock();
        if let Some(earlier) = known.made.get_mut(&digest) {
            earlier.also(origin);
            return;
        }
        if known.order.len() >= HANDLES_MAX
            && let Some(oldest) = known.order.pop_front()
        {
            known.made.remove(&oldest);
        }
        known.order.push_back(digest);
        known.made.insert(digest, origin);
    }

    fn digest(&self, owner: Owner, kind: &str, handle: &str) -> Digest {
        let [first, second] = &self.hashers;
        (first.hash_one((owner, kind, handle)), second.hash_one((owner, kind, handle)))
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: Owner = Owner(0);

    fn at(server: &str, replica: usize) -> Origin {
        Origin::At { server: server.into(), replica }
    }

    #[test]
    fn tasks_of_both_eras_are_found_where_they_were_made() {
        let handles = Handles::default();
        let made = Message::result("1", r#"{"task":{"taskId":"a","status":"working"}}"#);
        handles.learn_task(ME, &"one".into(), 2, &made);
        let made = Message::result("1", r#"{"resultType":"task","taskId":"b"}"#);
        handles.learn_task(ME, &"two".into(), 0, &made);
        let plain = Message::result("1", r#"{"content":[{"type":"text","text":"taskId"}]}"#);
        handles.learn_task(ME, &"two".into(), 0, &plain);
        assert_eq!(handles.task(ME, "a"), Some(at("one", 2)));
        assert_eq!(handles.task(ME, "b"), Some(at("two", 0)));
        assert_eq!(handles.task(ME, "c"), None);
    }

    #[test]
    fn one_name_for_two_things_leads_nowhere() {
        let handles = Handles::default();
        handles.learn_listed(ME, &"one".into(), "1");
        handles.learn_listed(ME, &"one".into(), "1");
        assert_eq!(handles.task(ME, "1"), Some(at("one", 0)));
        handles.learn_listed(ME, &"two".into(), "1");
        assert_eq!(
            handles.task(ME, "1"),
            Some(Origin::Several { servers: vec!["one".into(), "two".into()] })
        );
        assert_eq!(handles.task(Owner(7), "1"), None);
    }

    #[test]
    fn what_a_replica_made_leads_back_to_it() {
        let handles = Handles::default();
        let server: Arc<str> = "s".into();
        let answer = r#"{"resultType":"input_required","requestState":"xyz","nextCursor":"p2"}"#;
        handles.learn_rest(&server, 1, &Message::result("1", answer));
        let request = |method: &str, params: &str| {
            Request::read(Message::request("1", method, params)).expect("legal")
        };
        let replica = |method, params| handles.replica("s", &request(method, params));
        assert_eq!(replica("tools/call", r#"{"requestState":"xyz"}"#), Some(1));
        assert_eq!(replica("tools/list", r#"{"cursor":"p2"}"#), Some(1));
        assert_eq!(replica("tools/list", r#"{"cursor":"xyz"}"#), None);
        assert_eq!(handles.replica("t", &request("tools/list", r#"{"cursor":"p2"}"#)), None);
    }

    #[test]
    fn only_so_many_are_remembered() {
        let handles = Handles::default();
        for number in 0..=HANDLES_MAX {
            handles.learn_listed(ME, &"s".into(), &number.to_string());
        }
        assert_eq!(handles.task(ME, "0"), None);
        assert_eq!(handles.task(ME, "1"), Some(at("s", 0)));
        assert_eq!(handles.lock().made.len(), HANDLES_MAX);
    }
}
