//! What a server consists of at one moment.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use mcp_balance::State::{Away, Degraded, Ready};
use mcp_balance::{Ask, Balancer, Picked, Spec};
use mcp_failover::{Change, Health};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::chance::Chance;
use crate::config::{Scaling, ServerSettings};
use crate::definition::Definition;
use crate::duty::Duty;
use crate::failure::Failure;
use crate::gate::{self, Gate, Shut};
use crate::load::{Hop, Passes};
use crate::opener::Opener;
use crate::replica::{Prospect, Replica};
use crate::server::Server;
use crate::treatment::Treatment;
use crate::upstream::Upstream;

/// The most replicas of a server.
pub(crate) const REPLICAS_MAX: usize = 64;

/// What a server consists of at one moment. It is replaced as a whole, and never changed.
#[derive(Debug)]
pub(crate) struct LineUp {
    pub(crate) standing: Standing,
    pub(crate) opener: Arc<Opener>,
    pub(crate) replicas: Vec<Arc<Replica>>,
    /// How calls are treated.
    pub(crate) treatment: Arc<Treatment>,
    /// What stands before each replica, in their order.
    gates: Vec<Arc<Gate>>,
    /// Which of them serve, where not all do.
    duty: Option<Duty>,
    /// Chooses between them, where there are several.
    balancer: Option<Balancer>,
    chance: Chance,
    /// Counts the sessions that were given a replica.
    turn: AtomicUsize,
    /// How many replicas there may be: as the definition says, or somebody after it.
    pub(crate) scaling: Scaling,
    /// Whether it was told that the lists are now those of this line-up.
    told: AtomicBool,
}

/// Where a call can go.
#[derive(Debug)]
pub(crate) enum Way {
    Go(Hop),
    /// Each replica that would do has as many calls as it may have: to the best one, when there is room.
    Full(usize),
    /// Calls are refused at each replica that is ready, and why.
    Refused(Failure),
    /// None is ready.
    None,
}

/// Whether a server is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Wanted,
    /// It stays off, because the configuration says so.
    Disabled,
    /// Somebody has stopped it.
    Stopped,
    /// It was taken out of its fleet.
    Removed,
}

/// The settings of a server as they were when they were asked for.
#[derive(Debug)]
pub(crate) struct Current(Arc<LineUp>);

impl LineUp {
    /// As many replicas as the definition says, none of them started.
    pub(crate) fn new(opener: Opener) -> Self {
        let scaling = opener.definition.settings.scaling.clone();
        let (standing, count) = match opener.definition.disabled {
            true => (Standing::Disabled, 0),
            false => (Standing::Wanted, scaling.replicas.max(1)),
        };
        let replicas: Vec<_> = (0..count).map(|number| Replica::new(&opener, number)).collect();
        let treatment = Arc::new(Treatment::new(&opener.name, &opener.definition.settings));
        let balancer = balancer(None, &replicas, &treatment);
        Self::of(standing, Arc::new(opener), replicas, scaling, treatment, &[], balancer)
    }

    fn of(
        standing: Standing,
        opener: Arc<Opener>,
        replicas: Vec<Arc<Replica>>,
        scaling: Scaling,
        treatment: Arc<Treatment>,
        gates: &[Arc<Gate>],
        balancer: Option<Balancer>,
    ) -> Self {
        let mut gates: Vec<_> = gates.iter().take(replicas.len()).map(Arc::clone).collect();
        for replica in replicas.iter().skip(gates.len()) {
            gates.push(treatment.gate(replica.number()));
        }
        let numbers: Vec<usize> = replicas.iter().map(|replica| replica.number()).collect();
        let now = Instant::now().into_std();
        let duty = Duty::new(&treatment.policy().standby, &numbers, now);
        let (chance, told) = (Chance::default(), AtomicBool::new(false));
        let turn = AtomicUsize::new(0);
        let line_up = Self {
            standing,
            opener,
            replicas,
            treatment,
            gates,
            duty,
            balancer,
            chance,
            turn,
            scaling,
            told,
        };
        let _ = line_up.tell();
        line_up
    }

    /// No replicas, for a server that is not to run.
    pub(crate) fn empty(
        opener: Opener,
        standing: Standing,
        scaling: Scaling,
        treatment: Arc<Treatment>,
    ) -> Self {
        Self::of(standing, Arc::new(opener), Vec::new(), scaling, treatment, &[], None)
    }

