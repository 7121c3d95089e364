//! What wakes a shim: a signal, or a deadline.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::{flag, low_level::pipe};

/// Signals that would end a shim, and are meant for its program if for anyone: a signal to the
/// group has reached the program as well. They are caught rather than ignored, because ignoring
/// is inherited and catching is not.
const DISREGARDED: [i32; 6] = [SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM];

pub(crate) struct Wake {
    /// A byte for every signal that matters.
    bell: UnixStream,
    terminated: Arc<AtomicBool>,
}

impl Wake {
    pub(crate) fn new() -> io::Result<Self> {
        let (bell, ringer) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        let terminated = Arc::new(AtomicBool::new(false));
        // The flag before the bell: whoever hears the bell sees the flag.
        flag::register(SIGTERM, Arc::clone(&terminated))?;
        pipe::register(SIGTERM, ringer.try_clone()?)?;
        pipe::register(SIGCHLD, ringer)?;
        for signal in DISREGARDED {
            flag::register(signal, Arc::new(AtomicBool::new(false)))?;
        }
        Ok(Self { bell, terminated })
    }

    /// Whether SIGTERM has arrived: from the supervisor, or from the kernel at its death.
    pub(crate) fn is_terminated(&self) -> bool {
        self.terminated.load(Ordering::SeqCst)
    }

    /// Sleeps until a signal has arrived since the last call, or until `timeout` has passed.
    pub(crate) fn wait(&self, timeout: Option<Duration>) {
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let _ = poll(&mut [PollFd::new(&self.bell, PollFlags::IN)], timeout.as_ref());
        let mut bytes = [0; 64];
        while matches!((&self.bell).read(&mut bytes), Ok(1..)) {}
    }
}

/// The shim's clock.
#[expect(clippy::disallowed_methods, reason = "no runtime runs in a shim; this is its one clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
