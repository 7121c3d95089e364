//! How evenly keys are spread, and how many move, beside `hashring`.

use std::time::Instant;

use hashring::HashRing;
use mcp_balance::{Ask, Balancer, Config, Hashing, Spec, Strategy};

use crate::random::Random;
use crate::verdict;

const KEYS: usize = 200_000;
/// How much of the fair share of an endpoint's keys may move when it goes.
const MOVED: f64 = 1.5;
/// How much more than its share the fullest may have.
const FULLEST: f64 = 1.1;

/// Where each key goes.
struct Spread {
    owners: Vec<usize>,
    ns: f64,
}

pub(crate) fn run(verdicts: &mut Vec<String>) {
    println!("keys: the fullest of its fair share, moved of those that had to, ns a key");
    for count in [10, 100] {
        let of = |name: &str, spread: &dyn Fn(&[usize]) -> Spread| -> (f64, f64) {
            let all: Vec<_> = (0..count).collect();
            let (before, after) = (spread(&all), spread(&all[..count - 1]));
            let mut counts = vec![0; count];
            before.owners.iter().for_each(|owner| counts[*owner] += 1);
            let fullest = counts.iter().max().copied().unwrap_or(0) as f64;
            let fullest = fullest * count as f64 / KEYS as f64;
            let pairs = before.owners.iter().zip(&after.owners);
            let moved = pairs.filter(|(before, after)| before != after).count();
            let moved = moved as f64 / counts[count - 1].max(1) as f64;
            println!("  {name:<10} of {count:<4} {fullest:>6.2} {moved:>6.2} {:>8.1}", before.ns);
            (fullest, moved)
        };
        of("hashring", &by_hashring);
        of("ring", &|members| by_ours(Hashing::Ring, members));
        let (fullest, moved) = of("Maglev", &|members| by_ours(Hashing::Maglev, members));
        verdicts.push(verdict(&format!("balance/keys-fullest-of-{count}"), fullest, "<=", FULLEST));
        verdicts.push(verdict(&format!("balance/keys-moved-of-{count}"), moved, "<=", MOVED));
    }
}

fn keys() -> Vec<u64> {
    let mut random = Random::new(7);
    (0..KEYS).map(|_| random.bits()).collect()
}

fn by_ours(hashing: Hashing, members: &[usize]) -> Spread {
    let now = Instant::now();
    let mut config = Config::default();
    (config.strategy, config.hashing) = (Strategy::ConsistentHash, hashing);
    config.load_factor = f64::INFINITY;
    let specs = members.iter().map(|member| Spec::new(format!("server-{member}")));
    let empty = Balancer::new(config, now).expect("a configuration");
    let balancer = empty.changed(specs, now).expect("a set");
    spread(|key| {
        let mut ask = Ask::new(0);
        ask.key = Some(key);
        balancer.choose(&ask, now).expect("an endpoint")
    })
}

fn by_hashring(members: &[usize]) -> Spread {
    let mut ring: HashRing<usize> = HashRing::new();
    ring.batch_add(members.to_vec());
    spread(|key| *ring.get(&key).expect("a node"))
}

fn spread(mut owner: impl FnMut(u64) -> usize) -> Spread {
    let keys = keys();
    let start = Instant::now();
    let owners = keys.iter().map(|key| owner(*key)).collect();
    Spread { owners, ns: start.elapsed().as_secs_f64() * 1e9 / KEYS as f64 }
}
