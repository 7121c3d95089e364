//! What it costs to be supervised: from the death of a process to its successor, and five hundred
//! that do nothing.
//!
//! *Respawn*: from SIGKILL until the supervisor hands the next one out, with no pause. The floor does
//! no more than it must: kill, wait and spawn of the standard library, with the same three pipes.
//! Both take turns. Behind a shim, as the manager has it, it is from the death of the program until
//! the next one has said its first line, beside the same without supervisor and shim.
//!
//! *Idle*: what the supervisor's own memory grows by with five hundred behind shims, and its
//! processor time over ten seconds in which nothing happens. A shim is a process of its own; what
//! one has for itself is printed as well.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark speaks and times")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use mcp_supervisor::{Phase, Policy, Process, Program, Shim, Spec, Supervised, supervise};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use tokio::io::AsyncBufReadExt as _;
use tokio::runtime::Builder;

const SHIM: &str = "__shim";
const ROUNDS: usize = 201;
const CHILDREN: usize = 500;
const IDLE: Duration = Duration::from_secs(10);
/// How long five hundred shims may take to start what they are for.
const SETTLED: Duration = Duration::from_secs(5);

const RESPAWN_MS_MAX: f64 = 2.0;
const RESPAWN_OVER_FLOOR: f64 = 4.0;
const RSS_MB_MAX: f64 = 20.0;
const CPU_PERCENT_MAX: f64 = 1.0;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).peekable();
    if args.next_if(|arg| arg == SHIM).is_some() {
        return mcp_supervisor::shim::main(args);
    }
    raise_open_files();
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut verdicts = Vec::new();
    runtime.block_on(async {
        respawn(&mut verdicts).await;
        respawn_behind_a_shim().await;
        idle(&mut verdicts).await;
    });
    println!();
    for verdict in verdicts {
        println!("{verdict}");
    }
    ExitCode::SUCCESS
}

async fn respawn(verdicts: &mut Vec<String>) {
    let supervised = supervised(sleeper(), |_| std::future::ready(Ok(())));
    let mut child = spawned("sleep", &["1000"]);
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        child.kill().expect("it is ours");
        child.wait().expect("it was killed");
        child = spawned("sleep", &["1000"]);
        floor.push(millis(start));

        let process = supervised.ready().await.expect("it runs");
        let start = Instant::now();
        killed(process.pid());
        successor(&supervised, process.pid()).await;
        ours.push(millis(start));
    }
    child.kill().and_then(|()| child.wait()).expect("it is ours");
    supervised.stop().await;
    let ([ours, ours_p99], [floor, floor_p99]) = (quantiles(ours), quantiles(floor));
    println!(
        "death to respawned: p50 {ours:.2} ms (floor {floor:.2}), p99 {ours_p99:.2} ms (floor {floor_p99:.2})"
    );
    verdicts.push(verdict("respawn-p50-ms", ours, RESPAWN_MS_MAX));
    verdicts.push(verdict("respawn-over-floor", ours / floor, RESPAWN_OVER_FLOOR));
}

async fn respawn_behind_a_shim() {
    let script = ["-c", "echo up; exec sleep 1000"];
    let mut spec = Spec::new("sh");
    spec.args = script.map(Into::into).into();
    spec.shim = Some(Shim::of_this_program([SHIM]));
    let supervised = supervised(spec, says_up);
    let mut child = spawned("sh", &script);
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        child.kill().expect("it is ours");
        child.wait().expect("it was killed");
        child = spawned("sh", &script);
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut String::new()).expect("it says so");
        floor.push(millis(start));

        let shim = supervised.ready().await.expect("it runs").pid();
        let start = Instant::now();
        child_of(shim).into_iter().for_each(killed);
        successor(&supervised, shim).await;
        ours.push(millis(start));
    }
    child.kill().and_then(|()| child.wait()).expect("it is ours");
    supervised.stop().await;
    let ([ours, ours_p99], [floor, floor_p99]) = (quantiles(ours), quantiles(floor));
    println!(
        "the same behind a shim, to the first line of a shell: p50 {ours:.2} ms (floor {floor:.2}), p99 {ours_p99:.2} ms (floor {floor_p99:.2})"
    );
}

