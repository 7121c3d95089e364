//! What the processes of one server write to stderr, in one place: those of its replicas, and those of
//! sessions.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use mcp_supervisor::Tail;
use tokio::sync::watch;

use crate::definition::Definition;
use crate::redact::redact;

/// Lines that are kept. A line has at most 4 KiB and a note on what was cut.
const LINES_MAX: usize = 1_000;

/// The last lines of all processes of a server, in the order in which they were read.
#[derive(Debug, Default)]
pub struct Logbook {
    lines: Mutex<VecDeque<LogLine>>,
    /// How many lines there were so far.
    grown: watch::Sender<u64>,
}

/// One line, without the secrets that the server was given.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogLine {
    /// Counts all lines of the server, from 0 on.
    pub number: u64,
    /// The replica that wrote it; `None` of the process of a client's session.
    pub replica: Option<usize>,
    /// The process, or the one that stands between it and us.
    pub pid: u32,
    /// What it wrote, without the line end. Control characters and all.
    pub text: String,
}

impl Logbook {
    /// The lines from number `from` on that are still there, oldest first.
    pub fn since(&self, from: u64) -> Vec<LogLine> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().filter(|line| line.number >= from).cloned().collect()
    }

    /// The last `count` lines, oldest first.
    pub fn last(&self, count: usize) -> Vec<LogLine> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().skip(lines.len().saturating_sub(count)).cloned().collect()
    }

    /// How many lines there were so far, as that grows. It ends with the server.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.grown.subscribe()
    }

    /// Writes down what the process of this tail says, until it ends.
    pub(crate) fn follow(
        self: &Arc<Self>,
        tail: &Tail,
        definition: &Arc<Definition>,
        replica: Option<usize>,
        pid: u32,
    ) {
        let (book, tail, definition) = (Arc::downgrade(self), tail.clone(), Arc::clone(definition));
        tokio::spawn(async move {
            let (mut extent, mut next) = (tail.watch(), 0);
            loop {
                let is_over = extent.borrow_and_update().is_over;
                let (first, lines) = tail.since(next);
                let Some(book) = Weak::upgrade(&book) else { return };
                if first > next {
                    let lost = format!("[{} lines lost: they came too fast]", first - next);
                    book.write(replica, pid, vec![lost]);
                }
                next = first + lines.len() as u64;
                book.write(replica, pid, redact(&definition, lines));
                drop(book);
                if is_over || extent.changed().await.is_err() {
                    return;
                }
            }
        });
    }

    fn write(&self, replica: Option<usize>, pid: u32, texts: Vec<String>) {
        if texts.is_empty() {
            return;
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut number = *self.grown.borrow();
        for text in texts {
            lines.push_back(LogLine { number, replica, pid, text });
            number += 1;
            if lines.len() > LINES_MAX {
                lines.pop_front();
            }
        }
        self.grown.send_replace(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: Vec<LogLine>) -> Vec<String> {
        lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn lines_are_numbered_and_the_oldest_go() {
        let book = Logbook::default();
        book.write(Some(0), 7, vec!["a".to_owned(), "b".to_owned()]);
        book.write(None, 8, vec!["c".to_owned()]);
        assert_eq!(texts(book.since(0)), ["a", "b", "c"]);
        assert_eq!(texts(book.since(2)), ["c"]);
        assert_eq!(texts(book.last(2)), ["b", "c"]);
        assert_eq!(
            book.since(2)[0],
            LogLine { number: 2, replica: None, pid: 8, text: "c".into() }
        );
        book.write(None, 8, vec![String::new(); LINES_MAX]);
        assert_eq!(book.since(0).len(), LINES_MAX);
        assert_eq!(book.since(0)[0].number, 3);
        assert_eq!(*book.watch().borrow(), 3 + LINES_MAX as u64);
    }

    #[tokio::test]
    async fn what_a_process_says_is_written_down_to_its_last_word() {
        let book = Arc::new(Logbook::default());
        let mut spec = mcp_supervisor::Spec::new("sh");
        spec.args = vec!["-c".into(), "echo one >&2; printf last >&2".into()];
        let process = mcp_supervisor::spawn(&spec).await.unwrap();
        let stdio = crate::config::Stdio::new("sh");
        let kind = crate::config::ServerKind::Stdio(stdio);
        let definition = Definition::from(crate::config::ServerSpec::new("a", kind));
        book.follow(process.stderr(), &Arc::new(definition), Some(3), process.pid());
        book.watch().wait_for(|lines| *lines == 2).await.unwrap();
        assert_eq!(texts(book.since(0)), ["one", "last"]);
        assert_eq!(book.since(0)[0].replica, Some(3));
    }
}
