//! What makes a server need replicas: calls take time, and only so many are worked on at once.

use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::sleep;

/// How much work the calls are. It is slept, so that few processors can be many servers.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Work {
    /// How long a call takes
    #[arg(long, default_value_t = 0)]
    work_ms: u64,
    /// How many calls are worked on at once; the others wait in order
    #[arg(long, default_value_t = Semaphore::MAX_PERMITS)]
    at_a_time: usize,
}

impl Work {
    /// Whether calls take no time of their own.
    pub(crate) fn is_none(&self) -> bool {
        self.work_ms == 0
    }

    pub(crate) fn desk(&self) -> Desk {
        let places = Semaphore::new(self.at_a_time.min(Semaphore::MAX_PERMITS));
        Desk { time: Duration::from_millis(self.work_ms), places }
    }
}

/// Where it is done.
#[derive(Debug)]
pub(crate) struct Desk {
    time: Duration,
    places: Semaphore,
}

impl Desk {
    /// Works on `message` if it is a call. Whoever drops this stands back from the desk.
    pub(crate) async fn work(&self, message: &[u8]) {
        let call = !self.time.is_zero()
            && memchr::memmem::find(message, br#""method":"tools/call""#).is_some();
        if call {
            // The semaphore is never closed.
            let _place = self.places.acquire().await;
            sleep(self.time).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;
    use crate::serve::runtime;

    const CALL: &[u8] = br#"{"id":1,"method":"tools/call"}"#;

    #[test]
    fn two_places_take_three_calls_in_two_turns() {
        let desk = Work { work_ms: 20, at_a_time: 2 }.desk();
        let start = now();
        runtime(0).unwrap().block_on(async {
            tokio::join!(desk.work(CALL), desk.work(CALL), desk.work(CALL));
        });
        assert!(now() - start >= Duration::from_millis(40));
    }

    #[test]
    fn only_calls_are_work() {
        let desk = Work { work_ms: 60_000, at_a_time: 1 }.desk();
        let other = desk.work(br#"{"id":1,"method":"tools/list"}"#);
        runtime(0).unwrap().block_on(other);
    }
}