async fn idle(verdicts: &mut Vec<String>) {
    let mut spec = Spec::new("cat");
    spec.shim = Some(Shim::of_this_program([SHIM]));
    let before = rss_kib("self");
    let mut all = Vec::with_capacity(CHILDREN);
    for _ in 0..CHILDREN {
        let supervised = supervised(spec.clone(), |_| std::future::ready(Ok(())));
        all.push(supervised);
    }
    for supervised in &all {
        supervised.ready().await.expect("it runs");
    }
    let shim = all[0].running().expect("it runs").pid();
    tokio::time::sleep(SETTLED).await;
    let busy = cpu();
    tokio::time::sleep(IDLE).await;
    let busy = (cpu() - busy).as_secs_f64() / IDLE.as_secs_f64() * 100.0;
    let grown = (rss_kib("self") - before) / 1024.0;
    println!(
        "{CHILDREN} idle: {grown:.1} MB more, {busy:.3} % of a processor; a shim has {:.0} KiB for itself",
        private_kib(shim)
    );
    for supervised in &all {
        supervised.stop().await;
    }
    verdicts.push(verdict("idle-500-mb", grown, RSS_MB_MAX));
    verdicts.push(verdict("idle-500-cpu-percent", busy, CPU_PERCENT_MAX));
}

fn sleeper() -> Spec {
    let mut spec = Spec::new("sleep");
    spec.args = vec!["1000".into()];
    spec
}

/// Whatever has run at all was stable: no pauses.
fn supervised<R, F>(spec: Spec, check: R) -> Supervised<Program<R>>
where
    R: Fn(Process) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    let mut policy = Policy::default();
    (policy.stable_after, policy.restarts_max) = (Duration::from_nanos(1), None);
    let supervised = supervise(policy, Program::new(spec, check)).expect("a valid policy");
    supervised.start();
    supervised
}

/// Returns when there is another one than `old`.
async fn successor<R, F>(supervised: &Supervised<Program<R>>, old: u32)
where
    R: Fn(Process) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    let is_next =
        |running: Option<std::sync::Arc<Process>>| running.is_some_and(|next| next.pid() != old);
    let mut watch = supervised.watch();
    let next =
        watch.wait_for(|status| status.phase == Phase::Running && is_next(supervised.running()));
    next.await.expect("it is supervised");
}

async fn says_up(process: Process) -> Result<(), String> {
    let stdout = process.take_stdout().ok_or("its stdout is taken")?;
    let mut line = String::new();
    let read = tokio::io::BufReader::new(stdout).read_line(&mut line).await;
    read.map(|_| ()).map_err(|error| error.to_string())
}

fn spawned(program: &str, args: &[&str]) -> Child {
    let mut command = Command::new(program);
    command.args(args).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("it starts")
}

fn killed(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid");
    kill_process(pid, Signal::KILL).expect("it is ours");
}

fn child_of(shim: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{shim}/task/{shim}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// Five hundred have four descriptors each, and many a shell begins with 1024.
fn raise_open_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    raised.expect("up to the hard limit anyone may");
}

fn rss_kib(pid: &str) -> f64 {
    field(&format!("/proc/{pid}/status"), "VmRSS:")
}

fn private_kib(pid: u32) -> f64 {
    let rollup = format!("/proc/{pid}/smaps_rollup");
    field(&rollup, "Private_Clean:") + field(&rollup, "Private_Dirty:")
}

fn field(file: &str, name: &str) -> f64 {
    let text = fs::read_to_string(file).expect("/proc");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("the field");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// The processor time of this process.
fn cpu() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().expect("not negative")
}

fn millis(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

/// The median, and the 99th percentile.
fn quantiles(mut values: Vec<f64>) -> [f64; 2] {
    values.sort_by(f64::total_cmp);
    [values[values.len() / 2], values[values.len() * 99 / 100]]
}

fn verdict(case: &str, value: f64, most: f64) -> String {
    let word = if value <= most { "ok" } else { "short" };
    format!("supervisor/{case} {value:.2} <={most} {word}")
}
