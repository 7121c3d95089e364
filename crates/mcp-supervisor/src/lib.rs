//! Keeps a process running: starts it, restarts it as a policy says, and ends its whole tree.
//!
//! # The idea
//!
//! A command that someone configured is rarely one process. It is a launcher that starts a shell
//! that starts the program, and the program may start helpers that leave its session. Killing the
//! direct child leaves the rest behind, and when the supervisor itself is killed nobody is left to
//! kill anything. So a small process, the *shim*, stands between the two: the kernel tells it when
//! the supervisor dies, and hands it every descendant whose own parent is gone.
//!
//! ```text
//!   supervisor ──spawns──▶ shim ──spawns──▶ program ──▶ helper
//!       │                   ▲ ▲                            │ setsid, double fork
//!       │  SIGTERM          │ └────── adopts orphans ──────┘
//!       └───────────────────┘
//!     parent-death signal
//! ```
//!
//! A command that someone configured also ends when nobody wants it to. Whoever restarts it at once
//! makes of a wrong token a loop that takes a processor; whoever does not, leaves a fleet that is
//! dead in the morning. So what dies young comes back after pauses that double, what was stable
//! comes back at once, and what dies again and again has *failed*, which is a state that can be
//! seen and not a line in a log.
//!
//! ```text
//!              start                  ready
//!   Stopped ──────────▶ Starting ───────────────▶ Running
//!      ▲                  ▲   │ refused, late        │ ended, no good
//!      │ stop             │   ▼                      ▼
//!      └───────────────── │ ◀──────── Stopping ◀─────┘
//!      from anywhere      │              │ nothing is left
//!                  pause is over         ▼
//!                      Backoff ◀──── the policy ────▶ Failed, until someone says start
//! ```
//!
//! # What holds
//!
//! - With a [`Shim`], nothing of a tree outlives [`Process::stop`], the last handle to the
//!   [`Process`], the program itself, or the supervisor, however that one ended.
//! - Without one, the same holds for the members of the program's process group, as long as the
//!   supervisor lives to kill them.
//! - Every wait has a bound: [`Spec`] names two, and what does not die of SIGKILL within a second
//!   is given up.
//! - Two incarnations of something supervised never live at the same time, and what happens to an
//!   earlier one changes nothing for the current one.
//! - An exit is observed, never polled for, and what the program wrote to stderr before it is in
//!   the [`Tail`] when [`Process::wait`] returns.
//!
//! # The layers
//!
//! - [`resolve`] finds the program and says precisely why it cannot be started. It starts nothing.
//! - [`Lifecycle`], told by a [`Policy`]: the state machine of supervision. It reads no clock and
//!   knows no process; a test of it is a list of calls.
//! - [`spawn`], [`Process`] (feature `tokio`, on by default): one process, from its start to the end
//!   of its tree.
//! - [`supervise`], [`Supervised`] (the same feature): the task that does what a lifecycle says, for
//!   whatever can be [launched](Launch). [`Program`] is what can be launched out of the box: a
//!   process and a check that it is ready.
//! - [`shim::main`] (feature `shim`, on by default): the side of the shim. It knows no runtime.
//!
//! # Example
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use mcp_supervisor::{Exit, Spec, spawn};
//!
//! let mut spec = Spec::new("sh");
//! spec.args = vec!["-c".into(), "echo no configuration >&2; exit 3".into()];
//! let process = spawn(&spec).await?;
//! assert_eq!(process.wait().await, Exit::Code(3));
//! assert_eq!(process.stderr().lines(), ["no configuration"]);
//! # Ok(()) }
//! ```
//!
//! Under supervision, until it has failed:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use mcp_supervisor::{Policy, Process, Program, Spec, Unready, supervise};
//! use tokio::io::AsyncReadExt;
//!
//! let mut spec = Spec::new("sh");
//! spec.args = vec!["-c".into(), "echo no configuration >&2; exit 3".into()];
//! // Ready when it has said something.
//! let says_something = async |process: Process| match process.take_stdout() {
//!     Some(mut stdout) => stdout.read_u8().await.map(drop).map_err(|error| error.to_string()),
//!     None => Err("its stdout is taken".to_owned()),
//! };
//! let mut policy = Policy::default();
//! policy.restarts_max = Some(0);
//! let supervised = supervise(policy, Program::new(spec, says_something))?;
//! supervised.start();
//! let Err(Unready::Failed { error: Some(error) }) = supervised.ready().await else { panic!() };
//! assert_eq!(error.to_string(), "ended with exit code 3: no configuration");
//! # Ok(()) }
//! ```
//!
//! # What it does not do
//!
//! It does not limit resources, watch more than one thing at a time (a fleet, and what depends on
//! what, is its owner's), or speak a protocol. It cannot kill what its user may not
//! kill (a helper that became another user), and a shim that a third party kills with SIGKILL takes
//! only its process group along. Linux only: it stands on the parent-death signal, the subreaper
//! and `/proc`.

mod error;
mod exit;
mod lifecycle;
mod limits;
mod order;
mod policy;
#[cfg(any(feature = "tokio", all(feature = "shim", target_os = "linux")))]
mod proc;
mod resolve;
mod spec;

#[cfg(feature = "tokio")]
mod cause;
#[cfg(feature = "tokio")]
mod cgroup;
#[cfg(feature = "tokio")]
mod keeper;
#[cfg(feature = "tokio")]
mod ladder;
#[cfg(feature = "tokio")]
mod launch;
#[cfg(feature = "tokio")]
mod leader;
#[cfg(feature = "tokio")]
mod ledger;
#[cfg(feature = "tokio")]
mod leftovers;
#[cfg(feature = "tokio")]
mod means;
#[cfg(feature = "tokio")]
mod process;
#[cfg(feature = "tokio")]
mod program;
#[cfg(feature = "tokio")]
mod spawner;
#[cfg(feature = "tokio")]
mod supervise;
#[cfg(feature = "tokio")]
mod supervised;
#[cfg(feature = "tokio")]
mod tail;
#[cfg(feature = "tokio")]
mod usage;
#[cfg(feature = "tokio")]
mod watcher;

#[cfg(feature = "shim")]
pub mod shim;

pub use crate::error::{SpawnError, SpawnErrorKind};
pub use crate::exit::Exit;
pub use crate::lifecycle::{Ending, GaveUp, Lifecycle, Phase, Stats, Then};
pub use crate::limits::{Limits, LimitsError};
pub use crate::order::EXEC_FAILED;
pub use crate::policy::{Backoff, Policy, PolicyError, Restart};
pub use crate::resolve::resolve;
pub use crate::spec::{Shim, Spec};
#[cfg(feature = "tokio")]
pub use crate::{
    cause::Cause,
    cgroup::{Cgroups, NoCgroups},
    launch::Launch,
    ledger::{Ledger, LedgerStats},
    leftovers::Leftovers,
    means::{Enforced, Means},
    process::{Process, spawn},
    program::{Program, ProgramError},
    supervise::{Status, supervise},
    supervised::{Supervised, Unready},
    tail::{Extent, Tail, TailStats},
    usage::Usage,
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeIsCompiled;
