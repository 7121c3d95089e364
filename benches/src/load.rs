//! The load program: sessions that stay open, called in slices, one target after the other.

use std::time::Duration;

use tokio::runtime::Runtime;

use crate::clock::now;
use crate::histogram::Histogram;
use crate::proc;
use crate::session::{Plan, Session};
use crate::targets::Target;

/// The sessions of one target and the figures of its slices.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub(crate) target: &'a Target,
    children: Vec<u32>,
    sessions: Vec<Session>,
    pub(crate) slices: Vec<Slice>,
    pub(crate) latencies: Histogram,
}

/// What one slice showed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slice {
    pub(crate) calls: u64,
    pub(crate) calls_per_sec: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// Processor time of the process under test.
    pub(crate) cpu: Duration,
    /// Processor time of its children.
    pub(crate) children_cpu: Duration,
    /// Processor time of the load program.
    pub(crate) load_cpu: Duration,
}

impl<'a> Line<'a> {
    /// Opens `count` sessions with `target`.
    pub(crate) fn open(
        runtime: &Runtime,
        target: &'a Target,
        plan: &Plan,
        count: usize,
    ) -> Result<Self, String> {
        let sessions = runtime.block_on(async {
            let mut sessions = Vec::with_capacity(count);
            for number in 0..count {
                sessions.push(Session::open(plan, number).await?);
            }
            Ok::<_, String>(sessions)
        })?;
        let children = proc::descendants(target.process.pid());
        let latencies = Histogram::new();
        Ok(Self { target, children, sessions, slices: Vec::new(), latencies })
    }

    /// Drives all sessions for `time`; the figures are only kept if `counted`.
    pub(crate) fn slice(
        &mut self,
        runtime: &Runtime,
        time: Duration,
        counted: bool,
    ) -> Result<(), String> {
        let before = self.cpu();
        let start = now();
        let sessions = std::mem::take(&mut self.sessions);
        let (sessions, latencies) = runtime.block_on(drive(sessions, start + time))?;
        let elapsed = now() - start;
        let after = self.cpu();
        self.sessions = sessions;
        if counted {
            self.latencies.add(&latencies);
            self.slices.push(Slice {
                calls: latencies.count(),
                calls_per_sec: latencies.count() as f64 / elapsed.as_secs_f64(),
                p50: latencies.quantile(0.5),
                p99: latencies.quantile(0.99),
                cpu: after[0].saturating_sub(before[0]),
                children_cpu: after[1].saturating_sub(before[1]),
                load_cpu: after[2].saturating_sub(before[2]),
            });
        }
        Ok(())
    }

    fn cpu(&self) -> [Duration; 3] {
        let children = self.children.iter().map(|pid| proc::cpu(*pid)).sum();
        [proc::cpu(self.target.process.pid()), children, proc::cpu(std::process::id())]
    }
}

/// How much of the machine went to work that is none of this benchmark's.
#[derive(Debug)]
pub(crate) struct Others {
    ours: Duration,
    busy: Duration,
    all: Duration,
}

impl Others {
    /// Counts from now on.
    pub(crate) fn since(lines: &[Line<'_>]) -> Self {
        let (busy, all) = proc::machine();
        Self { ours: Self::ours(lines), busy, all }
    }

    /// The share of all processors, 0 to 1.
    pub(crate) fn share(&self, lines: &[Line<'_>]) -> f64 {
        let (busy, all) = proc::machine();
        let ours = Self::ours(lines).saturating_sub(self.ours);
        let others = busy.saturating_sub(self.busy).saturating_sub(ours);
        others.as_secs_f64() / all.saturating_sub(self.all).as_secs_f64().max(f64::EPSILON)
    }

    fn ours(lines: &[Line<'_>]) -> Duration {
        let targets = lines.iter().map(|line| line.cpu());
        targets.map(|[own, children, _]| own + children).sum::<Duration>()
            + proc::cpu(std::process::id())
    }
}

async fn drive(
    sessions: Vec<Session>,
    until: std::time::Instant,
) -> Result<(Vec<Session>, Histogram), String> {
    let running: Vec<_> =
        sessions.into_iter().map(|session| tokio::spawn(session.run(until))).collect();
    let (mut sessions, mut latencies) = (Vec::new(), Histogram::new());
    for session in running {
        let (session, own) = session.await.map_err(|error| error.to_string())??;
        sessions.push(session);
        latencies.add(&own);
    }
    Ok((sessions, latencies))
}
