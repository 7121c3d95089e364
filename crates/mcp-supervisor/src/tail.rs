//! The last lines of an output, in bounded memory.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

/// The last lines that a process wrote to stderr. Cloning it shares the same lines.
#[derive(Clone)]
pub struct Tail {
    ring: Arc<Mutex<Ring>>,
    extent: Arc<watch::Sender<Extent>>,
}

/// How far a [`Tail`] has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extent {
    /// Lines that were finished so far, those that were let go of among them.
    pub lines: u64,
    /// Whether there is no more to come.
    pub is_over: bool,
}

/// What a [`Tail`] has let go of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TailStats {
    /// Whole lines that newer ones have pushed out.
    pub lines_dropped: u64,
    /// The bytes of those lines, and the bytes cut from lines that were too long.
    pub bytes_dropped: u64,
}

impl Tail {
    pub(crate) fn new(lines_max: usize, line_bytes_max: usize) -> Self {
        let ring = Arc::new(Mutex::new(Ring::new(lines_max, line_bytes_max)));
        Self { ring, extent: Arc::default() }
    }

    pub(crate) fn push(&self, bytes: &[u8]) {
        let lines = {
            let mut ring = self.lock();
            ring.push(bytes);
            ring.finished()
        };
        self.extent.send_if_modified(|extent| std::mem::replace(&mut extent.lines, lines) != lines);
    }

    /// Nothing more will come; an unfinished line is one.
    pub(crate) fn end(&self) {
        let lines = {
            let mut ring = self.lock();
            if ring.unfinished().is_some() {
                ring.finish();
            }
            ring.finished()
        };
        self.extent.send_replace(Extent { lines, is_over: true });
    }

    /// How far it has come, as that grows.
    pub fn watch(&self) -> watch::Receiver<Extent> {
        self.extent.subscribe()
    }

    /// The finished lines from number `from` on, the first ever being 0, and the number of the first
    /// of these: more than `from`, if that one was let go of already.
    pub fn since(&self, from: u64) -> (u64, Vec<String>) {
        let ring = self.lock();
        let oldest = ring.stats.lines_dropped;
        let first = from.max(oldest);
        let skip = usize::try_from(first - oldest).unwrap_or(usize::MAX);
        (first, ring.lines.iter().skip(skip).map(Line::to_string).collect())
    }

    /// The last lines, oldest first, without their line ends. The last one may be unfinished; one
    /// that was cut says so. What is no UTF-8 is replaced by U+FFFD.
    pub fn lines(&self) -> Vec<String> {
        let ring = self.lock();
        ring.lines.iter().chain(ring.unfinished()).map(Line::to_string).collect()
    }

    /// What was let go of so far.
    pub fn stats(&self) -> TailStats {
        self.lock().stats
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        // No foreign code runs under the lock, so a poisoned ring is still a consistent one.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Ring {
    lines_max: usize,
    line_bytes_max: usize,
    lines: VecDeque<Line>,
    /// What came since the last line end.
    current: Line,
    stats: TailStats,
}

#[derive(Debug, Default)]
struct Line {
    text: Vec<u8>,
    bytes_cut: u64,
}

impl Ring {
    fn new(lines_max: usize, line_bytes_max: usize) -> Self {
        let (lines, current) = (VecDeque::new(), Line::default());
        Self { lines_max, line_bytes_max, lines, current, stats: TailStats::default() }
    }

    fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = piece.strip_suffix(b"\n");
            self.extend(text.unwrap_or(piece));
            if text.is_some() {
                self.finish();
            }
        }
    }

    fn extend(&mut self, text: &[u8]) {
        let room = self.line_bytes_max - self.current.text.len();
        let (kept, cut) = text.split_at(room.min(text.len()));
        self.current.text.extend_from_slice(kept);
        self.current.bytes_cut += cut.len() as u64;
        self.stats.bytes_dropped += cut.len() as u64;
    }

    fn finish(&mut self) {
        let mut line = std::mem::take(&mut self.current);
        line.text.shrink_to_fit();
        self.lines.push_back(line);
        if self.lines.len() > self.lines_max {
            let oldest = self.lines.pop_front().unwrap_or_default();
            self.stats.lines_dropped += 1;
            self.stats.bytes_dropped += oldest.text.len() as u64;
        }
    }

    fn finished(&self) -> u64 {
        self.stats.lines_dropped + self.lines.len() as u64
    }

    fn unfinished(&self) -> Option<&Line> {
        Some(&self.current).filter(|line| !line.text.is_empty() || line.bytes_cut > 0)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.text);
        f.write_str(text.trim_end_matches('\r'))?;
        if self.bytes_cut > 0 {
            write!(f, " [{} bytes cut]", self.bytes_cut)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keeps_the_last_lines_and_says_what_it_cut() {
        let tail = Tail::new(2, 8);
        tail.push(b"one\ntwo\r\nthr");
        assert_eq!(tail.lines(), ["one", "two", "thr"]);
        tail.push(b"ee-and-more\nfo\xffur\n");
        assert_eq!(tail.lines(), ["three-an [6 bytes cut]", "fo\u{fffd}ur"]);
        assert_eq!(tail.stats(), TailStats { lines_dropped: 2, bytes_dropped: 6 + 3 + 4 });
    }

    #[test]
    fn is_followed_by_the_numbers_of_lines() {
        let tail = Tail::new(2, 80);
        let mut extent = tail.watch();
        assert_eq!(tail.since(0), (0, vec![]));
        tail.push(b"one\ntwo");
        assert!(extent.has_changed().unwrap());
        assert_eq!(*extent.borrow_and_update(), Extent { lines: 1, is_over: false });
        assert_eq!(tail.since(0), (0, vec!["one".to_owned()]));
        tail.push(b" and more");
        assert!(!extent.has_changed().unwrap(), "no line was finished");
        tail.push(b"\nthree\nfour");
        assert_eq!(tail.since(1), (1, vec!["two and more".to_owned(), "three".to_owned()]));
        tail.end();
        assert_eq!(tail.since(0), (2, vec!["three".to_owned(), "four".to_owned()]));
        assert_eq!(*extent.borrow_and_update(), Extent { lines: 4, is_over: true });
        assert_eq!(tail.since(9), (9, vec![]));
    }

    proptest! {
        #[test]
        fn bounded_and_nothing_uncounted(
            pieces in prop::collection::vec("[a-c\n]{0,20}", 0..50),
            lines_max in 0usize..5,
            line_bytes_max in 0usize..8,
        ) {
            let mut ring = Ring::new(lines_max, line_bytes_max);
            for piece in &pieces {
                ring.push(piece.as_bytes());
                let lines = || ring.lines.iter().chain([&ring.current]);
                prop_assert!(ring.lines.len() <= lines_max);
                prop_assert!(lines().all(|line| line.text.len() <= line_bytes_max));
            }
            let all = pieces.concat();
            let kept: usize = ring.lines.iter().chain([&ring.current]).map(|l| l.text.len()).sum();
            let text = all.bytes().filter(|byte| *byte != b'\n').count();
            prop_assert_eq!(kept as u64 + ring.stats.bytes_dropped, text as u64);
            let ends = all.bytes().filter(|byte| *byte == b'\n').count();
            prop_assert_eq!(ring.lines.len() as u64 + ring.stats.lines_dropped, ends as u64);
        }
    }
}
