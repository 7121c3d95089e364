//! How a server is doing, from how its replicas are doing.

use std::sync::Arc;

use mcp_supervisor::{Ending, Phase};

use crate::feed::Lists;
use crate::line_up::{LineUp, Standing};
use crate::lists::{self, ListKind};
use crate::replica::{Prospect, Replica, Status};
use crate::server::Server;
use crate::state::State;
use crate::upstream::Upstream;

impl Server {
    /// Takes note of what happened to a replica.
    pub(crate) fn note(self: &Arc<Self>, replica: &Arc<Replica>, status: &Status) {
        let line_up = self.line_up();
        if !line_up.replicas.iter().any(|known| Arc::ptr_eq(known, replica)) {
            return;
        }
        match status.phase {
            Phase::Running => {
                if let Some(ours) = replica.ours() {
                    self.arrived(ours);
                }
            }
            // It answered before, so calls may wait for it to come back.
            Phase::Backoff { after: Ending::NeverReady, .. }
                if !line_up.opener.definition.has_processes()
                    && replica.totals().started > 0
                    && line_up.open().next().is_none() =>
            {
                self.doubt.raise();
            }
            _ => {}
        }
        self.assess();
    }

    /// Works out how it is doing, and tells who waits for a change.
    pub(crate) fn assess(&self) {
        self.tell();
        self.state.send_if_modified(|state| {
            // Under the lock, so that of two who look at once the later one is right.
            let now = state_of(&self.line_up());
            let news = *state != now;
            *state = now;
            news
        });
        #[cfg(feature = "pool")]
        self.keep_spares();
        self.moves.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// A server that speaks in sessions, and has shown that it starts, is worth spares.
    #[cfg(feature = "pool")]
    fn keep_spares(&self) {
        let line_up = self.line_up();
        if line_up.standing == Standing::Wanted
            && line_up.open().any(|ours| ours.era() == mcp_wire::Era::Legacy)
        {
            line_up.opener.keep_spares();
        }
    }

    /// A replica has come up: reads what it offers, and says so.
    pub(crate) fn arrived(self: &Arc<Self>, ours: Arc<Upstream>) {
        self.doubt.settle();
        let server = Arc::clone(self);
        tokio::spawn(async move {
            for kind in ListKind::ALL {
                let _ = lists::fetch(&server, &ours, kind).await;
            }
            server.arrivals.send_modify(|count| *count += 1);
            if server.line_up().is_news() {
                server.feed().lists_changed(Lists::ALL);
            }
        });
    }
}

fn state_of(line_up: &LineUp) -> State {
    match line_up.standing {
        Standing::Disabled => return State::Disabled,
        Standing::Stopped | Standing::Removed => return State::Stopped,
        Standing::Wanted => {}
    }
    let mut open = line_up.open();
    if let Some(ours) = open.next() {
        let (replicas, of) = (1 + open.count(), line_up.replicas.len());
        return State::Ready { replicas, of, era: ours.era() };
    }
    let last = || line_up.replicas.iter().find_map(|replica| replica.status().last_error);
    match line_up.prospect() {
        Some(Prospect::None(failure, None)) => State::Failed { failure },
        Some(Prospect::Idle(_)) => State::Idle,
        Some(Prospect::None(failure, Some(_)) | Prospect::Later(_, Some(failure))) => {
            State::Restarting { failure }
        }
        _ => match last() {
            Some(failure) => State::Restarting { failure },
            None => State::Starting,
        },
    }
}
