//! What a pool has to be told about its connections: how to make, judge and end one.

use std::future::{Future, ready};
use std::hash::Hash;

/// Makes, judges and ends the connections of a [`Pool`](crate::Pool).
///
/// No method runs under the pool's lock, and every future is bounded by a time limit of
/// [`Config`](crate::Config): when it passes, the future is dropped.
pub trait Manage: Send + Sync + 'static {
    /// What connections are alike for: whoever asks with an equal key may be given any of them.
    type Key: Clone + Eq + Hash + Send + Sync + 'static;
    /// What is lent.
    type Connection: Send + 'static;
    /// Why a connection could not be made.
    type Error: Send + 'static;

    /// Makes a connection. It runs in a task of its own, so that it outlives a caller that gives
    /// up: what it made then serves the next.
    fn connect(
        &self,
        key: &Self::Key,
    ) -> impl Future<Output = Result<Self::Connection, Self::Error>> + Send;

    /// Whether an idle connection still works; asked every
    /// [`health_check_period`](crate::Config::health_check_period). What does not is closed.
    fn check(
        &self,
        key: &Self::Key,
        connection: &mut Self::Connection,
    ) -> impl Future<Output = bool> + Send {
        let _ = (key, connection);
        ready(true)
    }

    /// What can be known at a glance: asked at every checkout and every return, so it must be
    /// cheap. What is broken is closed and never lent again.
    fn is_broken(&self, connection: &Self::Connection) -> bool {
        let _ = connection;
        false
    }

    /// Ends a connection. Its place in the pool is free only when this is done.
    fn close(
        &self,
        key: &Self::Key,
        connection: Self::Connection,
    ) -> impl Future<Output = ()> + Send {
        let _ = key;
        drop(connection);
        ready(())
    }
}
