//! HTTP/1.1 on a plain socket: exact bytes out, exact bytes in.

use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A server that is silent for this long has failed the test.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// An answer: its head, and a body that is read when asked for.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Names as they came, and values without the spaces around them.
    pub headers: Vec<(String, String)>,
    body: Body,
}

#[derive(Debug)]
struct Body {
    stream: BufReader<TcpStream>,
    left: Left,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// This many bytes, then the end.
    Bytes(u64),
    /// This many bytes of a chunk, then its line end, then more chunks.
    Chunk(u64),
    /// Everything until the server closes.
    UntilClose,
    Nothing,
}

/// Sends `bytes` to the host of `url` as they are, and reads the head of the answer.
pub fn exchange(url: &str, bytes: &[u8]) -> Result<Reply> {
    head(BufReader::new(begin(url, bytes)?))
}

/// Sends `bytes` to the host of `url` as they are, and leaves the answer to the caller.
pub fn begin(url: &str, bytes: &[u8]) -> Result<TcpStream> {
    let (authority, _) = split(url);
    let mut stream = TcpStream::connect(authority)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    stream.set_write_timeout(Some(SILENCE_MAX))?;
    match stream.write_all(bytes) {
        // A server that has seen enough answers and closes; what it said can still be read.
        Err(error)
            if !matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) =>
        {
            Err(error)
        }
        _ => Ok(stream),
    }
}

/// The bytes of a request with these headers besides `Host`, and `Content-Length` for a body.
pub fn request(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let (authority, path) = split(url);
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        head += &format!("Host: {authority}\r\n");
    }
    if !body.is_empty() || method == "POST" {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

/// POSTs a message, accepting JSON and SSE, with `headers` besides those that this takes.
pub fn post(url: &str, headers: &[(&str, &str)], body: &str) -> Result<Reply> {
    exchange(url, &posted(url, headers, body))
}

/// The bytes of that.
pub(super) fn posted(url: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let usual =
        [("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")];
    request("POST", url, &[&usual, headers].concat(), body.as_bytes())
}

/// Opens the stream of a legacy session, or whatever GET does.
pub fn get(url: &str, headers: &[(&str, &str)]) -> Result<Reply> {
    let usual = [("Accept", "text/event-stream")];
    exchange(url, &request("GET", url, &[&usual, headers].concat(), b""))
}

impl Reply {
    /// The value of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Whether the body is a stream of events.
    pub fn is_stream(&self) -> bool {
        self.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"))
    }

    /// The whole body. Waits for the end of it.
    pub fn text(mut self) -> Result<String> {
        let mut bytes = Vec::new();
        self.body.read_to_end(&mut bytes)?;
        String::from_utf8(bytes).map_err(|error| Error::new(ErrorKind::InvalidData, error))
    }

    /// The next message, exactly as it was written: the JSON body, or the data of an event.
    /// Events without data are passed over. None at the end.
    pub fn message(&mut self) -> Result<Option<String>> {
        if !self.is_stream() {
            let mut text = String::new();
            self.body.read_to_string(&mut text)?;
            return Ok(Some(text).filter(|text| !text.trim().is_empty()));
        }
        loop {
            let Some(event) = self.event()? else { return Ok(None) };
            let data = event.iter().filter_map(|line| line.strip_prefix("data:"));
            let data = data.map(|value| value.strip_prefix(' ').unwrap_or(value));
            let data = data.collect::<Vec<_>>().join("\n");
            if !data.is_empty() {
                return Ok(Some(data));
            }
        }
    }

    /// The lines of the next event, comments included. None at the end.
    pub fn event(&mut self) -> Result<Option<Vec<String>>> {
        let mut lines = Vec::new();
        while let Some(line) = self.body.line()? {
            match line.is_empty() {
                true if lines.is_empty() => {}
                true => return Ok(Some(lines)),
                false => lines.push(line),
            }
        }
        Ok(None)
    }
}

impl Body {
    /// Byte by byte, so that nothing is waited for that this line does not need.
    fn line(&mut self) -> Result<Option<String>> {
        let (mut line, mut byte) = (Vec::new(), [0]);
        loop {
            if self.read(&mut byte)? == 0 {
                return Ok(None);
            }
            if byte == *b"\n" {
                break;
            }
            line.extend(byte);
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if let Left::Chunk(0) = self.left {
            let size = line(&mut self.stream)?;
            let size = size.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16)
                .map_err(|_| Error::new(ErrorKind::InvalidData, format!("chunk `{size}`")))?;
            self.left = Left::Chunk(size);
            if size == 0 {
                line(&mut self.stream)?;
                self.left = Left::Nothing;
            }
        }
        let most = match self.left {
            Left::Bytes(left) | Left::Chunk(left) => left.min(buffer.len() as u64),
            Left::UntilClose => buffer.len() as u64,
            Left::Nothing => 0,
        };
        let most = usize::try_from(most).unwrap_or(buffer.len());
        let count = if most == 0 { 0 } else { self.stream.read(&mut buffer[..most])? };
        let cut_short = count == 0 && most > 0;
        match &mut self.left {
            Left::Bytes(_) | Left::Chunk(_) if cut_short => {
                return Err(Error::new(ErrorKind::UnexpectedEof, "the body was cut short"));
            }
            Left::Bytes(left) => *left -= count as u64,
            Left::Chunk(left) => {
                *left -= count as u64;
                if *left == 0 {
                    line(&mut self.stream)?;
                }
            }
            Left::UntilClose | Left::Nothing => {}
        }
        Ok(count)
    }
}

fn head(mut stream: BufReader<TcpStream>) -> Result<Reply> {
    let status = line(&mut stream)?;
    let code = status.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status =
        code.ok_or_else(|| Error::new(ErrorKind::InvalidData, format!("status `{status}`")))?;
    let mut headers = Vec::new();
    loop {
        let line = line(&mut stream)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut reply = Reply { status, headers, body: Body { stream, left: Left::UntilClose } };
    let chunked = reply.header("transfer-encoding").is_some_and(|how| how.contains("chunked"));
    let length = reply.header("content-length").and_then(|length| length.parse().ok());
    reply.body.left = match length {
        _ if matches!(status, 204 | 304) => Left::Nothing,
        _ if chunked => Left::Chunk(0),
        Some(length) => Left::Bytes(length),
        None => Left::UntilClose,
    };
    Ok(reply)
}

fn line(stream: &mut BufReader<TcpStream>) -> Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(Error::new(ErrorKind::UnexpectedEof, "the server closed the connection"));
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// The authority and the path of an `http://` address.
fn split(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    }
}
