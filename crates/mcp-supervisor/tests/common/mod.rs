//! The processes of one test, found by a mark in their environment, whoever their parent is.

#![allow(dead_code, reason = "each test file uses its own part of this one")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mcp_supervisor::{Process, Shim, Spec, spawn};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{self, Instant};

/// Long enough for any machine; a test that fails takes this long, one that passes does not.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A tree with a branch that left the session, one that also forked twice and lost its parent, and
/// one that stayed.
pub(crate) const GROVE: &str = "setsid sh -c 'sleep 1000; :' &
    (setsid sh -c 'sleep 1000 & exit' &)
    sh -c 'sleep 1000; :'
    :";
pub(crate) const GROVE_SIZE: usize = 6;

/// The same, deaf to SIGTERM.
pub(crate) fn deaf_grove() -> String {
    format!("trap '' TERM\n{GROVE}")
}

pub(crate) fn shim() -> Shim {
    Shim::new(env!("CARGO_BIN_EXE_mcp-supervisor-shim"))
}

pub(crate) struct Mark {
    text: String,
}

impl Mark {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self { text: format!("MARK=test-{}-{count}-", std::process::id()) }
    }

    /// One that another process has made.
    pub(crate) fn of(text: &str) -> Self {
        Self { text: text.to_owned() }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// `sh` with this script and short graces, marked.
    pub(crate) fn sh(&self, script: &str) -> Spec {
        let mut spec = Spec::new("sh");
        spec.args = vec!["-c".into(), script.into()];
        let (name, value) = self.text.split_once('=').expect("a variable");
        spec.env.insert(name.into(), value.into());
        spec.stdin_grace = Duration::from_millis(50);
        spec.term_grace = Duration::from_millis(300);
        spec
    }

    /// The same, behind a shim.
    pub(crate) fn shimmed(&self, script: &str) -> Spec {
        let mut spec = self.sh(script);
        spec.shim = Some(shim());
        spec
    }

    /// Spawns `spec` and waits until there are `size` processes, its shim not counted.
    pub(crate) async fn plant(&self, spec: &Spec, size: usize) -> Process {
        let process = spawn(spec).await.expect("it starts");
        self.grown(size + usize::from(spec.shim.is_some())).await;
        process
    }

    pub(crate) async fn grown(&self, size: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.alive().len() < size {
            assert!(Instant::now() < deadline, "only {:?} of {size}", self.described());
            time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Who is alive. A zombie has no environment, and is not found.
    pub(crate) fn alive(&self) -> BTreeSet<i32> {
        let all = fs::read_dir("/proc").expect("/proc").flatten();
        let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let marked = |pid: &i32| {
            let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environ.split(|byte| *byte == 0).any(|variable| variable == self.text.as_bytes())
        };
        pids.filter(marked).collect()
    }

    /// Who is alive right now: nobody.
    pub(crate) fn assert_gone(&self) {
        assert!(self.alive().is_empty(), "left alive: {:?}", self.described());
    }

    /// Waits for the last one to end.
    pub(crate) async fn gone(&self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.alive().is_empty() {
            assert!(Instant::now() < deadline, "left alive: {:?}", self.described());
            time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn described(&self) -> Vec<String> {
        let stat = |pid| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        self.alive().into_iter().map(|pid| stat(pid).chars().take(60).collect()).collect()
    }
}

impl Drop for Mark {
    /// A test that fails leaves nothing behind either.
    fn drop(&mut self) {
        while !self.alive().is_empty() {
            self.alive().into_iter().for_each(|pid| signal(pid, Signal::KILL));
        }
    }
}

pub(crate) fn signal(pid: i32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(pid).expect("a pid"), signal);
}

/// Whether the pid is in use, be it by a zombie.
pub(crate) fn exists(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// How many descriptors this process holds.
pub(crate) fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").expect("/proc").count()
}

/// Children of this process, in any state, zombies among them.
pub(crate) fn children() -> usize {
    let threads = fs::read_dir("/proc/self/task").expect("/proc").flatten();
    let lists = threads.map(|task| fs::read_to_string(task.path().join("children")));
    lists.map(|list| list.unwrap_or_default().split_whitespace().count()).sum()
}

/// What `future` gives, and how long it took.
pub(crate) async fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    let value = time::timeout(PATIENCE, future).await.expect("it takes forever");
    (value, start.elapsed())
}
