//! Kills one process a second: any below the manager, or the server that it reaches over HTTP.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::census::{self, Marker, descendants};
use crate::peers;
use crate::process::Running;
use crate::wait::{PATIENCE, pause, until};

const PERIOD: Duration = Duration::from_secs(1);
/// How long whoever looks after the remote server takes to notice.
const ABSENCE: Duration = Duration::from_millis(300);

/// A server over HTTP that is not the manager's to restart: it comes back at the same port.
pub(super) struct Remote {
    port: u16,
    marker: Marker,
    process: Mutex<Running>,
}

impl Remote {
    pub(super) fn start(marker: &Marker) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its number").port();
        drop(listener);
        let process = Mutex::new(begin(port, marker));
        Self { port, marker: marker.clone(), process }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }

    fn kill(&self) {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.signal(Signal::KILL);
        process.wait(PATIENCE);
        pause(ABSENCE);
        *process = begin(self.port, &self.marker);
    }
}

fn begin(port: u16, marker: &Marker) -> Running {
    let mut command = peers::server_everything_http();
    command.env("PORT", port.to_string()).env(census::VARIABLE, marker.text());
    let process = Running::start(command);
    let listens = || std::net::TcpStream::connect(("127.0.0.1", port)).ok();
    assert!(until(PATIENCE, listens).is_some(), "no server at port {port}: {}", process.stderr());
    process
}

/// Kills until told to stop; how many died.
pub(super) fn kill(manager: u32, remote: &Remote, seed: u64, stop: &AtomicBool) -> u64 {
    let (mut random, mut kills) = (seed | 1, 0);
    while !stop.load(Ordering::Relaxed) {
        pause(PERIOD);
        // xorshift: the same seed picks the same places in the list.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let below: Vec<u32> = descendants(manager).into_iter().collect();
        let pick = usize::try_from(random % (below.len() as u64 + 1)).unwrap_or_default();
        match below.get(pick) {
            Some(pid) => {
                let pid = i32::try_from(*pid).ok().and_then(Pid::from_raw);
                if pid.is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok()) {
                    kills += 1;
                }
            }
            None => {
                remote.kill();
                kills += 1;
            }
        }
    }
    kills
}
