//! A future behind a breaker, on tokio's clock.

use std::time::Instant;

use crate::{Breaker, Outcome, Rejected};

/// Why a call behind a breaker came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[expect(clippy::exhaustive_enums, reason = "a call is refused, or it ran and failed: no third")]
pub enum CallError<E> {
    /// It was refused, and never began.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// It ran, and this came of it.
    #[error("call failed")]
    Failed(#[source] E),
}

impl Breaker {
    /// Makes a call if it may be made. What its result says of the server, `classify` says.
    ///
    /// A call that is refused is never polled. Cancel safe: dropped, it counts as [`Outcome::Ignored`].
    pub async fn call<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>>,
        classify: impl FnOnce(&Result<T, E>) -> Outcome,
    ) -> Result<T, CallError<E>> {
        let permit = self.permit(now())?;
        let result = call.await;
        permit.record(classify(&result), now());
        result.map_err(CallError::Failed)
    }
}

/// The one place of this crate that reads a clock.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
