//! A [`Budget`] where tower's retries take one.

use tokio::time::Instant;

use crate::Budget;

impl tower::retry::budget::Budget for Budget {
    fn deposit(&self) {
        Self::deposit(self);
    }

    fn withdraw(&self) -> bool {
        Self::withdraw(self, Instant::now().into_std())
    }
}
