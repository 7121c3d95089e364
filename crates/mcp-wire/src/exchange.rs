//! One call as its caller sees it: messages on the way, an answer, a deadline.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::{CallError, Event, Message, Timing, duplex};

/// A call in flight. Dropping it before its answer cancels it at the peer.
#[derive(Debug)]
pub struct Exchange {
    source: Source,
    deadline: Deadline,
}

#[derive(Debug)]
enum Source {
    /// Decided without a peer.
    Ready(Option<Result<Event, CallError>>),
    Duplex(duplex::Waiting),
    #[cfg(feature = "http")]
    Http(crate::http::Waiting),
}

impl Exchange {
    /// A call that is over before it began.
    pub fn ready(outcome: Result<Message, CallError>) -> Self {
        // The timing is never used: the first poll ends the call.
        Self::over(Source::Ready(Some(outcome.map(Event::Reply))), Timing::default())
    }

    pub(crate) fn duplex(waiting: duplex::Waiting, timing: Timing) -> Self {
        Self::over(Source::Duplex(waiting), timing)
    }

    #[cfg(feature = "http")]
    pub(crate) fn http(waiting: crate::http::Waiting, timing: Timing) -> Self {
        Self::over(Source::Http(waiting), timing)
    }

    fn over(source: Source, timing: Timing) -> Self {
        Self { source, deadline: Deadline::new(timing) }
    }

    /// The next event. After a reply or an error there is nothing more to read.
    ///
    /// Cancel safe: no event is lost when the returned future is dropped.
    pub async fn next(&mut self) -> Result<Event, CallError> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// As [`next`](Self::next), for implementations of `Future` and `Stream`.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Event, CallError>> {
        loop {
            if let Some(event) = ready!(self.poll_any(context)) {
                return Poll::Ready(event);
            }
        }
    }

    /// The next event; or `None`, once, if the call is older than `patience` and nothing came.
    ///
    /// The same as a timeout around `next`, without a second timer for each call.
    pub fn poll_within(
        &mut self,
        patience: Duration,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Event, CallError>>> {
        self.deadline.be_patient(patience);
        self.poll_any(context)
    }

    fn poll_any(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Event, CallError>>> {
        let polled = match &mut self.source {
            Source::Ready(outcome) => {
                let over = || Err(CallError::Protocol { why: "read past the answer".to_owned() });
                Poll::Ready(outcome.take().unwrap_or_else(over))
            }
            Source::Duplex(waiting) => waiting.poll_next(context),
            #[cfg(feature = "http")]
            Source::Http(waiting) => waiting.poll_next(context),
        };
        if let Poll::Ready(event) = polled {
            let Ok(Event::Message(message)) = &event else { return Poll::Ready(Some(event)) };
            if message.method() == "notifications/progress" {
                self.deadline.extend();
            }
            // A peer that never stops talking must not put its deadline off for ever.
            return Poll::Ready(Some(if self.deadline.has_passed() { self.late() } else { event }));
        }
        match ready!(self.deadline.poll(context)) {
            Alarm::Quiet => Poll::Ready(None),
            Alarm::Late => Poll::Ready(Some(self.late())),
        }
    }

    fn late(&mut self) -> Result<Event, CallError> {
        // What was waiting is dropped here, which tells the peer to stop.
        self.source = Source::Ready(None);
        Err(CallError::Timeout { after: self.deadline.spent() })
    }

    /// Starts the deadline anew, and with it the patience of [`poll_within`](Self::poll_within).
    ///
    /// For a call that was put aside while a person answered its peer's question: that time was
    /// not the peer's, and whoever reads on must not find it late at once. A call that is over
    /// stays over.
    pub fn renew(&mut self, timing: Timing) {
        self.deadline = Deadline::new(timing);
    }

    /// When the call began.
    pub fn begun(&self) -> Instant {
        self.deadline.start
    }

    /// Counts the longest time in all from `begun`: a call that is sent again is still one call.
    pub fn begin_at(&mut self, begun: Instant) {
        self.deadline.begin_at(begun);
    }

    /// The answer alone; what comes on the way is dropped.
    pub async fn reply(mut self) -> Result<Message, CallError> {
        loop {
            if let Event::Reply(message) = self.next().await? {
                return Ok(message);
            }
        }
    }
}

/// A deadline beyond this is none: a clock cannot be added to for ever.
const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// A silence that progress interrupts, within a cap; and the patience of whoever waits.
#[derive(Debug)]
struct Deadline {
    timing: Timing,
    start: Instant,
    at: Instant,
    /// When whoever waits wants to know that nothing has happened, and whether it was told.
    quiet: Option<Instant>,
    told: bool,
    /// Made when the call first has to wait: an answer that is there already needs no timer.
    sleep: Option<Pin<Box<Sleep>>>,
}

/// What a [`Deadline`] wakes for.
enum Alarm {
    Quiet,
    Late,
}

impl Deadline {
    fn new(mut timing: Timing) -> Self {
        timing.timeout = timing.timeout.min(FAR);
        timing.timeout_max = timing.timeout_max.min(FAR);
        let start = Instant::now();
        let at = start + timing.timeout.min(timing.timeout_max);
        Self { timing, start, at, quiet: None, told: false, sleep: None }
    }

    fn extend(&mut self) {
        let latest = self.start + self.timing.timeout_max;
        self.at = (Instant::now() + self.timing.timeout).min(latest);
    }

    fn begin_at(&mut self, begun: Instant) {
        self.start = begun;
        self.at = self.at.min(begun + self.timing.timeout_max);
    }

    fn be_patient(&mut self, patience: Duration) {
        if !self.told {
            self.quiet = Some(self.start + patience.min(FAR));
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Alarm> {
        let wake = self.quiet.map_or(self.at, |quiet| quiet.min(self.at));
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(wake)));
        if sleep.deadline() != wake {
            sleep.as_mut().reset(wake);
        }
        ready!(sleep.as_mut().poll(context));
        if wake == self.at {
            return Poll::Ready(Alarm::Late);
        }
        (self.quiet, self.told) = (None, true);
        Poll::Ready(Alarm::Quiet)
    }

    fn has_passed(&self) -> bool {
        self.at <= Instant::now()
    }

    fn spent(&self) -> Duration {
        self.at.saturating_duration_since(self.start)
    }
}
