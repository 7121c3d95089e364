//! A fleet of real servers under a killer, while clients call: what they see, and what it costs.
//!
//! ```text
//!   clients ─── calls whose answers are known ──▶ mcp-manager ──▶ npm and PyPI servers
//!                                                     │              ▲
//!   vitals  ─── memory, descriptors ──────────────────┘              │ SIGKILL, one a second
//!   killer  ─────────────────────────────────────────────────────────┘
//! ```
//!
//! `cargo xtask soak` runs it for ten minutes, the gate for some seconds. An answer is right, wrong, or
//! an error that says so; only wrong ones, calls without an end, and what grows or is left behind make
//! it fail. The share of right answers is printed: how high it can be depends on what is killed.

mod calls;
mod killer;
mod vitals;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::census::{self, Marker, descendants};
use crate::gateway::Gateway;
use crate::servers::{fleet_with, managed};
use crate::wait::{PATIENCE, see, until};
use crate::{peers, wait};

pub use calls::Told;

/// How long, and which random numbers.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the arguments of one program")]
pub struct Options {
    /// How long the killer is at work.
    pub time: Duration,
    /// Where its random numbers begin.
    pub seed: u64,
}

/// What was seen.
#[derive(Debug)]
#[non_exhaustive]
pub struct Report {
    /// What the clients were told.
    pub told: Told,
    /// Processes that were killed.
    pub kills: u64,
    /// How much memory the manager had, in MiB: early, and at the end.
    pub memory: (f64, f64),
    /// How many descriptors.
    pub files: (f64, f64),
    /// Zombies below the manager when the killer had stopped.
    pub zombies: usize,
    /// Processes that outlived it.
    pub left: usize,
    /// Whether it ended with code 0.
    pub ended_well: bool,
}

/// Memory and descriptors may grow by this between the beginning and the end: caches fill up.
const MEMORY_MARGIN_MIB: f64 = 6.0;
const FILES_MARGIN: f64 = 12.0;

/// Runs for `options.time`.
///
/// # Panics
/// When the fleet does not come up, or never comes to rest again.
pub fn run(options: &Options) -> Report {
    let marker = Marker::new("soak");
    let remote = killer::Remote::start(&marker);
    let gateway = Gateway::start_with(&config(&remote.url()), |command| {
        command.env(census::VARIABLE, marker.text());
    });
    all_ready(&gateway);
    let pid = gateway.process().pid();

    let (stop, told) = (Arc::new(AtomicBool::new(false)), Arc::new(calls::Book::default()));
    let url = gateway.url().to_owned();
    let (kills, vitals) = thread::scope(|scope| {
        for number in 0..calls::CLIENTS {
            let (url, told, stop) = (&url, &told, &stop);
            scope.spawn(move || calls::client(number, url, told, stop));
        }
        let stopped = &stop;
        let remote = &remote;
        let killing = scope.spawn(move || killer::kill(pid, remote, options.seed, stopped));
        let watching = scope.spawn(move || vitals::watch(pid, stopped));
        wait::pause(options.time);
        stop.store(true, Ordering::Relaxed);
        (killing.join().expect("the killer"), watching.join().expect("the vitals"))
    });

    // A fleet that is left alone comes back whole.
    all_ready(&gateway);
    let zombies = until(PATIENCE, || (zombies_below(pid) == 0).then_some(0));
    let zombies = zombies.unwrap_or_else(|| zombies_below(pid));
    gateway.process().signal(Signal::TERM);
    let status = gateway.process().wait(PATIENCE);
    drop(remote);
    let left = until(PATIENCE, || marker.processes().is_empty().then_some(0));
    Report {
        told: told.told(),
        kills,
        memory: vitals.memory(),
        files: vitals.files(),
        zombies,
        left: left.unwrap_or_else(|| marker.processes().len()),
        ended_well: status.is_some_and(|status| status.success()),
    }
}

impl Report {
    /// One line for each thing that must hold, ending in `ok` or `short`; whether all do.
    pub fn verdicts(&self) -> (Vec<String>, bool) {
        let rows = [
            ("answers", self.told.right as f64, ">0", self.told.right > 0),
            ("wrong-answers", self.told.wrong as f64, "=0", self.told.wrong == 0),
            ("hangs", self.told.hangs as f64, "=0", self.told.hangs == 0),
            ("zombies", self.zombies as f64, "=0", self.zombies == 0),
            ("left-behind", self.left as f64, "=0", self.left == 0),
            grown("memory-mib", self.memory, MEMORY_MARGIN_MIB, "+<=6"),
            grown("descriptors", self.files, FILES_MARGIN, "+<=12"),
        ];
        let word = |met: bool| if met { "ok" } else { "short" };
        let line = |(name, value, target, met): &(&str, f64, &str, bool)| {
            format!("soak/{name} {value:.1} {target} {}", word(*met))
        };
        let mut lines: Vec<String> = rows.iter().map(line).collect();
        lines.push(format!("soak/ended-well {} =true {}", self.ended_well, word(self.ended_well)));
        (lines, self.ended_well && rows.iter().all(|(_, _, _, met)| *met))
    }
}

fn grown(
    name: &'static str,
    (early, late): (f64, f64),
    margin: f64,
    target: &'static str,
) -> (&'static str, f64, &'static str, bool) {
    (name, late - early, target, late - early <= margin)
}

/// Node and Python, over stdio and HTTP, one and several replicas.
fn config(remote: &str) -> serde_json::Value {
    let everything = peers::as_config(&peers::server_everything());
    let time = peers::as_config(&peers::server_time());
    // Whatever the killer does is no reason to give up, nor to wait: nobody here is in a crash loop.
    let stubborn = |replicas: usize| json!({ "replicas": replicas, "restartsMax": 1000, "restartPauseMax": "1s" });
    fleet_with(
        json!({ "callTimeout": "10s", "healthInterval": "2s" }),
        [
            ("everything", managed(everything, stubborn(2))),
            ("time", managed(time, stubborn(2))),
            ("remote", json!({ "url": remote })),
        ],
    )
}

fn all_ready(gateway: &Gateway) {
    see(
        PATIENCE * 3,
        || gateway.status(),
        |status| {
            let servers = status["servers"].as_array().cloned().unwrap_or_default();
            let whole = |server: &serde_json::Value| {
                server["state"] == "ready" && server["replicas_ready"] == server["replicas_wanted"]
            };
            !servers.is_empty() && servers.iter().all(whole)
        },
    );
}

fn zombies_below(pid: u32) -> usize {
    descendants(pid).into_iter().filter(|pid| !census::is_alive(*pid)).count()
}
