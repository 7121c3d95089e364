//! The `id` of an event: opaque to clients, and checked when it comes back as `Last-Event-ID`.

use std::fmt;

/// A request id that is longer than this is not repeated in event ids.
const REQUEST_MAX: usize = 128;

/// Which stream, and up to which event it has been read: `STREAM-NUMBER`, and for a call's stream
/// `-REQUEST`.
///
/// The request's id is there so that a client that comes back to a stream of which nothing is left
/// can still be told that its request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventId<'r> {
    pub(crate) stream: u64,
    pub(crate) number: u64,
    /// The id of the request that the stream answers, as JSON.
    pub(crate) request: Option<&'r str>,
}

impl<'r> EventId<'r> {
    /// Behind everything that a stream may ever have had.
    pub(crate) const END: u64 = u64::MAX;

    pub(crate) fn new(stream: u64, number: u64, request: Option<&'r str>) -> Self {
        Self { stream, number, request: request.filter(|request| fits(request)) }
    }

    /// `None` if we cannot have given this id.
    pub(crate) fn parse(text: &'r str) -> Option<Self> {
        let mut parts = text.splitn(3, '-');
        let stream = number_of(parts.next()?)?;
        let number = number_of(parts.next()?)?;
        let request = parts.next();
        let valid = request.is_none_or(fits);
        valid.then_some(Self { stream, number, request })
    }
}

impl fmt::Display for EventId<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.stream, self.number)?;
        self.request.map_or(Ok(()), |request| write!(formatter, "-{request}"))
    }
}

/// Whether a request's id can stand in a header.
fn fits(request: &str) -> bool {
    (1..=REQUEST_MAX).contains(&request.len())
        && request.bytes().all(|byte| byte.is_ascii_graphic())
}

/// One way of writing each number, so that there is one id for each event.
fn number_of(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_back_as_they_were() {
        for (stream, number, request) in [
            (0, 0, None),
            (7, 3, Some("1")),
            (7, u64::MAX, Some("-1.5")),
            (1 << 32, 1, Some(r#""a-b""#)),
        ] {
            let id = EventId::new(stream, number, request);
            assert_eq!(EventId::parse(&id.to_string()), Some(id));
        }
        assert_eq!(EventId::new(1, 1, Some("\"\u{e9}\"")).to_string(), "1-1");
        assert_eq!(EventId::new(1, 1, Some(&"9".repeat(129))).to_string(), "1-1");
    }

    #[test]
    fn what_we_never_gave_is_refused() {
        let wrong = ["", "-", "7", "7-", "-7", "+7-1", "07-1", "7-01", "a-1", "7-1-", "7-1-a b"];
        for text in wrong.into_iter().chain(["99999999999999999999-1", "7_1", " 7-1", "7-1 "]) {
            assert_eq!(EventId::parse(text), None, "{text:?}");
        }
    }
}
