//! A tree that uses too much is ended, and says why; its neighbours do not notice.
#![cfg(all(feature = "tokio", feature = "shim", target_os = "linux"))]

mod common;

use std::fs::{self, File};
use std::time::Duration;

use common::{Mark, PATIENCE, timed};
use mcp_supervisor::{
    Cause, Cgroups, Exit, Limits, Means, Process, SpawnError, SpawnErrorKind, Spec, spawn,
};
use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::time;

/// Tells this file, run as a program, to be one that leaks descriptors.
const ROLE: &str = "LEAKS_DESCRIPTORS";

/// Buffers 300 MB that have no end of a line.
const HOG: &str = "head -c 300000000 /dev/zero | tail; :";

/// Does nothing as a test. As a program, opens files until it may not, and stays.
#[tokio::test]
async fn leak() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let mut leaked = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        leaked.push(file);
    }
    std::future::pending().await
}

fn limited(mark: &Mark, script: &str, set: impl Fn(&mut Limits)) -> Spec {
    let mut spec = mark.shimmed(script);
    set(&mut spec.limits);
    spec
}

/// A neighbour that answers. It has limits too, so that it is read as often.
struct Neighbour {
    process: Process,
}

impl Neighbour {
    async fn new(mark: &Mark) -> Self {
        let spec = limited(mark, "exec cat", |limits| limits.processes = Some(5));
        Self { process: spawn(&spec).await.expect("it starts") }
    }

    async fn answers(self) {
        let mut stdin = self.process.take_stdin().expect("not taken");
        stdin.write_all(b"still here\n").await.expect("it reads");
        let mut stdout = BufReader::new(self.process.take_stdout().expect("not taken"));
        let mut line = String::new();
        time::timeout(PATIENCE, stdout.read_line(&mut line)).await.expect("in time").expect("it");
        assert_eq!(line, "still here\n");
        assert_eq!(self.process.exit(), None);
        drop(stdin);
        assert_eq!(self.process.stop().await, Exit::Code(0));
        assert_eq!(self.process.cause(), Some(Cause::Stop));
    }
}

#[tokio::test]
async fn memory() {
    let mark = Mark::new();
    let neighbour = Neighbour::new(&mark).await;
    for shim in [true, false] {
        let mut spec = limited(&mark, HOG, |limits| limits.memory_bytes = Some(64 << 20));
        spec.shim = spec.shim.filter(|_| shim);
        let process = spawn(&spec).await.unwrap();
        assert_eq!(process.enforced()[0].by, Means::Watched);
        // The pipe is full of what nobody reads, if it comes to that.
        let (exit, _) = timed(process.wait()).await;
        assert_eq!(exit, Exit::Signal(Signal::KILL.as_raw()));
        let Some(Cause::Memory { used, limit }) = process.cause() else {
            panic!("{:?}", process.cause())
        };
        assert!(used > limit && limit == 64 << 20, "{used}");
        timed(process.stop()).await;
    }
    neighbour.answers().await;
    mark.assert_gone();
}

#[tokio::test]
async fn bombs() {
    let mark = Mark::new();
    let neighbour = Neighbour::new(&mark).await;
    // Ten generations that double, and one that leaves the session with each step.
    let doubling = "f() { [ $1 = 0 ] || { f $(($1 - 1)) & f $(($1 - 1)) & }; sleep 1000; }; f 9";
    let leaving = "trap '' TERM; for i in $(seq 500); do setsid sleep 1000 & done; sleep 1000";
    for script in [doubling, leaving] {
        let spec = limited(&mark, script, |limits| limits.processes = Some(40));
        let process = spawn(&spec).await.unwrap();
        let (exit, took) = timed(process.wait()).await;
        let Some(Cause::Processes { used, limit: 40 }) = process.cause() else {
            panic!("{:?} {exit:?}", process.cause())
        };
        assert!(used > 40 && took < Duration::from_secs(10), "{used} {took:?}");
        timed(process.stop()).await;
        assert_eq!(mark.alive().len(), 2, "the neighbour and its shim");
    }
    neighbour.answers().await;
    mark.assert_gone();
}

