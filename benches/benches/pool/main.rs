//! What a pool costs, beside bb8 and deadpool: a checkout and its return that nobody else disturbs,
//! and 64 tasks that share 10 connections. In every round the three take turns.
//!
//! Each is asked for what it does by itself. Ours judges a connection at both ends of a lease and
//! holds its lifetime, its idle time and its health check; bb8 judges it at both ends as well;
//! deadpool at the checkout. And what it saves with [real servers](servers).

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a benchmark speaks and times")]

mod servers;

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool::managed::{Metrics, RecycleError, RecycleResult};
use mcp_pool::{Config, KeyedPool, Manage};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Barrier;

/// Checkouts of one pool in one round.
const CHECKOUTS: u32 = 20_000;
const ROUNDS: usize = 41;
/// How much of deadpool's time a checkout and its return may take.
const OF_DEADPOOL: f64 = 0.5;

const TASKS: usize = 64;
const CONNECTIONS: usize = 10;
/// Checkouts of one task in one round: short rounds and many, because one pause that the machine
/// makes is a long wait for all 64.
const TURNS: usize = 25;
const SHARES: usize = 201;
const ONE_THREAD: &str = "one thread";
/// How much longer than the median wait the longest may be.
const MAX_OVER_MEDIAN: f64 = 2.0;
/// How much of the throughput of the faster of the two others is not to be missed.
const OF_FASTER: f64 = 1.0;

/// A connection that is well as long as nobody says otherwise.
#[derive(Debug, Default)]
struct Connection {
    is_broken: bool,
}

struct Maker;

impl Manage for Maker {
    type Key = &'static str;
    type Connection = Connection;
    type Error = Infallible;

    async fn connect(&self, _: &&'static str) -> Result<Connection, Infallible> {
        Ok(Connection::default())
    }

    fn is_broken(&self, connection: &Connection) -> bool {
        connection.is_broken
    }
}

impl bb8::ManageConnection for Maker {
    type Connection = Connection;
    type Error = Infallible;

    async fn connect(&self) -> Result<Connection, Infallible> {
        Ok(Connection::default())
    }

    async fn is_valid(&self, _: &mut Connection) -> Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.is_broken
    }
}

impl deadpool::managed::Manager for Maker {
    type Type = Connection;
    type Error = Infallible;

    async fn create(&self) -> Result<Connection, Infallible> {
        Ok(Connection::default())
    }

    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<Infallible> {
        match connection.is_broken {
            false => Ok(()),
            true => Err(RecycleError::message("broken")),
        }
    }
}

/// The three, which have only this in common.
trait Lends: Clone + Send + 'static {
    async fn lend<T>(&self, using: impl AsyncFnOnce(&Connection) -> T) -> T;
    fn lend_while_others_run(&self) -> impl Future<Output = Duration> + Send;
}

impl Lends for KeyedPool<Maker> {
    async fn lend<T>(&self, using: impl AsyncFnOnce(&Connection) -> T) -> T {
        using(&*self.acquire().await.expect("a connection")).await
    }

    async fn lend_while_others_run(&self) -> Duration {
        let start = Instant::now();
        let _lease = self.acquire().await.expect("a connection");
        let waited = start.elapsed();
        tokio::task::yield_now().await;
        waited
    }
}

impl Lends for bb8::Pool<Maker> {
    async fn lend<T>(&self, using: impl AsyncFnOnce(&Connection) -> T) -> T {
        using(&*self.get().await.expect("a connection")).await
    }

    async fn lend_while_others_run(&self) -> Duration {
        let start = Instant::now();
        let _lease = self.get().await.expect("a connection");
        let waited = start.elapsed();
        tokio::task::yield_now().await;
        waited
    }
}

impl Lends for deadpool::managed::Pool<Maker> {
    async fn lend<T>(&self, using: impl AsyncFnOnce(&Connection) -> T) -> T {
        using(&*self.get().await.expect("a connection")).await
    }

    async fn lend_while_others_run(&self) -> Duration {
        let start = Instant::now();
        let _lease = self.get().await.expect("a connection");
        let waited = start.elapsed();
        tokio::task::yield_now().await;
        waited
    }
}

struct Three {
    ours: KeyedPool<Maker>,
    bb8: bb8::Pool<Maker>,
    deadpool: deadpool::managed::Pool<Maker>,
}

