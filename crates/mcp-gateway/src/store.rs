//! Sessions and events on disk, so that they outlive the process.
//!
//! One file, one thread that writes it. Everything that waits is written in one transaction: many
//! events cost one `fsync`. What is in the file at the start is read once; after that it is a copy of
//! what is in memory, with the same bounds.

mod file;
mod record;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use self::file::File;
pub(crate) use self::record::Record;
use crate::replay::{Key, Replay};

/// What may wait to be written. Whoever comes then waits for a place.
const QUEUE_MAX: usize = 1024;

/// The state of an earlier life cannot be had. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// It is not a directory that we can write to.
    #[error("the state directory {} cannot be used: {why}", path.display())]
    Directory {
        /// Where it should be.
        path: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// Another manager has it.
    #[error("the state in {} is in use by another mcp-manager", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A newer version of this program wrote it.
    #[error("the state in {} has format {found}, and this version knows {known}: use the newer mcp-manager, or move the file away to begin without it", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format that it has.
        found: u64,
        /// The format that this version writes.
        known: u64,
    },
    /// It cannot be read.
    #[error("the state in {} cannot be read: {why}; move the file away to begin without it", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// What a store has kept, and the store.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) sessions: Vec<Record>,
    /// Events in their order, with whether they are the last of their stream.
    pub(crate) events: Vec<(Key, u64, Bytes, bool)>,
    /// Numbers up to this may have been used in an earlier life.
    pub(crate) floor: u64,
    pub(crate) store: Idle,
}

/// A store that nobody writes to yet.
#[derive(Debug)]
pub(crate) struct Idle {
    file: File,
}

/// The way to the thread that writes.
#[derive(Debug)]
pub(crate) struct Store {
    queue: mpsc::Sender<Op>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

/// A place in the queue.
#[derive(Debug)]
pub(crate) struct Place(mpsc::OwnedPermit<Op>);

#[derive(Debug)]
enum Op {
    Begin(Record),
    /// Of a session that may have ended.
    Remember(Record),
    Event {
        key: Key,
        number: u64,
        event: Bytes,
        last: bool,
        dropped: Vec<(Key, u64)>,
    },
    End(Arc<str>),
    /// To be told when all that came before is written.
    Written(oneshot::Sender<()>),
    Close,
}

/// Opens the store in a directory, which is made if need be.
pub(crate) fn open(dir: &Path) -> Result<Opened, StateError> {
    let file = File::open(dir)?;
    let (sessions, events, floor) = file.load()?;
    Ok(Opened { sessions, events, floor, store: Idle { file } })
}

impl Idle {
    /// Begins to write. What has been written is made known to `replay`.
    pub(crate) fn start(self, replay: Weak<Mutex<Replay>>) -> Store {
        let (queue, ops) = mpsc::channel(QUEUE_MAX);
        let thread = thread::spawn(move || write(&self.file, ops, &replay));
        Store { queue, thread: Mutex::new(Some(thread)) }
    }
}

impl Store {
    /// A place for one event; `None` if nothing is stored any more.
    pub(crate) async fn place(&self) -> Option<Place> {
        self.queue.clone().reserve_owned().await.ok().map(Place)
    }

    /// Writes that a session has begun, and waits until it is written.
    pub(crate) async fn begin(&self, record: Record) {
        self.send(Op::Begin(record)).await;
        self.written().await;
    }

    /// Waits until all that was to be written is.
    pub(crate) async fn written(&self) {
        let (written, waiting) = oneshot::channel();
        self.send(Op::Written(written)).await;
        // An error means that nothing is stored any more, which has been said.
        let _ = waiting.await;
    }

    /// Writes what has become of a session.
    pub(crate) async fn remember(&self, record: Record) {
        self.send(Op::Remember(record)).await;
    }

    /// Writes that a session has ended.
    pub(crate) async fn end(&self, session: &Arc<str>) {
        self.send(Op::End(Arc::clone(session))).await;
    }

    /// Waits until everything is written, and lets go of the file.
    pub(crate) async fn close(&self) {
        self.send(Op::Close).await;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    async fn send(&self, op: Op) {
        // An error means that nothing is stored any more, which has been said.
        let _ = self.queue.send(op).await;
    }
}

impl Place {
    pub(crate) fn event(
        self,
        key: Key,
        number: u64,
        event: Bytes,
        last: bool,
        dropped: Vec<(Key, u64)>,
    ) {
        self.0.send(Op::Event { key, number, event, last, dropped });
    }
}

/// Writes whatever waits, again and again.
fn write(file: &File, mut ops: mpsc::Receiver<Op>, replay: &Weak<Mutex<Replay>>) {
    let mut open = true;
    while open && let Some(first) = ops.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < QUEUE_MAX
            && let Ok(op) = ops.try_recv()
        {
            batch.push(op);
        }
        open = !batch.iter().any(|op| matches!(op, Op::Close));
        let written = file.write(&batch);
        let Some(replay) = replay.upgrade() else { return };
        let mut replay = replay.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = written {
            // A file that failed once is not trusted again. Clients are served all the same.
            tracing::error!(%error, "sessions are not stored any more: they end with this process");
            return replay.store_failed();
        }
        for op in batch {
            match op {
                Op::Event { key, number, .. } => replay.stored(&key, number),
                Op::Written(written) => _ = written.send(()),
                Op::Begin(_) | Op::Remember(_) | Op::End(_) | Op::Close => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
