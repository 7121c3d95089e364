//! How a server that runs becomes another one: what is new is started before what is old is ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::clients::Clients;
use crate::config::{Scaling, ServerSettings, Settings};
use crate::definition::Definition;
use crate::failure::Failure;
use crate::feed::Lists;
use crate::line_up::{LineUp, Standing};
use crate::live::Live;
use crate::opener::{Means, Opener};
use crate::replica::Replica;
use crate::roster::Roster;
use crate::server::{Server, lock};

/// How long the end of a server waits for its last words to servers over HTTP.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);
/// A call that was on its way when its connection was given up has so long to show.
const LINGER: Duration = Duration::from_millis(20);

/// What a fleet consists of, and what it takes to change that.
#[derive(Debug)]
pub(crate) struct Yard {
    pub(crate) roster: Arc<Roster>,
    pub(crate) settings: Settings,
    pub(crate) means: Means,
    pub(crate) clients: Arc<Clients>,
    pub(crate) live: Live,
}

/// What is given up of a server.
struct Surplus {
    /// What opened connections that belong to no replica.
    opener: Option<Arc<Opener>>,
    replicas: Vec<Arc<Replica>>,
}

impl Surplus {
    fn whole(line_up: &LineUp) -> Self {
        let opener = Some(Arc::clone(&line_up.opener));
        Self { opener, replicas: line_up.replicas.clone() }
    }

    fn openers(&self) -> impl Iterator<Item = &Arc<Opener>> {
        self.opener.iter().chain(self.replicas.iter().map(|replica| &replica.opener))
    }
}

impl Yard {
    pub(crate) fn opener(&self, definition: impl Into<Arc<Definition>>) -> Opener {
        Opener::new(definition.into(), &self.settings, self.means.clone(), &self.live)
    }

    /// The same for a server that there is: its processes go on writing in its logbook.
    fn opener_of(&self, server: &Server, definition: impl Into<Arc<Definition>>) -> Opener {
        let opener = self.opener(definition);
        opener.log_to(server.logbook());
        opener
    }

    /// Runs a server by another definition. What runs now stays if the other does not start.
    pub(crate) async fn replace(
        &self,
        server: &Arc<Server>,
        by: Definition,
    ) -> Result<(), Failure> {
        let turn = server.turnover.lock().await;
        let now = self.changeable(server)?;
        let mut next = LineUp::new(self.opener_of(server, by));
        if now.standing == Standing::Stopped && next.standing == Standing::Wanted {
            let opener = self.opener_of(server, Arc::clone(&next.opener.definition));
            next = LineUp::empty(opener, Standing::Stopped, next.scaling, next.treatment);
        }
        next.start(&server.itself);
        if let Err(failure) = next.settled().await
            && now.open().next().is_some()
        {
            self.end(server, Surplus::whole(&next)).await;
            return Err(failure);
        }
        let old = self.install(server, next);
        drop(turn);
        self.retire(server, Surplus::whole(&old)).await;
        Ok(())
    }

    /// Has calls be treated in another way. Nothing of what runs is touched.
    pub(crate) async fn treat(
        &self,
        server: &Arc<Server>,
        settings: &ServerSettings,
    ) -> Result<(), Failure> {
        let _turn = server.turnover.lock().await;
        let next = self.changeable(server)?.treated(settings);
        self.install(server, next);
        Ok(())
    }

    /// Runs a server anew, by the same definition; also one that has failed, or that cannot run
    /// twice at the same time.
    pub(crate) async fn restart(&self, server: &Arc<Server>) -> Result<(), Failure> {
        let turn = server.turnover.lock().await;
        let now = self.changeable(server)?;
        if now.standing != Standing::Wanted {
            drop(turn);
            return self.start(server).await;
        }
        let next = self.again(server, &now);
        next.start(&server.itself);
        let outcome = next.settled().await;
        if outcome.is_ok() || now.open().next().is_none() {
            let old = self.install(server, next);
            drop(turn);
            self.retire(server, Surplus::whole(&old)).await;
            return outcome;
        }
        // It may need what only one of the two can have.
        self.end(server, Surplus::whole(&next)).await;
        let old = self.install(server, self.again(server, &now));
        self.retire(server, Surplus::whole(&old)).await;
        let next = server.line_up();
        next.replicas.iter().for_each(|replica| replica.restart(&server.itself));
        next.settled().await
    }

    /// Starts what is stopped or has failed.
    pub(crate) async fn start(&self, server: &Arc<Server>) -> Result<(), Failure> {
        let turn = server.turnover.lock().await;
        let now = self.changeable(server)?;
        if now.standing == Standing::Stopped {
            let next = self.again(server, &now);
            next.start(&server.itself);
            self.install(server, next);
        } else {
            server.standing(&now)?;
            now.start(&server.itself);
        }
        drop(turn);
        server.line_up().settled().await
    }

    /// Stops a server. It stays on the list.
    pub(crate) async fn stop(&self, server: &Arc<Server>) -> Result<(), Failure> {
        let turn = server.turnover.lock().await;
        let now = self.changeable(server)?;
        if now.standing != Standing::Wanted {
            return Ok(());
        }
        let opener = self.opener_of(server, Arc::clone(&now.opener.definition));
        let next = LineUp::empty(opener, Standing::Stopped, now.scaling.clone(), now.treatment());
        let old = self.install(server, next);
        drop(turn);
        self.retire(server, Surplus::whole(&old)).await;
        Ok(())
    }