impl Three {
    async fn new() -> Self {
        let mut config = Config::default();
        config.pool_size = CONNECTIONS;
        let ours = mcp_pool::Pool::new(Maker, config).expect("a pool");
        let bb8 = bb8::Pool::builder().max_size(CONNECTIONS as u32);
        let deadpool = deadpool::managed::Pool::builder(Maker).max_size(CONNECTIONS);
        Self {
            ours: ours.key(&"one").expect("a key"),
            bb8: bb8.build(Maker).await.expect("a pool"),
            deadpool: deadpool.build().expect("a pool"),
        }
    }
}

fn main() {
    uncontended();
    let one = Builder::new_current_thread().enable_all().build().expect("a runtime");
    contended(&one, ONE_THREAD);
    let two = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    contended(&two.expect("a runtime"), "two threads");
    servers::run(verdict);
}

fn uncontended() {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let three = Three::new().await;
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push([
                checkouts(&three.ours).await,
                checkouts(&three.bb8).await,
                checkouts(&three.deadpool).await,
            ]);
        }
        let of = |which: usize| median(rounds.iter().map(|round| round[which]));
        println!(
            "a checkout and its return, ns: ours {:.0}, bb8 {:.0}, deadpool {:.0}",
            of(0),
            of(1),
            of(2)
        );
        verdict(
            "pool/checkout-of-deadpool",
            median(rounds.iter().map(|round| round[0] / round[2])),
            "<=",
            OF_DEADPOOL,
        );
    });
}

/// Nanoseconds of one.
async fn checkouts(pool: &impl Lends) -> f64 {
    let start = Instant::now();
    for _ in 0..CHECKOUTS {
        pool.lend(async |connection| black_box(connection.is_broken)).await;
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(CHECKOUTS)
}

/// What 64 tasks got from 10 connections in one round.
struct Share {
    per_sec: f64,
    median: f64,
    p99: f64,
    max: f64,
}

fn contended(runtime: &Runtime, threads: &str) {
    let three = runtime.block_on(Three::new());
    let mut rounds = Vec::new();
    for _ in 0..SHARES {
        rounds.push([
            runtime.block_on(share(&three.ours)),
            runtime.block_on(share(&three.bb8)),
            runtime.block_on(share(&three.deadpool)),
        ]);
    }
    println!("{TASKS} tasks on {CONNECTIONS} connections, {threads}:");
    println!("           million/s  wait p50 us   p99 us   max us  max/p50");
    for (which, name) in ["ours", "bb8", "deadpool"].into_iter().enumerate() {
        let of = |what: fn(&Share) -> f64| median(rounds.iter().map(|round| what(&round[which])));
        println!(
            "{name:<9} {:>10.2} {:>12.1} {:>8.1} {:>8.1} {:>8.2}",
            of(|share| share.per_sec) / 1e6,
            of(|share| share.median) * 1e6,
            of(|share| share.p99) * 1e6,
            of(|share| share.max) * 1e6,
            of(|share| share.max / share.median),
        );
    }
    let case = threads.replace(' ', "-");
    let faster = |round: &[Share; 3]| round[0].per_sec / round[1].per_sec.max(round[2].per_sec);
    verdict(&format!("pool/{case}-of-faster"), median(rounds.iter().map(faster)), ">=", OF_FASTER);
    let longest = median(rounds.iter().map(|round| round[0].max / round[0].median));
    // With a second thread, what the runtime does to wake it is part of the longest wait of all.
    if threads == ONE_THREAD {
        verdict("pool/max-of-median-wait", longest, "<=", MAX_OVER_MEDIAN);
    }
}

async fn share<P: Lends>(pool: &P) -> Share {
    let barrier = Arc::new(Barrier::new(TASKS));
    let start = Instant::now();
    let tasks = (0..TASKS).map(|_| {
        let (pool, barrier) = (pool.clone(), Arc::clone(&barrier));
        tokio::spawn(async move {
            let mut waits = Vec::with_capacity(TURNS);
            barrier.wait().await;
            for _ in 0..TURNS {
                waits.push(pool.lend_while_others_run().await.as_secs_f64());
            }
            waits
        })
    });
    let mut waits = Vec::with_capacity(TASKS * TURNS);
    for task in tasks.collect::<Vec<_>>() {
        waits.extend(task.await.expect("a task that ends well"));
    }
    let per_sec = waits.len() as f64 / start.elapsed().as_secs_f64();
    waits.sort_by(f64::total_cmp);
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize];
    Share { per_sec, median: at(0.5), p99: at(0.99), max: at(1.0) }
}

fn verdict(case: &str, value: f64, relation: &str, target: f64) {
    let met = if relation == "<=" { value <= target } else { value >= target };
    println!("{case} {value:.2} {relation}{target:.2} {}", if met { "ok" } else { "short" });
}

/// The one in the middle.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
