//! How many processes are alive, so that whoever ends them can wait for the last; and that the
//! shutdown has begun, so that no further one is started.

use std::sync::Arc;

use tokio::sync::watch;

/// Counts guards.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    count: Arc<Count>,
    stopping: Arc<watch::Sender<bool>>,
}

#[derive(Debug, Default)]
struct Count {
    here: watch::Sender<usize>,
    /// The larger number that this one is a part of.
    whole: Option<Arc<Self>>,
}

/// Something that lives.
#[derive(Debug)]
pub(crate) struct LiveGuard {
    count: Arc<Count>,
}

impl Live {
    pub(crate) fn new() -> Self {
        Self { count: Arc::default(), stopping: Arc::default() }
    }

    /// A number of its own that is a part of this one.
    pub(crate) fn part(&self) -> Self {
        let whole = Some(Arc::clone(&self.count));
        let count = Arc::new(Count { here: watch::Sender::default(), whole });
        Self { count, stopping: Arc::clone(&self.stopping) }
    }

    pub(crate) fn guard(&self) -> LiveGuard {
        self.count.each(|count| *count += 1);
        LiveGuard { count: Arc::clone(&self.count) }
    }

    /// Says that the shutdown has begun.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Whether the shutdown has begun.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Resolves when the shutdown has begun.
    pub(crate) async fn stopping(&self) {
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }

    /// Resolves when nothing lives any more.
    pub(crate) async fn none_left(&self) {
        // The sender is ours, so waiting cannot fail.
        let _ = self.count.here.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Count {
    fn each(&self, change: impl Fn(&mut usize)) {
        let mut next = Some(self);
        while let Some(count) = next {
            count.here.send_modify(&change);
            next = count.whole.as_deref();
        }
    }
}

impl Drop for LiveGuard {
    fn drop(&mut self) {
        self.count.each(|count| *count -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_lives_in_a_part_lives_in_the_whole() {
        let whole = Live::new();
        let (one, other) = (whole.part(), whole.part().part());
        let guard = other.guard();
        one.none_left().await;
        assert_eq!(*whole.count.here.borrow(), 1);
        assert_eq!(*other.count.here.borrow(), 1);
        drop(guard);
        other.none_left().await;
        whole.none_left().await;
        whole.stop();
        assert!(other.is_stopping() && one.is_stopping());
    }
}