    /// Ends a server that is on no list any more.
    pub(crate) async fn bury(&self, server: &Arc<Server>) {
        let turn = server.turnover.lock().await;
        let now = server.line_up();
        let opener = self.opener_of(server, Arc::clone(&now.opener.definition));
        let next = LineUp::empty(opener, Standing::Removed, now.scaling.clone(), now.treatment());
        let old = self.install(server, next);
        drop(turn);
        // What was to be seen of it is not any more, and this was all.
        server.feed().lists_changed(Lists::ALL);
        server.feed().close();
        self.clients.forget(server);
        self.retire(server, Surplus::whole(&old)).await;
    }

    /// Gives a server so many replicas, and from now on within these bounds.
    pub(crate) async fn scale(
        &self,
        server: &Arc<Server>,
        count: usize,
        within: impl FnOnce(&Scaling) -> Scaling,
    ) -> Result<(), Failure> {
        let turn = server.turnover.lock().await;
        let now = self.changeable(server)?;
        let wanted = now.standing == Standing::Wanted;
        let scaling = within(&now.scaling);
        let (next, replicas) = now.scaled(if wanted { count } else { 0 }, scaling);
        next.start(&server.itself);
        self.install(server, next);
        drop(turn);
        self.retire(server, Surplus { opener: None, replicas }).await;
        Ok(())
    }

    /// Ends everything at once, because the fleet is being stopped.
    pub(crate) async fn halt(&self, server: &Arc<Server>) {
        let _turn = server.turnover.lock().await;
        let now = server.line_up();
        let opener = self.opener_of(server, Arc::clone(&now.opener.definition));
        let next = LineUp::empty(opener, Standing::Stopped, now.scaling.clone(), now.treatment());
        let old = self.install(server, next);
        server.profiles.clear();
        let goodbyes: Vec<_> = Surplus::whole(&old).openers().map(Arc::clone).collect();
        old.retire();
        self.clients.move_on(server, false);
        stop_all(&old.replicas).await;
        say_goodbye(&goodbyes).await;
        // Sessions end with their clients and calls; those that nobody has let go of end here.
        if timeout(GOODBYE_TIMEOUT, old.opener.live.none_left()).await.is_err() {
            old.opener.end().await;
        }
    }

    /// What a server consists of, if that can be changed now.
    fn changeable(&self, server: &Server) -> Result<Arc<LineUp>, Failure> {
        let line_up = server.line_up();
        match line_up.standing {
            _ if self.live.is_stopping() => Err(Failure::Stopping),
            Standing::Removed => Err(Failure::ServerNotFound { name: server.name().to_owned() }),
            _ => Ok(line_up),
        }
    }

    /// The same as `now`, with other replicas, none of which is started.
    fn again(&self, server: &Server, now: &LineUp) -> LineUp {
        let opener = self.opener_of(server, Arc::clone(&now.opener.definition));
        let replicas = match now.standing {
            Standing::Wanted => now.replicas.len(),
            _ => now.scaling.replicas,
        };
        let empty = LineUp::empty(opener, Standing::Wanted, now.scaling.clone(), now.treatment());
        empty.scaled(replicas.max(1), now.scaling.clone()).0
    }

    fn install(&self, server: &Arc<Server>, next: LineUp) -> Arc<LineUp> {
        let old = server.install(next);
        for ours in server.line_up().open() {
            if !old.open().any(|before| Arc::ptr_eq(&before, &ours)) {
                server.arrived(ours);
            }
        }
        server.assess();
        old
    }

    /// Ends what a server has consisted of: its calls first, for as long as they may take.
    async fn retire(&self, server: &Arc<Server>, surplus: Surplus) {
        surplus.openers().for_each(|opener| opener.retire());
        if surplus.opener.is_some() {
            // Sessions say what a server was, and are opened again with what it is.
            server.profiles.clear();
        }
        let now = server.opener();
        let anew =
            surplus.opener.as_ref().is_some_and(|old| old.definition.differs(&now.definition));
        self.clients.move_on(server, anew);
        let drained = async {
            for opener in surplus.openers() {
                opener.load().idle().await;
            }
            sleep(LINGER).await;
            for opener in surplus.openers() {
                opener.load().idle().await;
            }
        };
        tokio::select! {
            drained = timeout(self.settings.drain_timeout, drained) => {
                if drained.is_err() {
                    tracing::warn!(server = %server.name(), "calls did not end in time");
                }
            }
            () = self.live.stopping() => {}
        }
        self.end(server, surplus).await;
    }

    /// Ends what a server has consisted of, now.
    async fn end(&self, server: &Arc<Server>, surplus: Surplus) {
        let openers: Vec<_> = surplus.openers().map(Arc::clone).collect();
        openers.iter().for_each(|opener| opener.retire());
        let gone = |replicas: &[Arc<Replica>]| {
            replicas.iter().fold(Default::default(), |sum, replica| replica.totals().and(sum))
        };
        let before = gone(&surplus.replicas);
        {
            let mut past = lock(&server.past);
            *past = past.and(before);
        }
        stop_all(&surplus.replicas).await;
        if let Some(opener) = &surplus.opener {
            opener.end().await;
        }
        {
            let mut past = lock(&server.past);
            *past = past.and(gone(&surplus.replicas).since(before));
        }
        say_goodbye(&openers).await;
    }
}

async fn stop_all(replicas: &[Arc<Replica>]) {
    let stopping: JoinSet<()> = replicas
        .iter()
        .map(Arc::clone)
        .map(|replica| async move { replica.stop().await })
        .collect();
    stopping.join_all().await;
}

/// Waits until servers over HTTP have heard that calls were cancelled and sessions are over.
async fn say_goodbye(openers: &[Arc<Opener>]) {
    let goodbyes = async {
        for endpoint in openers.iter().filter_map(|opener| opener.endpoint()) {
            endpoint.said_goodbye().await;
        }
    };
    // Whoever does not listen to it is not waited for.
    let _ = timeout(GOODBYE_TIMEOUT, goodbyes).await;
}
