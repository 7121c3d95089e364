//! Where a stream of events is taken up again after it has ended, and when.

use std::time::Duration;

use http::HeaderValue;

use crate::sse::SseEvent;

/// How long we wait before a stream is opened again, unless the server says otherwise.
const PAUSE: Duration = Duration::from_secs(1);
/// A pause that bears no fruit doubles up to this.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// What a server may ask for with `retry`: no storm, and no stream that is as good as lost.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(300);
/// A longer id is none: it would have to be sent back as a header, which servers cap.
const ID_BYTES_MAX: usize = 1024;

/// What has to be remembered of a stream of events.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    /// The id of the last event that had one.
    id: Option<String>,
    /// How long the server wants us to wait.
    retry: Option<Duration>,
    /// How often the stream was asked for since something was heard.
    tries: u32,
}

impl Cursor {
    /// Remembers what `event` says of the stream.
    pub(super) fn hear(&mut self, event: &mut SseEvent) {
        self.tries = 0;
        if let Some(id) = event.id.take() {
            self.id = (!id.is_empty() && id.len() <= ID_BYTES_MAX).then_some(id);
        }
        if let Some(retry) = event.retry {
            self.retry = Some(Duration::from_millis(retry).clamp(RETRY_MIN, RETRY_MAX));
        }
    }

    /// Counts one more try; how many there were since something was heard.
    pub(super) fn begin_try(&mut self) -> u32 {
        self.tries = self.tries.saturating_add(1);
        self.tries
    }

    /// How long to wait before the next try.
    pub(super) fn pause(&self) -> Duration {
        let first = self.retry.unwrap_or(PAUSE);
        let doubled = first.saturating_mul(1 << self.tries.saturating_sub(1).min(16));
        doubled.min(first.max(PAUSE_MAX))
    }

    /// `Last-Event-ID`; `None` if the stream can only begin anew.
    pub(super) fn last_event_id(&self) -> Option<HeaderValue> {
        HeaderValue::from_bytes(self.id.as_ref()?.as_bytes()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(id: Option<&str>, retry: Option<u64>) -> Cursor {
        let mut cursor = Cursor::default();
        let mut event = SseEvent { retry, ..SseEvent::default() };
        event.id = id.map(str::to_owned);
        cursor.hear(&mut event);
        cursor
    }

    #[test]
    fn pauses_double_up_to_a_bound_until_something_is_heard() {
        let table = [
            (None, [1_000, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]),
            (Some(0), [100, 100, 200, 400, 800, 1_600, 3_200, 6_400]),
            (Some(40_000), [40_000; 8]),
            (Some(u64::MAX), [300_000; 8]),
        ];
        for (retry, expected) in table {
            let mut cursor = heard(None, retry);
            for millis in expected {
                assert_eq!(cursor.pause(), Duration::from_millis(millis), "{retry:?}");
                cursor.begin_try();
            }
            for _ in 0..100 {
                cursor.begin_try();
            }
            assert!(cursor.pause() <= RETRY_MAX);
            let first = cursor.retry.unwrap_or(PAUSE);
            cursor.hear(&mut SseEvent::default());
            assert_eq!(cursor.pause(), first);
        }
    }

    #[test]
    fn an_id_is_kept_if_it_can_be_sent_back() {
        let long = "x".repeat(ID_BYTES_MAX + 1);
        for (id, expected) in [
            (Some("7"), Some("7")),
            (Some("Gr\u{fc}\u{df}e"), Some("Gr\u{fc}\u{df}e")),
            (Some(""), None),
            (Some("a\u{1}b"), None),
            (Some(&*long), None),
            (None, None),
        ] {
            let header = heard(id, None).last_event_id();
            assert_eq!(header.as_ref().map(HeaderValue::as_bytes), expected.map(str::as_bytes));
        }
    }
}