    /// How calls are treated.
    pub(crate) fn treatment(&self) -> Arc<Treatment> {
        Arc::clone(&self.treatment)
    }

    /// The same, with calls treated as `settings` say.
    pub(crate) fn treated(&self, settings: &ServerSettings) -> Self {
        let treatment = Arc::new(Treatment::new(&self.opener.name, settings));
        let (standing, opener) = (self.standing, Arc::clone(&self.opener));
        let same = self.treatment.policy().balance == settings.policy.balance;
        let before = self.balancer.as_ref().filter(|_| same);
        let balancer = balancer(before, &self.replicas, &treatment);
        let (replicas, scaling) = (self.replicas.clone(), self.scaling.clone());
        let next = Self::of(standing, opener, replicas, scaling, treatment, &[], balancer);
        next.told.store(self.told.load(Ordering::Relaxed), Ordering::Relaxed);
        next
    }

    /// Whether a server that runs as this needs no change to be as `definition` says.
    pub(crate) fn is_of(&self, definition: &Definition) -> bool {
        self.runs_as(definition) && self.treatment.is_of(&definition.settings)
    }

    /// The same, but for how calls are treated.
    pub(crate) fn runs_as(&self, definition: &Definition) -> bool {
        self.opener.definition.runs_as(definition)
    }

    /// The same with `count` replicas, and those that are left out of it. Those that stay are the
    /// same ones.
    pub(crate) fn scaled(&self, count: usize, scaling: Scaling) -> (Self, Vec<Arc<Replica>>) {
        let mut replicas = self.replicas.clone();
        let surplus = replicas.split_off(count.min(replicas.len()));
        for number in replicas.len()..count {
            replicas.push(Replica::new(&self.opener, number));
        }
        let (standing, opener) = (self.standing, Arc::clone(&self.opener));
        let treatment = Arc::clone(&self.treatment);
        let balancer = balancer(self.balancer.as_ref(), &replicas, &treatment);
        let gates = &self.gates;
        let next = Self::of(standing, opener, replicas, scaling, treatment, gates, balancer);
        next.told.store(self.told.load(Ordering::Relaxed), Ordering::Relaxed);
        (next, surplus)
    }

    /// Starts every replica.
    pub(crate) fn start(&self, server: &Weak<Server>) {
        self.replicas.iter().for_each(|replica| replica.start(server));
    }

    /// Our own connection for a call, to the replica that is best for it. Those that have `failed` the
    /// call are the last resort.
    pub(crate) fn hop(&self, failed: &[usize]) -> Way {
        let now = Instant::now().into_std();
        let Some(balancer) = &self.balancer else {
            let ours = self.replicas.first().and_then(|replica| replica.ours());
            return ours.map_or(Way::None, |upstream| self.go(0, upstream, None, now));
        };
        let index = |number| self.replicas.iter().position(|one| one.number() == number);
        let mut exclude: Vec<usize> = failed.iter().copied().filter_map(index).collect();
        let (mut best, mut asked) = (Way::None, [false; REPLICAS_MAX]);
        loop {
            let mut ask = Ask::new(self.chance.next());
            ask.exclude = &exclude;
            let Some(picked) = balancer.pick(&ask, now) else { break };
            let index = picked.index();
            // Whoever was asked already is all that is left.
            if asked.get(index).is_none_or(|asked| *asked) {
                break;
            }
            asked[index] = true;
            exclude.push(index);
            // The balancer hears of an end a moment later.
            let Some(upstream) = self.replicas.get(index).and_then(|one| one.ours()) else {
                continue;
            };
            match (self.go(index, upstream, Some(picked), now), &best) {
                (Way::Go(hop), _) => return Way::Go(hop),
                // To wait at the best one is better than to be refused.
                (Way::Full(index), Way::None | Way::Refused(_)) => best = Way::Full(index),
                (refused @ Way::Refused(_), Way::None) => best = refused,
                _ => {}
            }
        }
        if let Way::None = best {
            let is_free = |one: &&Arc<Replica>| one.held(now).is_none() && !one.stands_by();
            let mut free = self.replicas.iter().filter(is_free);
            let ours = free.find_map(|replica| replica.ours());
            return ours.map_or(Way::None, |upstream| Way::Go(Hop::from(upstream)));
        }
        best
    }

