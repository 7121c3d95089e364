//! A file descriptor kept back for operators: they come when nothing else works any more.

use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One descriptor that nobody else in this process can take. Given up to accept one connection when
/// the process has no other left, and taken back when that connection has ended.
#[derive(Clone, Debug)]
pub(crate) struct Reserve {
    held: Arc<Mutex<Option<File>>>,
}

impl Reserve {
    pub(crate) fn new() -> Self {
        Self { held: Arc::new(Mutex::new(spare())) }
    }

    /// Makes room for one descriptor; whether there was any to make.
    pub(crate) fn give_up(&self) -> bool {
        self.lock().take().is_some()
    }

    /// Keeps a descriptor back again, if there is one to be had.
    pub(crate) fn refill(&self) {
        let mut held = self.lock();
        if held.is_none() {
            *held = spare();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<File>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn spare() -> Option<File> {
    File::open("/dev/null").ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_and_it_comes_back() {
        let reserve = Reserve::new();
        assert!(reserve.give_up());
        assert!(!reserve.give_up(), "there was only one");
        reserve.refill();
        assert!(reserve.give_up());
    }
}
