//! What the processes of a server write to stderr, as a stream of JSON lines.

use std::sync::Arc;

use bytes::Bytes;
use mcp_manager::{LogLine, Server};
use serde_json::json;
use tokio::sync::mpsc;

use crate::body::Body;

/// Lines that are shown unless a number is asked for.
const LINES: usize = 50;
/// Chunks that wait for a reader. One that is slower loses lines, and is told how many.
const WAITING_MAX: usize = 16;

/// How much is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    lines: usize,
    follow: bool,
}

impl Wanted {
    /// As a query says: `lines=100&follow=1`. `None` if it says anything else.
    pub(super) fn of(query: &str) -> Option<Self> {
        let mut wanted = Self { lines: LINES, follow: false };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=')? {
                ("lines", count) => wanted.lines = count.parse().ok()?,
                ("follow", "1" | "true") => wanted.follow = true,
                ("follow", "0" | "false") => wanted.follow = false,
                _ => return None,
            }
        }
        Some(wanted)
    }
}

/// The lines that are there, and those to come while somebody reads.
pub(super) fn body(server: &Arc<Server>, wanted: Wanted) -> Body {
    let last = server.logbook().last(wanted.lines);
    if !wanted.follow {
        return Body::whole(last.iter().map(line).collect::<String>());
    }
    // Followed from what was shown last, or from now on.
    let mut next = *server.logbook().watch().borrow();
    if let Some(last) = last.last() {
        next = last.number + 1;
    }
    let (sender, chunks) = mpsc::channel(WAITING_MAX);
    let server = Arc::downgrade(server);
    tokio::spawn(async move {
        let mut text: String = last.iter().map(line).collect();
        loop {
            if !text.is_empty() && sender.send(Bytes::from(text)).await.is_err() {
                return;
            }
            let Some(mut grown) = server.upgrade().map(|server| server.logbook().watch()) else {
                return;
            };
            tokio::select! {
                changed = grown.wait_for(|lines| *lines > next) => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = sender.closed() => return,
            }
            let Some(lines) = server.upgrade().map(|server| server.logbook().since(next)) else {
                return;
            };
            text = match lines.first().map(|first| first.number.saturating_sub(next)) {
                Some(lost @ 1..) => format!("{}\n", json!({ "lost": lost })),
                _ => String::new(),
            };
            text.extend(lines.iter().map(line));
            next = lines.last().map_or(next, |last| last.number + 1);
        }
    });
    Body::stream(chunks)
}

fn line(line: &LogLine) -> String {
    let LogLine { replica, pid, text, .. } = line;
    format!("{}\n", json!({ "replica": replica, "pid": pid, "line": text }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_how_much() {
        let wanted = |lines, follow| Some(Wanted { lines, follow });
        assert_eq!(Wanted::of(""), wanted(LINES, false));
        assert_eq!(Wanted::of("lines=7&follow=1"), wanted(7, true));
        for wrong in ["lines=x", "lines=-1", "follow=yes", "lines", "other=1"] {
            assert_eq!(Wanted::of(wrong), None, "{wrong}");
        }
    }
}