    fn go(
        &self,
        index: usize,
        upstream: Arc<Upstream>,
        picked: Option<Picked>,
        now: std::time::Instant,
    ) -> Way {
        let replica = match self.gates.get(index).map(|gate| gate.try_enter(now)).transpose() {
            Ok(pass) => pass,
            Err(Shut::Full) => return Way::Full(index),
            Err(Shut::Open(rejected)) => {
                return Way::Refused(gate::refused(&self.opener.name, None, rejected));
            }
        };
        Way::Go(Hop { upstream, picked, passes: Passes { replica, tool: None } })
    }

    /// The replica whose turn it is among those that are well, or that are open at all: for sessions,
    /// which stay, so that their number counts and not what any of them costs now.
    pub(crate) fn next(&self) -> Option<&Arc<Replica>> {
        let well = |one: &&Arc<Replica>| {
            matches!(one.standing(), Ready | Degraded) && !one.opener.is_shunned()
        };
        let open = |one: &&Arc<Replica>| one.standing() != Away && !one.stands_by();
        let turn = match self.replicas.len() {
            0 | 1 => 0,
            _ => self.turn.fetch_add(1, Ordering::Relaxed),
        };
        let of = |wanted: &dyn Fn(&&Arc<Replica>) -> bool| {
            let count = self.replicas.iter().filter(wanted).count();
            self.replicas.iter().filter(wanted).nth(turn.checked_rem(count)?)
        };
        of(&well).or_else(|| of(&open))
    }

    /// The connection for a call that is bound to it, when it is its turn; or why calls are refused
    /// there.
    pub(crate) async fn lead(
        &self,
        upstream: Arc<Upstream>,
        ask: mcp_bulkhead::Ask,
    ) -> Result<Hop, Failure> {
        let number = upstream.replica();
        let index =
            number.and_then(|number| self.replicas.iter().position(|one| one.number() == number));
        let gate = match index {
            Some(index) => &self.gates[index],
            None => upstream.gate(&self.treatment),
        };
        let now = Instant::now().into_std();
        let replica = match gate.try_enter(now) {
            Ok(pass) => pass,
            Err(Shut::Full) => Box::pin(gate.enter(ask, &self.opener.name, None)).await?,
            Err(Shut::Open(rejected)) => {
                return Err(gate::refused(&self.opener.name, None, rejected));
            }
        };
        let picked =
            self.balancer.as_ref().zip(index).and_then(|(all, index)| all.given(index, now));
        Ok(Hop { upstream, picked, passes: Passes { replica: Some(replica), tool: None } })
    }

    /// The connection to a replica that was full, when it is the call's turn there. `None`: it is gone
    /// by then.
    pub(crate) async fn wait_at(
        &self,
        index: usize,
        ask: mcp_bulkhead::Ask,
    ) -> Result<Option<Hop>, Failure> {
        let Some(gate) = self.gates.get(index) else { return Ok(None) };
        let replica = gate.enter(ask, &self.opener.name, None).await?;
        let ours = self.replicas.get(index).and_then(|replica| replica.ours());
        let Some(upstream) = ours else { return Ok(None) };
        let now = Instant::now().into_std();
        let picked = self.balancer.as_ref().and_then(|all| all.given(index, now));
        Ok(Some(Hop { upstream, picked, passes: Passes { replica: Some(replica), tool: None } }))
    }

    /// What stands before each replica, in their order.
    pub(crate) fn gates(&self) -> &[Arc<Gate>] {
        &self.gates
    }

    /// What stands before the replica of this number.
    pub(crate) fn gate(&self, number: usize) -> Option<&Arc<Gate>> {
        let index = self.replicas.iter().position(|replica| replica.number() == number)?;
        self.gates.get(index)
    }

