//! Has the number of a server's replicas follow the load.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::config::Scaling;
use crate::scaling::Scaler;
use crate::server::Server;
use crate::turnover::Yard;

/// How often it is looked, in parts of the cool-down, and how often at the most and the least.
const LOOKS: u32 = 50;
const LOOK_MIN: Duration = Duration::from_millis(20);
const LOOK_MAX: Duration = Duration::from_secs(1);

/// Attends to a server for as long as it is there.
pub(crate) fn begin(yard: &Arc<Yard>, server: &Arc<Server>) {
    tokio::spawn(attend(Arc::downgrade(yard), Arc::downgrade(server)));
}

async fn attend(yard: Weak<Yard>, server: Weak<Server>) {
    loop {
        // Most servers have a number that stays: nothing is done for them until it changes.
        let Some(mut moves) = server.upgrade().map(|server| server.moves.subscribe()) else {
            return;
        };
        while server.upgrade().is_some_and(|server| !follows(&server.line_up().scaling)) {
            if moves.changed().await.is_err() {
                return;
            }
        }
        if follow(&yard, &server).await.is_none() {
            return;
        }
    }
}

fn follows(scaling: &Scaling) -> bool {
    scaling.replicas_max > scaling.replicas_min
}

/// Looks again and again, until the number stays; `None` when the server or its fleet is gone.
async fn follow(yard: &Weak<Yard>, server: &Weak<Server>) -> Option<()> {
    let cooldown = server.upgrade()?.line_up().scaling.cooldown;
    let mut looks = interval((cooldown / LOOKS).clamp(LOOK_MIN, LOOK_MAX));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut scaler, mut before) = (Scaler::default(), None);
    loop {
        looks.tick().await;
        let server = server.upgrade()?;
        let line_up = server.line_up();
        if !follows(&line_up.scaling) {
            return Some(());
        }
        let count = line_up.replicas.len();
        let now = Instant::now().into_std();
        if before.replace(count).is_some_and(|before| before != count) {
            scaler.changed(now);
        }
        if count == 0 {
            // It is stopped.
            continue;
        }
        let in_flight = line_up.replicas.iter().map(|replica| replica.opener.load().in_flight());
        let load = in_flight.sum::<usize>() + server.waiting();
        if let Some(next) = scaler.decide(&line_up.scaling, load, count, now) {
            tracing::info!(server = %server.name(), load, count, next, "the number of replicas follows the load");
            let yard = yard.upgrade()?;
            // On its own: what is too much takes its time to drain, and more may be needed by then.
            tokio::spawn(async move {
                if let Err(failure) = yard.scale(&server, next, Clone::clone).await {
                    tracing::debug!(server = %server.name(), %failure, "not scaled");
                }
            });
            before = Some(next);
        }
    }
}
