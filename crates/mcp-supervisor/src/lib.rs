//! Starts a process, keeps its last words, and ends its whole tree.
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
//! # What holds
//!
//! - With a [`Shim`], nothing of a tree outlives [`Process::stop`], the last handle to the
//!   [`Process`], the program itself, or the supervisor, however that one ended.
//! - Without one, the same holds for the members of the program's process group, as long as the
//!   supervisor lives to kill them.
//! - Every wait has a bound: [`Spec`] names two, and what does not die of SIGKILL within a second
//!   is given up.
//! - An exit is observed, never polled for, and what the program wrote to stderr before it is in
//!   the [`Tail`] when [`Process::wait`] returns.
//!
//! # The layers
//!
//! - [`resolve`] finds the program and says precisely why it cannot be started. It starts nothing.
//! - [`spawn`], [`Process`] (feature `tokio`, on by default): the side of the supervisor.
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
//! # What it does not do
//!
//! It does not restart, limit resources, or speak a protocol. It cannot kill what its user may not
//! kill (a helper that became another user), and a shim that a third party kills with SIGKILL takes
//! only its process group along. Linux only: it stands on the parent-death signal, the subreaper
//! and `/proc`.

mod error;
mod exit;
mod lifecycle;
mod order;
mod policy;
#[cfg(any(feature = "tokio", feature = "shim"))]
mod proc;
mod resolve;
mod spec;

#[cfg(feature = "tokio")]
mod keeper;
#[cfg(feature = "tokio")]
mod ladder;
#[cfg(feature = "tokio")]
mod launch;
#[cfg(feature = "tokio")]
mod leader;
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

#[cfg(feature = "shim")]
pub mod shim;

pub use crate::error::SpawnError;
pub use crate::exit::Exit;
pub use crate::lifecycle::{Ending, GaveUp, Lifecycle, Phase, Stats, Then};
pub use crate::order::EXEC_FAILED;
pub use crate::policy::{Backoff, Policy, PolicyError, Restart};
pub use crate::resolve::resolve;
pub use crate::spec::{Shim, Spec};
#[cfg(feature = "tokio")]
pub use crate::{
    launch::Launch,
    process::{Process, spawn},
    program::{Program, ProgramError},
    supervise::{Status, supervise},
    supervised::{Supervised, Unready},
    tail::{Tail, TailStats},
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeIsCompiled;
