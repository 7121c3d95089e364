//! What is done about a call that failed: sent again, where and when, or not.

use std::time::Duration;

use mcp_wire::CallError;

use crate::connect::Hope;

/// Before a server that could not be reached is tried again.
pub(crate) const PAUSE: Duration = Duration::from_millis(250);
/// How often one call tries to reach its server again. With the pauses this is longer than a
/// server is given to come back, which ends the trying first (`doubt.rs`).
pub(crate) const TRIES_MAX: u32 = 40;
/// Before a call is repeated at a replica that has failed it, the first time; then twice as long.
const REPEAT_PAUSE: Duration = Duration::from_millis(50);

/// A server that wants to be left alone for longer is not waited for: the client is told.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(5);

/// What has happened to one call. The core: told what failed, it says what is to be done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct History {
    /// How often it was sent again although it may have been carried out.
    pub(crate) repeats: u32,
    /// It was sent again because its session was not known.
    pub(crate) readmitted: bool,
    /// How often it was tried again because it did not reach its server.
    pub(crate) tries: u32,
    /// Its client has been asked something, and may have answered.
    pub(crate) asked: bool,
    /// The attempt under way has less time than the call.
    pub(crate) hasty: bool,
}

/// What is to be done about a call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is sent again, after this pause.
    Again(Duration),
    /// It may have been carried out, and this is why it is not repeated.
    Doubtful(&'static str),
    /// It fails as it is.
    Over,
}

impl History {
    /// `safe`: whether carrying the call out twice does no harm, or why it may. `hope`: whether a
    /// server that cannot be reached is given time to come back, or another replica of it answers.
    /// `retries`: how often it may be repeated.
    pub(crate) fn judge(
        &mut self,
        error: &CallError,
        safe: Result<(), &'static str>,
        hope: Hope,
        retries: u32,
    ) -> Verdict {
        match error {
            // An answer to a question is not given twice, so whatever hangs on it may not be either.
            CallError::Closed { .. } if self.asked => {
                Verdict::Doubtful("its client was asked something for it")
            }
            CallError::Closed { .. } if retries == 0 => {
                Verdict::Doubtful("its policy wants no repeats")
            }
            CallError::Closed { .. } if self.repeats >= repeats_max(hope, retries) => {
                Verdict::Doubtful("it was repeated already")
            }
            CallError::Closed { .. } => match safe {
                Ok(()) => {
                    self.repeats += 1;
                    Verdict::Again(Duration::ZERO)
                }
                Err(why) => Verdict::Doubtful(why),
            },
            CallError::Status { status, retry_after, .. }
                if safe.is_ok() && !self.asked && may_pass(*status) =>
            {
                if self.repeats >= retries {
                    return Verdict::Over;
                }
                let own = REPEAT_PAUSE * 2_u32.pow(self.repeats);
                let pause = match hope {
                    Hope::Elsewhere => Duration::ZERO,
                    _ => retry_after.unwrap_or(own),
                };
                if pause > RETRY_AFTER_MAX {
                    return Verdict::Over;
                }
                self.repeats += 1;
                Verdict::Again(pause)
            }
            // Its time at this replica is over, not its time.
            CallError::Timeout { .. }
                if self.hasty && safe.is_ok() && !self.asked && hope == Hope::Elsewhere =>
            {
                self.repeats += 1;
                Verdict::Again(Duration::ZERO)
            }
            CallError::SessionLost if !self.readmitted => {
                self.readmitted = true;
                Verdict::Again(Duration::ZERO)
            }
            CallError::Unsent { .. } | CallError::Connect { .. } if self.tries < TRIES_MAX => {
                self.tries += 1;
                let reached = !matches!(error, CallError::Connect { .. });
                match hope {
                    Hope::Elsewhere => Verdict::Again(Duration::ZERO),
                    _ if reached && self.tries == 1 => Verdict::Again(Duration::ZERO),
                    Hope::Later => Verdict::Again(PAUSE),
                    Hope::None => Verdict::Over,
                }
            }
            _ => Verdict::Over,
        }
    }
}

/// A server that is alone is given one more chance, others one each.
pub(crate) fn repeats_max(hope: Hope, retries: u32) -> u32 {
    if hope == Hope::Elsewhere { retries } else { retries.min(1) }
}

/// Whether a status is of the moment, or of one replica.
pub(crate) fn may_pass(status: u16) -> bool {
    matches!(status, 429 | 500 | 502 | 503 | 504)
}

