//! The clients that have a session, so that they can be told what concerns them all.

use std::sync::{Arc, Mutex, Weak};

use crate::client::Client;
use crate::server::{Server, lock};

#[derive(Debug, Default)]
pub(crate) struct Clients {
    all: Mutex<Vec<Weak<Client>>>,
}

impl Clients {
    pub(crate) fn add(&self, client: &Arc<Client>) {
        let mut all = lock(&self.all);
        all.retain(|client| client.strong_count() > 0);
        all.push(Arc::downgrade(client));
    }

    /// Tells every client that there may be more, or less, to see.
    pub(crate) fn lists_changed(&self) {
        self.now().for_each(|client| client.arrived());
    }

    /// Lets every client go over to what `server` consists of now.
    pub(crate) fn move_on(&self, server: &Arc<Server>, anew: bool) {
        self.now().for_each(|client| client.move_on(server, anew));
    }

    /// Lets every client forget a server that is gone.
    pub(crate) fn forget(&self, server: &Arc<Server>) {
        self.now().for_each(|client| client.forget(server));
    }

    fn now(&self) -> impl Iterator<Item = Arc<Client>> {
        let all: Vec<_> = lock(&self.all).iter().filter_map(Weak::upgrade).collect();
        all.into_iter()
    }
}
