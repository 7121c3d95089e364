//! How servers and their replicas are doing, as others see it.

use std::time::Instant;

use mcp_health::Report;
use mcp_supervisor::{Enforced, Stats, Usage};
use mcp_wire::Era;

use crate::failure::Failure;
use crate::hold::Hold;

/// How a server is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It stays off, because the configuration says so.
    Disabled,
    /// It stays off until it is started, because somebody has stopped it.
    Stopped,
    /// Its first replica is being opened.
    Starting,
    /// At least one replica answers.
    Ready {
        /// How many do.
        replicas: usize,
        /// How many there are.
        of: usize,
        /// The era that it speaks to us.
        era: Era,
    },
    /// No replica runs, and the next call starts them: they have ended in a way after which their
    /// policy does not have them started again.
    Idle,
    /// No replica answers, and they are started again, after a pause if need be.
    Restarting {
        /// Why the last one ended, or did not start.
        failure: Failure,
    },
    /// No replica answers, and none is started until somebody says so.
    Failed {
        /// Why the last one ended, or did not start.
        failure: Failure,
    },
}

impl State {
    /// One word: `disabled`, `stopped`, `starting`, `ready`, `idle`, `restarting`, `failed`. The
    /// words are stable.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Ready { .. } => "ready",
            Self::Idle => "idle",
            Self::Restarting { .. } => "restarting",
            Self::Failed { .. } => "failed",
        }
    }

    /// Why no replica answers, if one should.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Restarting { failure } | Self::Failed { failure } => Some(failure),
            _ => None,
        }
    }
}

/// How one replica is doing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReplicaStatus {
    /// Its number. Those of a server differ.
    pub number: usize,
    /// One word: `stopped`, `starting`, `ready`, `stopping`, `restarting` (it ended or did not
    /// start, and waits for its next attempt), `failed` (there is none).
    pub state: &'static str,
    /// Its process, if it has one now.
    pub pid: Option<u32>,
    /// Where it is, if it is not started here; without what is secret in it.
    pub url: Option<String>,
    /// How often it was started again by itself.
    pub restarts: u64,
    /// The calls that it is at work on.
    pub in_flight: usize,
    /// When its state began.
    pub since: Option<Instant>,
    /// When it is started again, if it waits for that.
    pub next_attempt: Option<Instant>,
    /// Why it ended last, or did not start.
    pub last_error: Option<Failure>,
    /// What is known of its health, unless nothing asks for it.
    pub health: Option<Report>,
    /// Why it gets no calls, if somebody wants it so.
    pub hold: Option<Hold>,
    /// Whether it stands by: others serve, and it gets calls when they fail.
    pub standby: bool,
    /// Whether calls to it are refused, and why; `None` where it has no breaker.
    pub circuit: Option<CircuitStatus>,
    /// How many calls it may have, and who waits; `None` where nothing limits them.
    pub room: Option<mcp_bulkhead::Stats>,
    /// What its process tree uses, if it has one now and the system tells. Read when asked for.
    pub usage: Option<Usage>,
    /// What enforces the limits of its processes.
    pub limits: Vec<Enforced>,
}

/// How a breaker is doing.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CircuitStatus {
    /// Its state, since when, and why.
    pub view: mcp_breaker::View,
    /// What it has counted.
    pub stats: mcp_breaker::Stats,
}

/// How what stands before one tool is doing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ToolStatus {
    /// Its name, as its server has it.
    pub tool: String,
    /// Whether calls of it are refused, and why; `None` where it has no breaker.
    pub circuit: Option<CircuitStatus>,
    /// How many calls of it there may be, and who waits; `None` where nothing limits them.
    pub room: Option<mcp_bulkhead::Stats>,
}

/// What became of a server's replicas so far, those that are gone among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// How often one became ready.
    pub started: u64,
    /// How often one was ended because somebody said so.
    pub stopped: u64,
    /// How often one was started again by itself.
    pub restarted: u64,
    /// How often one did not become ready, or ended otherwise than it should.
    pub failed: u64,
}

impl Totals {
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            started: self.started + other.started,
            stopped: self.stopped + other.stopped,
            restarted: self.restarted + other.restarted,
            failed: self.failed + other.failed,
        }
    }

    /// What came after `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            started: self.started - before.started,
            stopped: self.stopped - before.stopped,
            restarted: self.restarted - before.restarted,
            failed: self.failed - before.failed,
        }
    }
}

impl From<Stats> for Totals {
    fn from(stats: Stats) -> Self {
        let Stats { started, stopped, restarted, failed, .. } = stats;
        Self { started, stopped, restarted, failed }
    }
}
