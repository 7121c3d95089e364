//! The SSE decoder reads what the standard says, however the bytes are cut.

use bytes::Bytes;
use mcp_wire::sse::SseDecoder;

/// One event: name, id, data, retry.
type Event = (String, Option<String>, Bytes, Option<u64>);

/// The first byte says how the rest is cut.
///
/// # Panics
/// When an event differs from what the standard's algorithm finds.
pub fn run(data: &[u8]) {
    let Some((cut, stream)) = data.split_first() else { return };
    let mut decoder = SseDecoder::new(stream.len() + 1);
    let mut found = Vec::new();
    for chunk in stream.chunks(usize::from(*cut).max(1)) {
        decoder.push(chunk);
        loop {
            match decoder.next_event() {
                Ok(Some(event)) => found.push((event.event, event.id, event.data, event.retry)),
                Ok(None) => break,
                Err(error) => panic!("within the limit: {error}"),
            }
        }
    }
    assert_eq!(found, by_the_standard(stream));
    bounded(stream);
}

/// HTML, 9.2.6, line by line; with our one addition, that what a reader must remember is told of
/// also where there is no data.
fn by_the_standard(stream: &[u8]) -> Vec<Event> {
    let stream = stream.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(stream);
    let mut events = Vec::new();
    let mut event = Event::default();
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for line in whole_lines(stream) {
        if line.is_empty() {
            event.2 = lines.join(&b'\n').into();
            lines.clear();
            let event = std::mem::take(&mut event);
            if !event.2.is_empty() || event.1.is_some() || event.3.is_some() {
                events.push(event);
            }
            continue;
        }
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &line[line.len()..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let text = String::from_utf8_lossy(value).into_owned();
        match name {
            b"data" => lines.push(value.to_vec()),
            b"event" => event.0 = text,
            b"id" if !value.contains(&0) => event.1 = Some(text),
            b"retry" => event.3 = text.parse().ok(),
            _ => {}
        }
    }
    events
}

/// Lines with an end: what the stream breaks off is none.
fn whole_lines(stream: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut rest = stream;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        lines.push(&rest[..at]);
        let end = if rest[at..].starts_with(b"\r\n") { 2 } else { 1 };
        rest = &rest[at + end..];
    }
    lines
}

/// With a limit, more than the limit never waits.
fn bounded(stream: &[u8]) {
    let mut decoder = SseDecoder::new(8);
    decoder.push(stream);
    while let Ok(Some(event)) = decoder.next_event() {
        assert!(event.data.len() <= stream.len());
    }
}
