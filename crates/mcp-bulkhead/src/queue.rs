//! Who waits, and whose turn it is. No clock, no lock, no task.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// Who asks to make a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ask {
    /// 0 (last) to 10 (first); more is 10. Default: 5.
    pub priority: u8,
    /// Whose call it is. Those that wait share what there is, whoever has how many. Default: 0.
    pub tenant: u64,
    /// How much of it this tenant is to have, beside the others. Default: 1; 0 is 1.
    pub weight: u32,
}

impl Default for Ask {
    fn default() -> Self {
        Self { priority: 5, tenant: 0, weight: 1 }
    }
}

impl Ask {
    /// A call of `tenant`.
    pub fn of(tenant: u64) -> Self {
        Self { tenant, ..Self::default() }
    }

    /// The same with another priority.
    #[must_use]
    pub fn with_priority(self, priority: u8) -> Self {
        Self { priority, ..self }
    }

    /// The same with another weight.
    #[must_use]
    pub fn with_weight(self, weight: u32) -> Self {
        Self { weight, ..self }
    }
}

/// Where somebody stands in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    tenant: u64,
    /// The time at which it seems to have come, and then who came first.
    rank: (Instant, u64),
}

/// Those who wait: fair between tenants (start-time fair queueing: Goyal, Vin and Cheng, SIGCOMM 1996),
/// by priority and age within one.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    tenants: HashMap<u64, Tenant<T>>,
    /// Tenants that have somebody waiting, by when their next one is to be served.
    turns: BTreeMap<(u64, u64), ()>,
    /// The turn that was served last.
    served: u64,
    len: usize,
    serial: u64,
    /// Since when somebody has always been waiting.
    standing: Option<Instant>,
}

#[derive(Debug)]
struct Tenant<T> {
    waiting: BTreeMap<(Instant, u64), Waiter<T>>,
    turn: u64,
    weight: u32,
}

#[derive(Debug)]
struct Waiter<T> {
    came: Instant,
    who: T,
}

/// A turn, in parts of it: a tenant of the greatest weight has one every part.
const TURN: u64 = 1 << 20;
const WEIGHT_MAX: u32 = 1 << 16;
const PRIORITY_MAX: u8 = 10;

impl<T> Default for Queue<T> {
    fn default() -> Self {
        let (tenants, turns) = Default::default();
        Self { tenants, turns, served: 0, len: 0, serial: 0, standing: None }
    }
}

