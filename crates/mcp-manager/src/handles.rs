//! Where tasks, and other things that a server gave a name to, were made: only there they are known.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_wire::{Members, Message, Request};

/// Handles that are remembered, over all servers. The oldest is forgotten first.
const HANDLES_MAX: usize = 10_000;

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
    /// Two servers gave the same name to different things.
    Several,
}

impl Handles {
    /// Remembers the task that an answer of `server` speaks of, if it does.
    pub(crate) fn learn_task(&self, server: &Arc<str>, replica: usize, answer: &Message) {
        let Some(result) = answer.result_json().filter(|json| json.contains(TASK)) else { return };
        let Ok(result) = Members::of(result) else { return };
        let made = match result.object("task") {
            Ok(Some(task)) => task.text(TASK).map(|id| id.into_owned()),
            _ => result.text(TASK).map(|id| id.into_owned()),
        };
        if let Some(id) = made {
            self.learn(TASK, &id, server, replica);
        }
    }

    /// Remembers what an answer of one of several replicas wants to see again.
    pub(crate) fn learn_rest(&self, server: &Arc<str>, replica: usize, answer: &Message) {
        let Some(result) = answer.result_json() else { return };
        for member in [STATE, CURSOR] {
            if result.contains(member)
                && let Some(handle) = Members::of(result).ok().and_then(|result| result.get(member))
            {
                self.learn(member, handle, server, replica);
            }
        }
    }

    /// Remembers a task that was listed.
    pub(crate) fn learn_listed(&self, server: &Arc<str>, replica: usize, id: &str) {
        self.learn(TASK, id, server, replica);
    }

    /// Where the task of this id was made.
    pub(crate) fn task(&self, id: &str) -> Option<Origin> {
        let digest = self.digest(TASK, id);
        self.lock().made.get(&digest).cloned()
    }

    /// Which replica of `server` a request must go to, because it names what that one made.
    pub(crate) fn replica(&self, server: &str, request: &Request) -> Option<usize> {
        let params = request.params()?;
        let task = request.name().filter(|_| request.method().starts_with("tasks/"));
        let task = task.map(|id| self.digest(TASK, id));
        let state = params.get(STATE).map(|state| self.digest(STATE, state));
        let cursor = params.get("cursor").map(|cursor| self.digest(CURSOR, cursor));
        let known = self.lock();
        let found = [task, state, cursor].into_iter().flatten();
        found.filter_map(|digest| known.made.get(&digest)).find_map(|origin| match origin {
            Origin::At { server: made_by, replica } if **made_by == *server => Some(*replica),
            _ => None,
        })
    }

    fn learn(&self, kind: &str, handle: &str, server: &Arc<str>, replica: usize) {
        let digest = self.digest(kind, handle);
        let origin = Origin::At { server: Arc::clone(server), replica };
        let mut known = self.lock();
        if let Some(earlier) = known.made.get_mut(&digest) {
            let same = matches!(earlier, Origin::At { server: other, .. } if other == server);
            *earlier = if same { origin } else { Origin::Several };
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

    fn digest(&self, kind: &str, handle: &str) -> Digest {
        let [first, second] = &self.hashers;
        (first.hash_one((kind, handle)), second.hash_one((kind, handle)))
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(server: &str, replica: usize) -> Origin {
        Origin::At { server: server.into(), replica }
    }

    #[test]
    fn tasks_of_both_eras_are_found_where_they_were_made() {
        let handles = Handles::default();
        let made = Message::result("1", r#"{"task":{"taskId":"a","status":"working"}}"#);
        handles.learn_task(&"one".into(), 2, &made);
        let made = Message::result("1", r#"{"resultType":"task","taskId":"b"}"#);
        handles.learn_task(&"two".into(), 0, &made);
        let plain = Message::result("1", r#"{"content":[{"type":"text","text":"taskId"}]}"#);
        handles.learn_task(&"two".into(), 0, &plain);
        assert_eq!(handles.task("a"), Some(at("one", 2)));
        assert_eq!(handles.task("b"), Some(at("two", 0)));
        assert_eq!(handles.task("c"), None);
    }

    #[test]
    fn one_name_for_two_things_leads_nowhere() {
        let handles = Handles::default();
        handles.learn_listed(&"one".into(), 0, "1");
        handles.learn_listed(&"one".into(), 1, "1");
        assert_eq!(handles.task("1"), Some(at("one", 1)));
        handles.learn_listed(&"two".into(), 0, "1");
        assert_eq!(handles.task("1"), Some(Origin::Several));
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
            handles.learn_listed(&"s".into(), 0, &number.to_string());
        }
        assert_eq!(handles.task("0"), None);
        assert_eq!(handles.task("1"), Some(at("s", 0)));
        assert_eq!(handles.lock().made.len(), HANDLES_MAX);
    }
}
