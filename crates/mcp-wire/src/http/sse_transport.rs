//! The HTTP+SSE transport of 2024-11-05, which streamable HTTP replaced: one stream of events for
//! all that the server says, a POST for each message of ours.
//!
//! It is made to look like what it is, two streams of lines, for
//! [`Connection::over_streams`](crate::Connection::over_streams). A message that cannot be
//! delivered ends the connection, as a pipe that breaks does.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http::uri::PathAndQuery;
use http::{Method, Uri};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use super::client::{ACKNOWLEDGE_TIMEOUT, Connection, EVENT_STREAM, MESSAGE_TYPES};
use super::endpoint::{Endpoint, Target};
use super::listen::opens;
use super::response::{read, refusal};
use super::stream::{EventStream, carries_message};
use crate::{CallError, Limits};

/// How long a server may take to say where messages go: it is the first thing that it says.
const ENDPOINT_TIMEOUT: Duration = Duration::from_secs(10);

/// What the server says, a line for each message.
#[derive(Debug)]
pub struct Reader {
    events: EventStream,
    /// What is left of a message.
    line: Bytes,
    /// The stream lasts as long as this is held.
    _connection: Connection,
}

/// Where lines become POSTs, one after the other, so that messages stay in order.
pub struct Writer {
    target: Arc<Target>,
    limits: Limits,
    /// The beginning of a message whose end has not been written yet.
    line: BytesMut,
    /// What was written last, until the server has it.
    posting: Option<Posting>,
    failed: Option<String>,
}

type Posting = Pin<Box<dyn Future<Output = Result<(), CallError>> + Send>>;

impl std::fmt::Debug for Writer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Writer").field("target", &self.target).finish_non_exhaustive()
    }
}

/// Opens the stream at `endpoint`, and learns from it where messages go.
pub async fn connect(endpoint: &Endpoint, limits: &Limits) -> Result<(Reader, Writer), CallError> {
    let late = CallError::Timeout { after: ENDPOINT_TIMEOUT };
    timeout(ENDPOINT_TIMEOUT, open(&endpoint.target, limits)).await.unwrap_or(Err(late))
}

async fn open(target: &Arc<Target>, limits: &Limits) -> Result<(Reader, Writer), CallError> {
    let request = target.request(Method::GET, EVENT_STREAM, Bytes::new());
    let (response, connection) = target.pool.send(request).await?;
    let (head, body) = response.into_parts();
    opens(&head)?;
    let mut events = EventStream::new(body, limits);
    let given = loop {
        match poll_fn(|context| events.poll_next(context)).await? {
            Some(event) if event.event == "endpoint" => break event.data,
            Some(_) => {}
            None => {
                let why = "the stream ended before it said where messages go".to_owned();
                return Err(CallError::Closed { why });
            }
        }
    };
    let target = Arc::new(target.at(resolve(target, &String::from_utf8_lossy(&given))?));
    let (line, posting, failed) = (BytesMut::new(), None, None);
    let writer = Writer { target, limits: *limits, line, posting, failed };
    Ok((Reader { events, line: Bytes::new(), _connection: connection }, writer))
}

/// The path of `given`, a URL or a reference relative to the stream's own.
///
/// Whatever we send may hold credentials, so another origin is refused.
fn resolve(target: &Target, given: &str) -> Result<PathAndQuery, CallError> {
    let refused = |rule: &str| {
        let why = format!("the server wants messages at {given:?}, which {rule}");
        CallError::Protocol { why }
    };
    let reference = given.split('#').next().unwrap_or_default().trim();
    let own = target.path.path();
    // A URL may also stand in the query of a path, and is part of that.
    let has_scheme = reference.split(['/', '?']).next().is_some_and(|start| start.ends_with(':'));
    let path = if reference.starts_with("//") || has_scheme {
        let scheme = if has_scheme { "" } else { target.scheme_prefix() };
        let url =
            Uri::try_from(format!("{scheme}{reference}")).map_err(|_| refused("is no URL"))?;
        if !target.is_origin_of(&url) {
            return Err(refused("is not where the stream is from, so nothing is sent there"));
        }
        return Ok(url.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/")));
    } else if reference.starts_with('/') {
        reference.to_owned()
    } else if reference.starts_with('?') {
        format!("{own}{reference}")
    } else {
        format!("{}/{reference}", own.rsplit_once('/').map_or("", |(directory, _)| directory))
    };
    PathAndQuery::try_from(path).map_err(|_| refused("is no path"))
}

impl AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.line.is_empty() {
            match ready!(self.events.poll_next(context)) {
                Ok(Some(event)) if carries_message(&event) => self.line = line(event.data),
                Ok(Some(_)) => {}
                Ok(None) => return Poll::Ready(Ok(())),
                Err(error) => return Poll::Ready(Err(io::Error::other(error.to_string()))),
            }
        }
        let part = self.line.len().min(buffer.remaining());
        buffer.put_slice(&self.line[..part]);
        self.line.advance(part);
        Poll::Ready(Ok(()))
    }
}

