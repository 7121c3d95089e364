//! Many threads at a time, while the set changes: nothing is lost or counted twice.

mod common;

use std::sync::{Arc, Mutex};
use std::thread;

use common::{World, ms, specs};
use mcp_balance::{Ask, Outcome, Strategy};

const CALLS: u64 = 20_000;
const THREADS: u64 = 4;

#[test]
fn what_begins_ends() {
    for strategy in Strategy::ALL {
        let world = World::weighted(*strategy, &[1; 4]);
        let shared = Arc::new(Mutex::new(world.balancer.clone()));
        let start = world.now;
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let shared = Arc::clone(&shared);
                scope.spawn(move || {
                    for call in 0..CALLS {
                        let balancer = shared.lock().unwrap().clone();
                        let now = start + ms(call);
                        let ask = Ask::new(call.wrapping_mul(0x9e37_79b9_7f4a_7c15) + thread);
                        let picked = balancer.pick(&ask, now).unwrap();
                        match call % 8 {
                            0 => drop(picked),
                            1 => picked.finish(Outcome::Failure, now + ms(1)),
                            _ => picked.finish(Outcome::Success, now + ms(1)),
                        }
                    }
                });
            }
            for turn in 0..100 {
                let mut shared = shared.lock().unwrap();
                // Never fewer than the four whose counts are looked at.
                let changed = shared.changed(specs(&[1; 6][..4 + turn % 3]), start).unwrap();
                *shared = changed;
            }
            let mut shared = shared.lock().unwrap();
            let changed = shared.changed(specs(&[1; 4]), start).unwrap();
            *shared = changed;
        });
        let stats = shared.lock().unwrap().stats(start);
        for one in &stats.endpoints {
            assert_eq!(one.in_flight, 0, "{strategy}");
            assert_eq!(one.picks, one.successes + one.failures + one.cancelled, "{strategy}");
        }
    }
}
