//! What a server consists of at one moment.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use tokio::task::JoinSet;

use crate::config::{Scaling, ServerSettings};
use crate::failure::Failure;
use crate::opener::Opener;
use crate::pick::{Candidate, Pick};
use crate::replica::{Prospect, Replica};
use crate::server::Server;
use crate::upstream::Upstream;

/// What a server consists of at one moment. It is replaced as a whole, and never changed.
#[derive(Debug)]
pub(crate) struct LineUp {
    pub(crate) standing: Standing,
    pub(crate) opener: Arc<Opener>,
    pub(crate) replicas: Vec<Arc<Replica>>,
    /// How many replicas there may be: as the definition says, or somebody after it.
    pub(crate) scaling: Scaling,
    /// Whether it was told that the lists are now those of this line-up.
    told: AtomicBool,
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
        let replicas = (0..count).map(|number| Replica::new(&opener, number)).collect();
        Self { standing, opener: Arc::new(opener), replicas, scaling, told: AtomicBool::new(false) }
    }

    /// No replicas, for a server that is not to run.
    pub(crate) fn empty(opener: Opener, standing: Standing, scaling: Scaling) -> Self {
        let (opener, replicas) = (Arc::new(opener), Vec::new());
        Self { standing, opener, replicas, scaling, told: AtomicBool::new(false) }
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
        let told = AtomicBool::new(self.told.load(Ordering::Relaxed));
        (Self { standing, opener, replicas, scaling, told }, surplus)
    }

    /// Starts every replica.
    pub(crate) fn start(&self, server: &Weak<Server>) {
        self.replicas.iter().for_each(|replica| replica.start(server));
    }

    /// Our own connection to the replica that is next, if any is ready.
    pub(crate) fn pick(&self, pick: &dyn Pick) -> Option<Arc<Upstream>> {
        match &self.replicas[..] {
            [only] => only.ours(),
            _ => self.next(pick)?.ours(),
        }
    }

    /// The replica that is next, if any is ready.
    pub(crate) fn next(&self, pick: &dyn Pick) -> Option<&Arc<Replica>> {
        let mut candidates: Vec<Candidate> =
            self.replicas.iter().map(|replica| replica.candidate()).collect();
        let healthy =
            |candidate: &Candidate, replica: &Replica| candidate.ready && replica.is_healthy();
        let mut each = candidates.iter().zip(&self.replicas);
        // An unhealthy one may still answer, which is better than none that does.
        if each.any(|(candidate, replica)| healthy(candidate, replica)) {
            for (candidate, replica) in candidates.iter_mut().zip(&self.replicas) {
                candidate.ready = healthy(candidate, replica);
            }
        }
        self.replicas.get(pick.pick(&candidates)?)
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

impl Prospect {
    /// The better of the two.
    fn or(self, other: Self) -> Self {
        if other.rank() < self.rank() { other } else { self }
    }

    /// What comes first, and then when.
    fn rank(&self) -> (u8, Option<Instant>) {
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