/// Sixty runners, each of which starts the next one and is gone before it can be found.
#[tokio::test]
async fn who_is_gone_before_it_is_read_counts() {
    let mark = Mark::new();
    let script = "relay() { relay & exit; }; for i in $(seq 60); do relay & done; sleep 1000; :";
    let spec = limited(&mark, script, |limits| limits.processes = Some(20));
    let process = spawn(&spec).await.unwrap();
    let (exit, took) = timed(process.wait()).await;
    assert!(matches!(process.cause(), Some(Cause::Processes { .. })), "{exit:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    timed(process.stop()).await;
    mark.assert_gone();
}

#[tokio::test]
async fn leaked_descriptors() {
    let mark = Mark::new();
    let mut spec = limited(&mark, "", |limits| limits.open_files = Some(48));
    spec.program = std::env::current_exe().unwrap().into();
    spec.args = ["--exact", "leak", "--nocapture"].map(Into::into).into();
    spec.env.insert(ROLE.into(), "1".into());
    let process = spawn(&spec).await.unwrap();
    let usage = async {
        loop {
            let usage = process.usage().unwrap();
            // A descriptor that was inherited from beyond the limit stays.
            if usage.open_files_max >= 48 {
                return usage;
            }
            time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert_eq!(timed(usage).await.0.processes, 1);
    timed(process.wait()).await;
    assert_eq!(process.cause(), Some(Cause::OpenFiles { limit: 48 }));
    assert_eq!(process.usage(), None);
    mark.assert_gone();
}

#[tokio::test]
async fn what_the_kernel_refuses() {
    let mark = Mark::new();
    let dir = tempfile::tempdir().unwrap();
    let script = "ulimit -n; ulimit -Hn; ulimit -c; head -c 10000 /dev/zero > big";
    let mut spec = limited(&mark, script, |limits| {
        (limits.open_files, limits.file_bytes) = (Some(16), Some(4096));
    });
    spec.cwd = Some(dir.path().to_owned());
    let words: Vec<_> = {
        let process = spawn(&spec).await.unwrap();
        let mut said = String::new();
        process.take_stdout().unwrap().read_to_string(&mut said).await.unwrap();
        assert_ne!(process.wait().await, Exit::Code(0));
        assert_eq!(process.cause(), None, "it ended by itself");
        assert!(process.enforced().iter().all(|row| row.by == Means::Rlimit));
        said.lines().map(str::to_owned).collect()
    };
    assert_eq!(words, ["16", "16", "0"]);
    assert_eq!(fs::metadata(dir.path().join("big")).unwrap().len(), 4096);
    mark.gone().await;
}

#[tokio::test]
async fn limits_without_any_means_are_told() {
    let mark = Mark::new();
    let mut spec = mark.sh("exec cat");
    spec.limits.cpu_millis = Some(500);
    spec.limits.open_files = Some(100);
    let process = spawn(&spec).await.unwrap();
    let told: Vec<_> =
        process.enforced().iter().map(|row| format!("{}: {}", row.limit, row.by)).collect();
    let expected = [
        "open_files: not enforced here: it takes a shim to set it before the program starts",
        "cpu_millis: not enforced here: it takes a delegated cgroup v2 and a shim",
    ];
    assert_eq!(told, expected);
    process.stop().await;
}

#[tokio::test]
async fn nonsense_is_refused_before_anything_is_started() {
    let mark = Mark::new();
    let spec = limited(&mark, "exec cat", |limits| limits.memory_bytes = Some(5));
    let refused = spawn(&spec).await.unwrap_err();
    assert!(matches!(refused, SpawnError::Limits(_)));
    assert_eq!(refused.kind(), SpawnErrorKind::BadLimits);
    mark.assert_gone();
}

#[tokio::test]
async fn a_usage_is_that_of_the_whole_tree() {
    let mark = Mark::new();
    // Two who sleep, one who has ended and is not reaped, and one who works.
    let script = "sleep 1000 & setsid sleep 1000 & sh -c 'true & exec sleep 1000' &
        while :; do :; done";
    let process = mark.plant(&mark.shimmed(script), 4).await;
    let earlier = process.usage().unwrap();
    let later = async {
        loop {
            let usage = process.usage().unwrap();
            let works = usage.cpu_share_since(&earlier).is_some_and(|share| share > 0.0);
            if usage.zombies == 1 && usage.processes == 4 && works {
                return usage;
            }
            time::sleep(Duration::from_millis(5)).await;
        }
    };
    let usage = timed(later).await.0;
    assert_eq!((usage.threads, usage.sockets), (4, 0));
    assert!(usage.memory_bytes > 100_000 && usage.memory_bytes < 100_000_000, "{usage:?}");
    assert!(usage.open_files >= 12, "three each: {usage:?}");
    process.stop().await;
    assert_eq!(process.usage(), None);
    mark.assert_gone();
}

/// Over plain files: what is written is what the kernel would read.
#[tokio::test]
async fn a_tree_enters_its_cgroup_first() {
    let mark = Mark::new();
    let dir = tempfile::tempdir().unwrap();
    let cgroups = Cgroups::open(dir.path()).unwrap();
    let mut spec = limited(&mark, "exec cat", |limits| limits.io_weight = Some(10));
    spec.cgroups = Some(cgroups);
    let process = mark.plant(&spec, 1).await;
    assert_eq!(process.enforced()[0].by, Means::Cgroup);
    let groups = || fs::read_dir(dir.path()).unwrap().flatten().filter(|e| e.path().is_dir());
    let group = groups().next().unwrap().path();
    let read = |file: &str| fs::read_to_string(group.join(file)).unwrap();
    assert_eq!((read("cgroup.procs"), read("io.weight")), ("0".into(), "default 10".into()));
    // What the kernel tells of a group that it has killed.
    fs::write(group.join("memory.events"), "oom_kill 0\n").unwrap();
    process.stop().await;
    assert_eq!(read("cgroup.kill"), "1");
}

/// As root on a machine with cgroup v2: a group without controllers, which kills at one blow.
#[tokio::test]
async fn a_real_cgroup_kills_and_is_removed() {
    let root = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(std::path::Path::new);
    let Some(root) = root.into_iter().find(|root| root.join("cgroup.procs").exists()) else {
        return;
    };
    let dir = root.join(format!("supervisor-test-{}", std::process::id()));
    if fs::create_dir(&dir).is_err() {
        return; // Not ours to give.
    }
    let mark = Mark::new();
    let cgroups = Cgroups::open(&dir).unwrap();
    let mut spec = mark.shimmed(&common::deaf_grove());
    spec.cgroups = Some(cgroups);
    let process = mark.plant(&spec, common::GROVE_SIZE).await;
    let group = || fs::read_dir(&dir).unwrap().flatten().find(|e| e.path().is_dir());
    let members = fs::read_to_string(group().unwrap().path().join("cgroup.procs")).unwrap();
    assert_eq!(members.lines().count(), common::GROVE_SIZE + 1, "all of them, and the shim");
    // Even the shim's own death leaves nobody: whoever escapes is still in the group.
    common::signal(i32::try_from(process.pid()).unwrap(), Signal::KILL);
    timed(process.wait()).await;
    timed(process.stop()).await;
    mark.gone().await;
    assert!(group().is_none(), "{:?}", group());
    fs::remove_dir(&dir).unwrap();
}
