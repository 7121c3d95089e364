//! What must come of a plan: no ids are mapped here, no message is parsed.

/// One thing that a caller saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Message(String),
    Reply(String),
    Failed(String),
}

/// How a call ended.
#[derive(Debug)]
pub(crate) enum End {
    Seen(Seen),
    Late,
    /// The caller went away, and nobody knows what it saw.
    Left,
}

struct Call {
    ours: u64,
    ticks: u32,
    ticks_left: u32,
    seen: Vec<Seen>,
    over: bool,
    left: bool,
    askable: bool,
}

pub(crate) struct Model {
    pub(crate) exclusive: bool,
    calls: Vec<Call>,
    contents: u64,
    pub(crate) inbox: Vec<String>,
    pub(crate) cancelled: Vec<String>,
    pub(crate) stray: u64,
    pub(crate) malformed: u64,
}

impl Model {
    pub(crate) fn new(exclusive: bool) -> Self {
        let (calls, inbox, cancelled) = (Vec::new(), Vec::new(), Vec::new());
        Self { exclusive, calls, contents: 0, inbox, cancelled, stray: 0, malformed: 0 }
    }

    /// A JSON text that occurs nowhere else.
    pub(crate) fn fresh(&mut self) -> String {
        self.contents += 1;
        format!(r#"{{"content":{}}}"#, self.contents)
    }

    pub(crate) fn begin(&mut self, ours: u64, ticks: u32, askable: bool) {
        let (seen, ticks_left) = (Vec::new(), ticks);
        let (over, left) = (false, false);
        self.calls.push(Call { ours, ticks, ticks_left, seen, over, left, askable });
    }

    /// A message for the call `at`: seen if that waits, a stray one if not.
    pub(crate) fn deliver(&mut self, at: usize, seen: Seen) {
        match &mut self.calls[at] {
            call if call.over => self.stray += 1,
            call => call.seen.push(seen),
        }
    }

    /// A message for whoever it may concern.
    pub(crate) fn unsolicited(&mut self, message: &str) {
        let newest = |askable: bool| {
            let concerned = |call: &Call| !call.over && (call.askable || !askable);
            self.calls.iter().rposition(concerned)
        };
        match newest(true).or_else(|| newest(false)) {
            Some(at) if self.exclusive => {
                self.calls[at].seen.push(Seen::Message(message.to_owned()));
            }
            _ => self.inbox.push(message.to_owned()),
        }
    }

    pub(crate) fn end(&mut self, at: usize, end: End) {
        let call = &mut self.calls[at];
        match end {
            End::Seen(_) if call.over => self.stray += 1,
            End::Seen(last) => call.seen.push(last),
            End::Late | End::Left if call.over => {}
            End::Late | End::Left => {
                if matches!(end, End::Late) {
                    let after = f64::from(call.ticks * 10 - 5) / 1000.0;
                    let after = std::time::Duration::from_secs_f64(after);
                    call.seen.push(Seen::Failed(format!("no answer within {after:?}")));
                }
                call.left = matches!(end, End::Left);
                let params =
                    format!(r#"{{"requestId":{},"reason":"the caller has gone"}}"#, call.ours);
                let method = "notifications/cancelled";
                self.cancelled
                    .push(format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#));
            }
        }
        call.over = true;
    }

    /// An answer that cannot be read: counted apart, and late ones are no strays.
    pub(crate) fn unreadable(&mut self, at: usize, seen: Seen) {
        self.malformed += 1;
        let call = &mut self.calls[at];
        if !call.over {
            call.seen.push(seen);
            call.over = true;
        }
    }

    pub(crate) fn pass(&mut self, ticks: u32) {
        for _ in 0..ticks {
            for at in 0..self.calls.len() {
                let call = &mut self.calls[at];
                call.ticks_left = call.ticks_left.saturating_sub(1);
                if call.ticks_left == 0 {
                    self.end(at, End::Late);
                }
            }
        }
    }

    /// What the caller saw; `None` if it left.
    pub(crate) fn seen(&self, at: usize) -> Option<&[Seen]> {
        let call = &self.calls[at];
        (!call.left).then_some(&*call.seen)
    }
}