impl<T> Queue<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Somebody waits from now on.
    pub(crate) fn push(&mut self, ask: Ask, step: Duration, now: Instant, who: T) -> Place {
        self.serial += 1;
        let steps = u32::from(PRIORITY_MAX - ask.priority.min(PRIORITY_MAX));
        // Later for each step that it lacks: no time before all times is needed.
        let rank = (now + step * steps, self.serial);
        let served = self.served;
        let tenant = self.tenants.entry(ask.tenant).or_insert_with(|| Tenant {
            waiting: BTreeMap::new(),
            turn: served,
            weight: 1,
        });
        tenant.weight = ask.weight.clamp(1, WEIGHT_MAX);
        if tenant.waiting.is_empty() {
            tenant.turn = tenant.turn.max(served);
            self.turns.insert((tenant.turn, ask.tenant), ());
        }
        tenant.waiting.insert(rank, Waiter { came: now, who });
        self.len += 1;
        self.standing.get_or_insert(now);
        Place { tenant: ask.tenant, rank }
    }

    /// Whose turn it is, and how long it has waited.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(T, Duration)> {
        let (&(turn, name), ()) = self.turns.first_key_value()?;
        let tenant = self.tenants.get_mut(&name)?;
        let (_, waiter) = tenant.waiting.pop_first()?;
        self.served = turn;
        self.turns.remove(&(turn, name));
        tenant.turn = turn + TURN / u64::from(tenant.weight);
        if !tenant.waiting.is_empty() {
            self.turns.insert((tenant.turn, name), ());
        }
        self.left();
        Some((waiter.who, now.saturating_duration_since(waiter.came)))
    }

    /// Takes somebody out who does not wait any more.
    pub(crate) fn remove(&mut self, place: Place) -> Option<T> {
        let tenant = self.tenants.get_mut(&place.tenant)?;
        let waiter = tenant.waiting.remove(&place.rank)?;
        if tenant.waiting.is_empty() {
            self.turns.remove(&(tenant.turn, place.tenant));
        }
        self.left();
        Some(waiter.who)
    }

    /// Makes room for one more call of `tenant`: takes out the last one of whoever has most waiting, if
    /// that is somebody else and has more of them than `tenant` would have.
    pub(crate) fn make_room(&mut self, tenant: u64) -> Option<T> {
        let own = self.tenants.get(&tenant).map_or(0, |tenant| tenant.waiting.len());
        let longest = self.tenants.iter().max_by_key(|(name, one)| (one.waiting.len(), **name));
        let (&name, most) = longest?;
        if name == tenant || most.waiting.len() <= own + 1 {
            return None;
        }
        let (&rank, _) = most.waiting.last_key_value()?;
        self.remove(Place { tenant: name, rank })
    }

    /// Whether somebody has always been waiting for at least this long.
    pub(crate) fn has_stood(&self, time: Duration, now: Instant) -> bool {
        self.standing.is_some_and(|since| now.saturating_duration_since(since) >= time)
    }

    /// One is gone. A tenant that nobody waits for is forgotten as soon as its turn would have come
    /// anyway, so that there are never many more of them than there are waiting.
    fn left(&mut self) {
        self.len -= 1;
        if self.len == 0 {
            self.standing = None;
        }
        if self.len == 0 || self.tenants.len() > 2 * self.len + 64 {
            let served = self.served;
            self.tenants.retain(|_, one| !one.waiting.is_empty() || one.turn > served);
            if self.len == 0 {
                self.tenants.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(100);

    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn start() -> Instant {
        Instant::now()
    }

    fn order(queue: &mut Queue<u32>, now: Instant) -> Vec<u32> {
        std::iter::from_fn(|| queue.pop(now).map(|(who, _)| who)).collect()
    }

    #[test]
    fn first_come_first_served_and_priorities_are_a_head_start() {
        let (mut queue, start) = (Queue::default(), start());
        let at = |millis| start + Duration::from_millis(millis);
        queue.push(Ask::default(), STEP, at(0), 0);
        queue.push(Ask::default().with_priority(10), STEP, at(499), 1);
        queue.push(Ask::default().with_priority(10), STEP, at(502), 2);
        queue.push(Ask::default(), STEP, at(1), 3);
        assert_eq!(order(&mut queue, at(600)), [1, 0, 3, 2]);
    }

    #[test]
    fn tenants_share_by_weight_whoever_has_how_many() {
        let (mut queue, now) = (Queue::default(), start());
        for call in 0..100 {
            queue.push(Ask::of(1), STEP, now, call);
        }
        for call in 100..104 {
            queue.push(Ask::of(2), STEP, now, call);
            queue.push(Ask::of(3).with_weight(2), STEP, now, call + 100);
        }
        let first: Vec<u32> = order(&mut queue, now).into_iter().take(9).collect();
        let of =
            |range: std::ops::Range<u32>| first.iter().filter(|who| range.contains(who)).count();
        assert_eq!((of(100..104), of(200..204)), (2, 4), "{first:?}");
    }

    #[test]
    fn room_is_made_by_whoever_has_most() {
        let (mut queue, now) = (Queue::default(), start());
        for call in 0..3 {
            queue.push(Ask::of(1), STEP, now, call);
        }
        assert_eq!(queue.make_room(1), None);
        assert_eq!(queue.make_room(2), Some(2), "its last one");
        queue.push(Ask::of(2), STEP, now, 9);
        assert_eq!(queue.make_room(2), None, "two and two are even");
    }

    #[test]
    fn it_forgets_who_is_gone() {
        let (mut queue, now) = (Queue::default(), start());
        for tenant in 0..10_000 {
            queue.push(Ask::of(tenant), STEP, now, 0);
            queue.pop(now);
            assert!(queue.tenants.len() <= 65);
        }
        assert!(queue.turns.is_empty());
    }
}
