//! What a prediction costs, and how far it is off.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use mcp_router::{Key, Predictor, PredictorConfig};

use crate::random::Random;
use crate::{medians, verdict};

const ROUNDS: usize = 31;
const CALLS: usize = 20_000;
const KEYS: usize = 1_000;
const OBSERVE_NS: f64 = 100.0;
/// What is stated, and what rounding adds.
const ERROR: f64 = 0.032;
const SHARES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

pub(crate) fn run(verdicts: &mut Vec<String>) {
    println!("predictions, ns, of {KEYS} tools of 50 servers");
    let now = Instant::now();
    let predictor = Predictor::new(PredictorConfig::default(), now).expect("a configuration");
    let mut random = Random::new(5);
    let keys: Vec<_> = (0..KEYS)
        .map(|tool| Key::new(&format!("server-{}", tool % 50), &format!("tool-{tool}")))
        .collect();
    let calls: Vec<_> = (0..CALLS)
        .map(|_| (keys[random.below(KEYS)], Duration::from_secs_f64(random.lognormal(0.01))))
        .collect();
    let observe = |predictor: &Predictor| {
        let start = Instant::now();
        for (at, (key, took)) in calls.iter().enumerate() {
            // Time passes, or a weight would be worked out once for all.
            predictor.observe(*key, *took, now + Duration::from_micros(at as u64 * 10));
        }
        start.elapsed().as_secs_f64() * 1e9 / CALLS as f64
    };
    observe(&predictor);
    let ask = |share: f64| {
        let start = Instant::now();
        for (key, _) in &calls {
            black_box(predictor.quantile(*key, black_box(share), now));
        }
        start.elapsed().as_secs_f64() * 1e9 / CALLS as f64
    };
    let at_once = || {
        let start = Instant::now();
        thread::scope(|scope| (0..2).for_each(|_| _ = scope.spawn(|| observe(&predictor))));
        // Of what each of the two did.
        start.elapsed().as_secs_f64() * 1e9 / CALLS as f64
    };
    let [alone, two, median, tail] = medians(
        ROUNDS,
        [&mut || observe(&predictor), &mut || at_once(), &mut || ask(0.5), &mut || ask(0.99)],
    );
    let stats = predictor.stats();
    let skipped = stats.skipped as f64 / (stats.writes + stats.skipped) as f64 * 100.0;
    println!("  observe {alone:.1}, on two threads {two:.1} ({skipped:.3} % let go)");
    println!("  quantile 0.5 {median:.1}, 0.99 {tail:.1}");
    verdicts.push(verdict("router/observe-ns", alone, "<=", OBSERVE_NS));
    verdicts.push(verdict("router/quantile-error", accuracy(now), "<=", ERROR));
}

/// The largest relative error of any quantile, beside all response times in order.
fn accuracy(now: Instant) -> f64 {
    let mut worst: f64 = 0.0;
    for seed in 0..10 {
        let mut config = PredictorConfig::default();
        config.keys_max = 16;
        let predictor = Predictor::new(config, now).expect("a configuration");
        let (key, mut random) = (Key::new("server", "tool"), Random::new(seed));
        let mut times: Vec<_> =
            (0..50_000).map(|_| Duration::from_secs_f64(random.lognormal(0.01))).collect();
        times.iter().for_each(|time| predictor.observe(key, *time, now));
        times.sort();
        for share in SHARES {
            let told = predictor.quantile(key, share, now).expect("a prediction").as_secs_f64();
            let rank = (share * times.len() as f64).ceil() as usize - 1;
            let exact = times[rank].as_secs_f64();
            worst = worst.max((told - exact).abs() / exact);
        }
    }
    println!("  off by at most {:.2} % at p50, p90, p99 and p99.9", worst * 100.0);
    worst
}
