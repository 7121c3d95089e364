//! The one thread that forks.
//!
//! The parent-death signal fires when the *thread* that forked ends, not the process. A runtime's
//! threads come and go, so every process is started by one thread that stays until the end.

use std::io;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::leader::Leader;

/// How many may wait for the thread; the next one waits to be let in.
const QUEUE_MAX: usize = 32;

/// A command to start, and where to send what came of it.
struct Request {
    command: Command,
    is_shim: bool,
    reply: oneshot::Sender<io::Result<Leader>>,
}

static THREAD: Mutex<Option<mpsc::Sender<Request>>> = Mutex::new(None);

/// Starts `command`, which must ask for a process group of its own.
///
/// Cancel safe: a process that nobody waits for any more is ended.
pub(crate) async fn start(command: Command, is_shim: bool) -> io::Result<Leader> {
    let (reply, started) = oneshot::channel();
    let gone = || io::Error::other("the thread that starts processes is gone");
    thread()?.send(Request { command, is_shim, reply }).await.map_err(|_| gone())?;
    started.await.map_err(|_| gone())?
}

fn thread() -> io::Result<mpsc::Sender<Request>> {
    let mut thread = THREAD.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(sender) = thread.as_ref().filter(|sender| !sender.is_closed()) {
        return Ok(sender.clone());
    }
    let (sender, requests) = mpsc::channel(QUEUE_MAX);
    std::thread::Builder::new()
        .name("process-spawner".to_owned())
        .spawn(move || serve(requests))?;
    Ok(thread.insert(sender).clone())
}

fn serve(mut requests: mpsc::Receiver<Request>) {
    while let Some(Request { mut command, is_shim, reply }) = requests.blocking_recv() {
        let started = command.spawn().map(|child| Leader::new(child, is_shim));
        // A leader that comes back unreceived ends its process when it is dropped.
        drop(reply.send(started));
    }
}