/// One line: JSON holds line breaks between tokens only, where a space does as well.
fn line(data: Bytes) -> Bytes {
    let mut line = BytesMut::from(data);
    for byte in line.iter_mut() {
        if matches!(*byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    line.extend_from_slice(b"\n");
    line.freeze()
}

impl Writer {
    /// Ready when the server has what was written so far.
    fn poll_posted(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(posting) = &mut self.posting {
            let posted = ready!(posting.as_mut().poll(context));
            self.posting = None;
            self.failed = posted.err().map(|error| format!("a message was not taken: {error}"));
        }
        Poll::Ready(self.failed.clone().map_or(Ok(()), |why| Err(io::Error::other(why))))
    }
}

impl AsyncWrite for Writer {
    /// Takes one line at most, and the next one when the server has that.
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_posted(context))?;
        let end = memchr::memchr(b'\n', bytes);
        self.line.extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
        if end.is_some() {
            let message = self.line.split().freeze();
            let posting = deliver(Arc::clone(&self.target), self.limits, message);
            self.posting = Some(Box::pin(posting));
        }
        Poll::Ready(Ok(end.map_or(bytes.len(), |end| end + 1)))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_posted(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}

async fn deliver(target: Arc<Target>, limits: Limits, message: Bytes) -> Result<(), CallError> {
    let posted = async {
        let request = target.request(Method::POST, MESSAGE_TYPES, message);
        let (response, connection) = target.pool.send(request).await?;
        let (head, body) = response.into_parts();
        let body = read(body, &limits).await?;
        target.pool.give_back(connection);
        if head.status.is_success() { Ok(()) } else { Err(refusal(&head, &body)) }
    };
    let late = CallError::Timeout { after: ACKNOWLEDGE_TIMEOUT };
    timeout(ACKNOWLEDGE_TIMEOUT, posted).await.unwrap_or(Err(late))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_go_where_the_server_says_but_to_no_other_origin() {
        let stream = "http://example.org:8080/mcp/sse?key=1";
        let target = Endpoint::new(stream, []).expect("legal").target;
        let table = [
            ("/message?sessionId=7", Some("/message?sessionId=7")),
            ("/message?back=http://else.where/", Some("/message?back=http://else.where/")),
            ("message", Some("/mcp/message")),
            ("?session=7", Some("/mcp/sse?session=7")),
            ("http://example.org:8080/a?b#c", Some("/a?b")),
            ("HTTP://EXAMPLE.org:8080", Some("/")),
            ("//example.org:8080/a", Some("/a")),
            ("http://example.org/a", None),
            ("https://example.org:8080/a", None),
            ("http://example.org.evil.test:8080/a", None),
            ("http://evil.test:8080/a", None),
            ("http://user@example.org:8080/a", None),
            ("//evil.test/a", None),
            ("message?back=http://else.where/", Some("/mcp/message?back=http://else.where/")),
            ("/a b", None),
        ];
        for (given, expected) in table {
            let path = resolve(&target, given);
            let path = path.as_ref().ok().map(PathAndQuery::as_str);
            assert_eq!(path, expected, "{given:?}");
        }
        let plain = Endpoint::new("http://[::1]/sse", []).expect("legal").target;
        assert!(resolve(&plain, "http://[::1]:80/m").is_ok());
    }

    #[test]
    fn an_event_of_several_lines_is_one_line() {
        assert_eq!(line(Bytes::from_static(b"{\"a\":\n1}\r")), "{\"a\": 1} \n");
    }
}
