//! What one who waits is told.

use std::sync::{Mutex, PoisonError};
use std::task::{Poll, Waker};

use crate::error::Rejected;

/// What one who waits is told, once.
#[derive(Debug, Default)]
pub(crate) struct Ticket(Mutex<Fate>);

#[derive(Debug, Default)]
enum Fate {
    #[default]
    New,
    Waits(Waker),
    Told(Result<(), Rejected>),
    /// It does not wait any more.
    Gone,
}

impl Ticket {
    /// It has a permit; or not, because it does not wait any more.
    pub(crate) fn grant(&self) -> bool {
        self.tell(Ok(()))
    }

    pub(crate) fn refuse(&self, why: Rejected) {
        self.tell(Err(why));
    }

    fn tell(&self, outcome: Result<(), Rejected>) -> bool {
        let mut fate = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *fate, Fate::Told(outcome)) {
            Fate::New => true,
            Fate::Waits(waker) => {
                drop(fate);
                waker.wake();
                true
            }
            before @ (Fate::Told(_) | Fate::Gone) => {
                *fate = before;
                false
            }
        }
    }

    pub(crate) fn poll(&self, waker: &Waker) -> Poll<Result<(), Rejected>> {
        let mut fate = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*fate {
            Fate::Told(outcome) => Poll::Ready(*outcome),
            _ => {
                *fate = Fate::Waits(waker.clone());
                Poll::Pending
            }
        }
    }

    /// It does not wait any more; whether it had a permit by then.
    pub(crate) fn leave(&self) -> bool {
        let mut fate = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(std::mem::replace(&mut *fate, Fate::Gone), Fate::Told(Ok(())))
    }
}
