//! What is not begun any more once the gateway was told to stop.

use http::StatusCode;
use http::header::{CONNECTION, HeaderValue, RETRY_AFTER};
use mcp_manager::Failure;
use tokio::sync::watch;

use crate::respond::{self, Answer};

/// Whether the gateway was told to stop, and what follows from that.
#[derive(Clone, Debug)]
pub(crate) struct Stopping {
    /// True once no new work is taken.
    pub(crate) told: watch::Receiver<bool>,
    /// Whether others listen on the same socket: then a new connection leads to them, and a call
    /// that still came to us need not be refused to find them.
    pub(crate) shared: bool,
}

impl Stopping {
    pub(crate) fn is_told(&self) -> bool {
        *self.told.borrow()
    }

    /// Whether a new call is refused.
    pub(crate) fn refuses_calls(&self) -> bool {
        !self.shared && self.is_told()
    }
}

/// The answer to what is not begun any more. Nothing of it was sent to a server, so that it is safe
/// to ask somebody else.
pub(crate) fn refused(id: Option<&str>) -> Answer {
    let error = Failure::Stopping.to_error();
    let mut answer = respond::error(StatusCode::SERVICE_UNAVAILABLE, id, &error);
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

/// The last answer on its connection: the next request finds its way by a new one.
pub(crate) fn last(answer: &mut Answer) {
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}