/// Whether another replica might not have failed the call in this way.
pub(crate) fn is_about_one(error: &CallError) -> bool {
    matches!(
        error,
        CallError::Closed { .. }
            | CallError::Connect { .. }
            | CallError::Unsent { .. }
            | CallError::Status { .. }
            | CallError::Timeout { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAFE: Result<(), &str> = Ok(());
    const NOW: Verdict = Verdict::Again(Duration::ZERO);

    fn closed() -> CallError {
        CallError::Closed { why: "gone".to_owned() }
    }

    fn unreached() -> CallError {
        CallError::Connect { why: "refused".to_owned() }
    }

    #[test]
    fn what_was_perhaps_carried_out_is_repeated_if_it_is_safe_and_not_for_ever() {
        let mut history = History::default();
        assert_eq!(history.judge(&closed(), Err("why"), Hope::Later, 2), Verdict::Doubtful("why"));
        assert_eq!(history.judge(&closed(), SAFE, Hope::Later, 2), NOW);
        assert!(matches!(history.judge(&closed(), SAFE, Hope::Later, 2), Verdict::Doubtful(_)));
        assert_eq!(
            history.judge(&closed(), SAFE, Hope::Elsewhere, 2),
            NOW,
            "others have a chance each"
        );
        assert!(matches!(history.judge(&closed(), SAFE, Hope::Elsewhere, 2), Verdict::Doubtful(_)));
        let mut asked = History { asked: true, ..History::default() };
        assert!(matches!(asked.judge(&closed(), SAFE, Hope::Later, 2), Verdict::Doubtful(_)));
    }

    #[test]
    fn a_refusal_of_the_moment_is_no_answer_to_what_is_safe_to_repeat() {
        let refused = |status, seconds: Option<u64>| {
            let retry_after = seconds.map(Duration::from_secs);
            CallError::Status { status, body: String::new(), retry_after }
        };
        let pause = |pause| Verdict::Again(Duration::from_millis(pause));
        let mut history = History::default();
        assert_eq!(history.judge(&refused(503, None), Err("why"), Hope::Later, 2), Verdict::Over);
        assert_eq!(history.judge(&refused(401, None), SAFE, Hope::Elsewhere, 2), Verdict::Over);
        assert_eq!(history.judge(&refused(429, Some(6)), SAFE, Hope::None, 2), Verdict::Over);
        assert_eq!(history.judge(&refused(503, Some(9)), SAFE, Hope::Elsewhere, 2), NOW);
        assert_eq!(history.judge(&refused(429, Some(2)), SAFE, Hope::None, 2), pause(2_000));
        assert_eq!(history.judge(&refused(503, None), SAFE, Hope::Elsewhere, 2), Verdict::Over);
        let mut history = History::default();
        assert_eq!(history.judge(&refused(500, None), SAFE, Hope::None, 2), pause(50));
        assert_eq!(history.judge(&refused(500, None), SAFE, Hope::None, 2), pause(100));
    }

    #[test]
    fn what_was_not_seen_is_sent_again_whatever_it_does() {
        let (harmful, unsent) = (Err("why"), CallError::Unsent { why: "gone".to_owned() });
        let mut history = History::default();
        assert_eq!(history.judge(&CallError::SessionLost, harmful, Hope::None, 2), NOW);
        assert_eq!(history.judge(&CallError::SessionLost, harmful, Hope::None, 2), Verdict::Over);
        assert_eq!(history.judge(&unsent, harmful, Hope::None, 2), NOW);
        assert_eq!(history.judge(&unsent, harmful, Hope::None, 2), Verdict::Over);
        for _ in 2..TRIES_MAX {
            assert_eq!(history.judge(&unreached(), harmful, Hope::Later, 2), Verdict::Again(PAUSE));
        }
        assert_eq!(history.judge(&unreached(), harmful, Hope::Later, 2), Verdict::Over);
        assert_eq!(History::default().judge(&unreached(), harmful, Hope::None, 2), Verdict::Over);
        assert_eq!(History::default().judge(&unreached(), harmful, Hope::Elsewhere, 2), NOW);
    }

    #[test]
    fn an_answer_of_any_kind_and_our_own_limits_are_the_end() {
        let after = Duration::from_secs(60);
        for error in [
            CallError::Status { status: 400, body: String::new(), retry_after: None },
            CallError::Timeout { after },
            CallError::Overloaded,
            CallError::SlowCaller { limit: 1 },
            CallError::Cancelled,
            CallError::Protocol { why: String::new() },
        ] {
            assert_eq!(
                History::default().judge(&error, SAFE, Hope::Later, 2),
                Verdict::Over,
                "{error}"
            );
        }
    }
}