    /// Tells the balancer how the replicas are; sessions do not stay where they are not well off. What
    /// that changes of who serves, and when to look again.
    pub(crate) fn tell(&self) -> (Vec<Change>, Option<std::time::Instant>) {
        let Some(balancer) = &self.balancer else { return Default::default() };
        let now = Instant::now().into_std();
        let states: Vec<_> = self.replicas.iter().map(|replica| replica.standing()).collect();
        let refuses: Vec<_> = self.gates.iter().map(|gate| gate.is_open(now)).collect();
        let is_well = |index: usize| matches!(states[index], Ready | Degraded) && !refuses[index];
        let health = |(index, replica): (usize, &Arc<Replica>)| {
            let health = match replica.held(now) {
                Some(_) => Health::Drained,
                None if is_well(index) => Health::Up,
                None => Health::Down,
            };
            (replica.number(), health)
        };
        let told = self.duty.as_ref().map(|duty| {
            let told = duty.tell(self.replicas.iter().enumerate().map(health), now);
            (told, duty.active())
        });
        let (news, active) = told.unwrap_or_default();
        let serves = |number: usize| active.is_empty() || active.contains(&number);
        let well = (0..states.len()).filter(|index| is_well(*index)).count();
        for (index, replica) in self.replicas.iter().enumerate() {
            let stands_by = !serves(replica.number());
            replica.stand_by(stands_by);
            balancer.set_state(index, if stands_by { Away } else { states[index] }, now);
            replica.opener.shun(stands_by || (well > 0 && !is_well(index)));
        }
        news
    }

    /// Which replicas serve, where not all do.
    pub(crate) fn duty(&self) -> Option<&Duty> {
        self.duty.as_ref()
    }

    /// The replica of this number.
    pub(crate) fn replica(&self, number: usize) -> Option<&Arc<Replica>> {
        self.replicas.iter().find(|replica| replica.number() == number)
    }

    /// Our own connections that are open.
    pub(crate) fn open(&self) -> impl Iterator<Item = Arc<Upstream>> {
        self.replicas.iter().filter_map(|replica| replica.ours())
    }

    /// The best that there is to hope for where no replica is ready.
    pub(crate) fn prospect(&self) -> Option<Prospect> {
        let mut prospects = self.replicas.iter().map(|replica| replica.prospect());
        let first = prospects.next()?;
        Some(prospects.fold(first, Prospect::or))
    }

    /// Waits until every replica is ready, or has failed to become so: whether one is, or why none.
    pub(crate) async fn settled(&self) -> Result<(), Failure> {
        let mut settling = JoinSet::new();
        for replica in &self.replicas {
            let replica = Arc::clone(replica);
            settling.spawn(async move {
                if let Some(kept) = replica.supervised() {
                    let _ = kept.ready().await;
                }
            });
        }
        settling.join_all().await;
        if self.replicas.is_empty() || self.open().next().is_some() {
            return Ok(());
        }
        match self.prospect() {
            Some(
                Prospect::None(failure, _)
                | Prospect::Idle(failure)
                | Prospect::Later(_, Some(failure)),
            ) => Err(failure),
            _ => Ok(()),
        }
    }

    /// Whether the lists may be other ones than before; says so once.
    pub(crate) fn is_news(&self) -> bool {
        !self.told.swap(true, Ordering::Relaxed)
    }

    /// No call is to go this way any more.
    pub(crate) fn retire(&self) {
        self.opener.retire();
        self.replicas.iter().for_each(|replica| replica.opener.retire());
    }
}

/// What chooses between several replicas. What `before` knows of those that stay is known still.
fn balancer(
    before: Option<&Balancer>,
    replicas: &[Arc<Replica>],
    treatment: &Treatment,
) -> Option<Balancer> {
    if replicas.len() < 2 {
        return None;
    }
    let now = Instant::now().into_std();
    let mut config = mcp_balance::Config::default();
    config.strategy = treatment.policy().balance;
    let new = || Balancer::new(config, now).ok();
    let before = before.cloned().or_else(new)?;
    before.changed(replicas.iter().map(|replica| Spec::new(replica.number().to_string())), now).ok()
}

impl Prospect {
    /// The better of the two.
    fn or(self, other: Self) -> Self {
        if other.rank() < self.rank() { other } else { self }
    }

    /// What comes first, and then when.
    fn rank(&self) -> (u8, Option<std::time::Instant>) {
        match self {
            Self::Soon => (0, None),
            Self::Later(next, _) => (1, Some(*next)),
            Self::Idle(_) => (2, None),
            Self::None(_, Some(next)) => (3, Some(*next)),
            Self::None(_, None) => (4, None),
        }
    }
}

impl Current {
    pub(crate) fn of(line_up: Arc<LineUp>) -> Self {
        Self(line_up)
    }
}

impl Deref for Current {
    type Target = ServerSettings;

    fn deref(&self) -> &ServerSettings {
        &self.0.opener.definition.settings
    }
}
