//! One stdio server behind a hop: a writer that batches, a reader that hands out, ids in between.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::{Notify, oneshot};

/// Bytes to read at once.
const READ: usize = 8 * 1024;

/// Where a message has its id, if it has one.
#[derive(Deserialize)]
struct Id<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

/// A running stdio server. Cloned handles speak to the same one.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    pipe: pipe::Sender,
    /// Told when there are lines that the pipe did not take at once.
    left: Notify,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    waiting: HashMap<u64, Waiting>,
    unsent: Vec<u8>,
    /// The writer is at work and will come to whatever is unsent.
    writing: bool,
}

#[derive(Debug)]
struct Waiting {
    /// The client's own id, as it wrote it.
    id: Box<[u8]>,
    answer: oneshot::Sender<Bytes>,
}

impl Child {
    /// Starts `command` and the two tasks that speak with it.
    pub(crate) fn start(command: &[String]) -> io::Result<Self> {
        let (program, arguments) =
            command.split_first().ok_or_else(|| io::Error::other("no command"))?;
        let mut process = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let taken = || io::Error::other("a pipe is missing");
        let input = OwnedFd::from(process.stdin.take().ok_or_else(taken)?);
        let output = OwnedFd::from(process.stdout.take().ok_or_else(taken)?);
        // The handle of the process is dropped, the process runs on: it ends when its input does.
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            pipe: pipe::Sender::from_owned_fd(input)?,
            left: Notify::new(),
        });
        tokio::spawn(write(Arc::clone(&shared)));
        tokio::spawn(read(Arc::clone(&shared), pipe::Receiver::from_owned_fd(output)?));
        Ok(Self { shared })
    }

    /// Sends a message. A request is answered; a notification has no answer to wait for.
    pub(crate) async fn send(&self, message: &[u8]) -> Result<Option<Bytes>, String> {
        let parsed: Id<'_> = serde_json::from_slice(message).map_err(|error| error.to_string())?;
        let answer = {
            let mut state = self.shared.lock();
            let answer = match parsed.id {
                None => {
                    state.push(&[message]);
                    None
                }
                Some(id) => Some(state.ask(message, id.get().as_bytes())),
            };
            self.shared.flush(&mut state);
            answer
        };
        match answer {
            None => Ok(None),
            Some(answer) => answer.await.map(Some).map_err(|_| "the child is gone".to_owned()),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes from here if the pipe takes it all: a wake-up of the writer costs more than the write.
    fn flush(&self, state: &mut State) {
        if state.writing {
            return;
        }
        let taken = self.pipe.try_write(&state.unsent).unwrap_or_default();
        state.unsent.drain(..taken);
        if !state.unsent.is_empty() {
            state.writing = true;
            self.left.notify_one();
        }
    }

    /// Moves what is unsent to `sending`; if that is nothing, the writer's work is over.
    fn gathered(&self, sending: &mut Vec<u8>) -> bool {
        sending.clear();
        let mut state = self.lock();
        std::mem::swap(sending, &mut state.unsent);
        state.writing = !sending.is_empty();
        state.writing
    }

    fn answered(&self, line: &[u8]) {
        let Ok(Id { id: Some(id) }) = serde_json::from_slice(line) else { return };
        let Ok(own) = id.get().parse::<u64>() else { return };
        let Some(waiting) = self.lock().waiting.remove(&own) else { return };
        let (before, after) = around(line, id.get().as_bytes());
        let answer = [before, &waiting.id, after].concat();
        let _ = waiting.answer.send(answer.into());
    }
}

impl State {
    fn ask(&mut self, message: &[u8], id: &[u8]) -> oneshot::Receiver<Bytes> {
        let (answer, receiver) = oneshot::channel();
        self.next += 1;
        let own = self.next;
        self.waiting.insert(own, Waiting { id: id.into(), answer });
        let (before, after) = around(message, id);
        self.push(&[before, own.to_string().as_bytes(), after]);
        receiver
    }

    /// Appends one line. Inside JSON a raw line break can only be white space.
    fn push(&mut self, parts: &[&[u8]]) {
        let start = self.unsent.len();
        for part in parts {
            self.unsent.extend_from_slice(part);
        }
        let mut line = &mut self.unsent[start..];
        while let Some(at) = memchr::memchr2(b'\n', b'\r', line) {
            line[at] = b' ';
            line = &mut line[at..];
        }
        self.unsent.push(b'\n');
    }
}

/// Writes what [`Shared::flush`] could not, all that has gathered in one go.
async fn write(shared: Arc<Shared>) -> io::Result<()> {
    let mut sending = Vec::new();
    loop {
        shared.left.notified().await;
        while shared.gathered(&mut sending) {
            let mut rest = sending.as_slice();
            while !rest.is_empty() {
                shared.pipe.writable().await?;
                match shared.pipe.try_write(rest) {
                    Ok(count) => rest = &rest[count..],
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
}

async fn read(shared: Arc<Shared>, mut pipe: pipe::Receiver) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    let mut searched = 0;
    loop {
        while let Some(at) = memchr::memchr(b'\n', &buffer[searched..]) {
            let line = buffer.split_to(searched + at + 1);
            searched = 0;
            shared.answered(&line[..line.len() - 1]);
        }
        searched = buffer.len();
        // Room for a whole message: what is left behind the last one may be a few bytes, and the
        // pipe would be read in as many pieces. As much again as there is, for a long line.
        buffer.reserve(searched.max(READ));
        if pipe.read_buf(&mut buffer).await? == 0 {
            // Whoever waits learns it from the dropped sender.
            shared.lock().waiting.clear();
            return Ok(());
        }
    }
}

/// What stands before and behind `part`, which is a slice of `whole`.
fn around<'a>(whole: &'a [u8], part: &[u8]) -> (&'a [u8], &'a [u8]) {
    let start = part.as_ptr() as usize - whole.as_ptr() as usize;
    (&whole[..start], &whole[start + part.len()..])
}
