//! One waker for the two halves of a WebSocket.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

/// Who waits for the connection below: a task for each half.
///
/// Reading may have to write (a pong), so both halves poll both directions of the connection, which
/// remembers one waker for each. So it is given this one always, and nobody's place is taken.
#[derive(Debug)]
pub(super) struct Wakers {
    waiting: [Mutex<Waker>; 2],
}

/// Which half.
#[derive(Clone, Copy, Debug)]
pub(super) enum Half {
    Reader,
    Writer,
}

impl Wakers {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { waiting: [(); 2].map(|()| Mutex::new(Waker::noop().clone())) })
    }

    /// From now on, the task of `context` is woken for this half.
    pub(super) fn wait(&self, half: Half, context: &Context<'_>) {
        let mut waiting = self.slot(half).lock().unwrap_or_else(PoisonError::into_inner);
        waiting.clone_from(context.waker());
    }

    pub(super) fn wake(&self, half: Half) {
        let mut waiting = self.slot(half).lock().unwrap_or_else(PoisonError::into_inner);
        let waker = mem::replace(&mut *waiting, Waker::noop().clone());
        drop(waiting);
        waker.wake();
    }

    fn slot(&self, half: Half) -> &Mutex<Waker> {
        let [reader, writer] = &self.waiting;
        match half {
            Half::Reader => reader,
            Half::Writer => writer,
        }
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        Self::wake(self, Half::Reader);
        Self::wake(self, Half::Writer);
    }
}
