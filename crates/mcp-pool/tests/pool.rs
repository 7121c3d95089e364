//! The pool as a service uses it, on paused time.

#![cfg(feature = "tokio")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mcp_pool::{AcquireError, CloseError, Config, Lease, Manage, Pool};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

/// What the connections of a test do, and what became of them.
#[derive(Default)]
struct World {
    made: AtomicU32,
    refuses: AtomicBool,
    panics: AtomicBool,
    hangs: AtomicBool,
    takes: Mutex<Duration>,
    alive: Mutex<HashMap<u32, Instant>>,
    died: Mutex<Vec<(u32, Instant)>>,
    ill: Mutex<Vec<u32>>,
    broken: Mutex<Vec<u32>>,
}

#[derive(Clone, Default)]
struct Toys(Arc<World>);

impl Manage for Toys {
    type Key = &'static str;
    type Connection = u32;
    type Error = &'static str;

    async fn connect(&self, _: &Self::Key) -> Result<u32, &'static str> {
        let takes = *self.0.takes.lock().unwrap();
        sleep(takes).await;
        assert!(!self.0.panics.load(Ordering::Relaxed), "as the test wants it");
        if self.0.refuses.load(Ordering::Relaxed) {
            return Err("refused");
        }
        let number = self.0.made.fetch_add(1, Ordering::Relaxed) + 1;
        self.0.alive.lock().unwrap().insert(number, Instant::now());
        Ok(number)
    }

    async fn check(&self, _: &Self::Key, connection: &mut u32) -> bool {
        if self.0.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        !self.0.ill.lock().unwrap().contains(connection)
    }

    fn is_broken(&self, connection: &u32) -> bool {
        self.0.broken.lock().unwrap().contains(connection)
    }

    async fn close(&self, _: &Self::Key, connection: u32) {
        self.0.alive.lock().unwrap().remove(&connection);
        self.0.died.lock().unwrap().push((connection, Instant::now()));
        if self.0.hangs.load(Ordering::Relaxed) {
            std::future::pending().await
        }
    }
}

fn pool(change: impl FnOnce(&mut Config)) -> (Pool<Toys>, Arc<World>) {
    let toys = Toys::default();
    let mut config = Config::default();
    config.lifetime_jitter = 0.0;
    change(&mut config);
    (Pool::new(toys.clone(), config).unwrap(), toys.0)
}

/// Tasks that are ready run; no time passes.
async fn others() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

fn died(world: &World) -> Vec<u32> {
    world.died.lock().unwrap().iter().map(|(number, _)| *number).collect()
}

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[tokio::test(start_paused = true)]
async fn lends_what_was_returned() {
    let (pool, world) = pool(|_| {});
    for _ in 0..3 {
        assert_eq!(*pool.acquire(&"a").await.unwrap(), 1);
    }
    let both = (pool.acquire(&"a").await.unwrap(), pool.acquire(&"a").await.unwrap());
    assert_eq!((*both.0, *both.1), (1, 2));
    assert_eq!(*pool.acquire(&"b").await.unwrap(), 3);
    assert_eq!(world.alive.lock().unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_lease_knows_its_connection() {
    let (pool, world) = pool(|config| config.max_lifetime = Some(ms(1000)));
    drop(pool.acquire(&"a").await.unwrap());
    sleep(ms(300)).await;
    let lease = pool.acquire(&"a").await.unwrap();
    assert_eq!((lease.age(), lease.idle_time(), lease.is_healthy()), (ms(300), ms(300), true));
    world.broken.lock().unwrap().push(1);
    assert!(!lease.is_healthy());
    world.broken.lock().unwrap().clear();
    sleep(ms(800)).await;
    assert!(!lease.is_healthy());
    drop(lease);
    others().await;
    assert_eq!(died(&world), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_lifetime_is_honoured_within_ten_milliseconds() {
    let (pool, world) = pool(|config| {
        config.max_lifetime = Some(ms(1234));
        config.health_check_period = Some(ms(100));
    });
    let born = Instant::now();
    drop(pool.acquire(&"a").await.unwrap());
    sleep(ms(5000)).await;
    let died = world.died.lock().unwrap().clone();
    assert_eq!(died.len(), 1);
    let late = (died[0].1 - born) - ms(1234);
    assert!(late < ms(10), "{late:?} late");
}

#[tokio::test(start_paused = true)]
async fn waiting_is_bounded_and_in_order() {
    let (pool, _) = pool(|config| {
        config.pool_size = 1;
        config.acquire_timeout = ms(500);
    });
    let lease = pool.acquire(&"a").await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..5 {
        let (pool, order) = (pool.clone(), Arc::clone(&order));
        tasks.push(tokio::spawn(async move {
            let lease = pool.acquire(&"a").await;
            order.lock().unwrap().push((number, lease.is_ok()));
            if number < 3 { drop(lease) } else { std::mem::forget(lease) }
        }));
        others().await;
    }
    sleep(ms(100)).await;
    drop(lease);
    for task in tasks {
        task.await.unwrap();
    }
    let expected = [(0, true), (1, true), (2, true), (3, true), (4, false)];
    assert_eq!(*order.lock().unwrap(), expected);
    let stats = pool.stats();
    assert_eq!((stats.waits, stats.timeouts, stats.wait_max), (4 + 1, 1, ms(100)));
}

#[tokio::test(start_paused = true)]
async fn who_is_cancelled_leaves_no_trace() {
    let (pool, world) = pool(|config| config.pool_size = 1);
    *world.takes.lock().unwrap() = ms(100);
    // What was begun for one who gave up serves the next.
    assert!(timeout(ms(50), pool.acquire(&"a")).await.is_err());
    let begun = Instant::now();
    let lease = pool.acquire(&"a").await.unwrap();
    assert_eq!((*lease, begun.elapsed()), (1, ms(50)));

    let mut first = Box::pin(pool.acquire(&"a"));
    let mut second = Box::pin(pool.acquire(&"a"));
    assert!(timeout(ms(1), &mut first).await.is_err());
    assert!(timeout(ms(1), &mut second).await.is_err());
    drop(lease);
    // Served, but gone before it heard of it.
    drop(first);
    assert_eq!(*second.await.unwrap(), 1);
    assert_eq!(pool.stats().waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_broken_is_never_lent() {
    let (pool, world) = pool(|_| {});
    drop(pool.acquire(&"a").await.unwrap());
    world.broken.lock().unwrap().push(1);
    assert_eq!(*pool.acquire(&"a").await.unwrap(), 2);
    pool.acquire(&"a").await.unwrap().discard();
    assert_eq!(*pool.acquire(&"a").await.unwrap(), 3);
    others().await;
    assert_eq!(died(&world), [1, 2]);
    let stats = pool.stats();
    assert_eq!((stats.acquired, stats.released, stats.closed.broken), (4, 4, 2));
}

#[tokio::test(start_paused = true)]
async fn idle_ones_are_checked_and_a_check_that_hangs_has_failed() {
    let (pool, world) = pool(|config| {
        config.health_check_period = Some(ms(1000));
        config.check_timeout = ms(50);
        config.close_timeout = ms(70);
    });
    let both = (pool.acquire(&"a").await.unwrap(), pool.acquire(&"a").await.unwrap());
    drop(both);
    world.ill.lock().unwrap().push(1);
    sleep(ms(1100)).await;
    assert_eq!(died(&world), [1]);
    world.hangs.store(true, Ordering::Relaxed);
    sleep(ms(1000)).await;
    assert_eq!(died(&world), [1, 2]);
    sleep(ms(100)).await;
    assert_eq!((pool.stats().open, pool.stats().closed.unhealthy), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_spare_is_ready_and_comes_back() {
    let (pool, world) = pool(|config| {
        (config.min_idle, config.pool_size) = (2, 2);
        config.refill_backoff = ms(1000);
    });
    *world.takes.lock().unwrap() = ms(700);
    let spares = pool.key(&"a").unwrap();
    assert!(spares.try_acquire().is_none());
    sleep(ms(701)).await;
    let begun = Instant::now();
    let mine = spares.acquire().await.unwrap().detach();
    assert_eq!(begun.elapsed(), ms(0));
    sleep(ms(701)).await;
    assert_eq!((spares.stats().idle, spares.stats().detached), (2, 1));
    assert!(world.alive.lock().unwrap().contains_key(&mine), "not the pool's to close");

    // One that dies unseen is noticed when someone says so, and replaced after a pause.
    world.ill.lock().unwrap().extend((1..4).filter(|number| *number != mine));
    spares.check_now();
    others().await;
    assert_eq!(spares.stats().idle, 0);
    sleep(ms(3000)).await;
    assert_eq!(spares.stats().idle, 2);
    // A clone keeps the key; without any, its spares go some day.
    let clone = spares.clone();
    drop(spares);
    sleep(Duration::from_secs(2 * 60 * 60)).await;
    assert_eq!(clone.stats().idle, 2);
    drop(clone);
    sleep(Duration::from_secs(2 * 60 * 60)).await;
    assert!(world.alive.lock().unwrap().keys().eq([&mine]));
}

#[tokio::test(start_paused = true)]
async fn connecting_fails_in_every_way() {
    let (pool, world) = pool(|config| config.connect_timeout = ms(50));
    world.refuses.store(true, Ordering::Relaxed);
    assert_eq!(pool.acquire(&"a").await.unwrap_err(), AcquireError::Connect("refused"));
    *world.takes.lock().unwrap() = ms(60);
    let late = pool.acquire(&"a").await.unwrap_err();
    assert_eq!(late, AcquireError::ConnectTimeout { after: ms(50) });
    *world.takes.lock().unwrap() = ms(0);
    world.panics.store(true, Ordering::Relaxed);
    assert_eq!(pool.acquire(&"a").await.unwrap_err(), AcquireError::Abandoned);
    assert_eq!((pool.stats().open, pool.stats().failed), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_what_is_lent_and_no_longer_than_it_may() {
    let (pool, world) = pool(|_| {});
    let lease = pool.acquire(&"a").await.unwrap();
    drop(pool.acquire(&"b").await.unwrap());
    let begun = Instant::now();
    assert_eq!(pool.close(ms(100)).await, Err(CloseError { open: 1 }));
    assert_eq!((begun.elapsed(), died(&world)), (ms(100), vec![2]));
    assert_eq!(pool.acquire(&"a").await.unwrap_err(), AcquireError::Closed);
    let (closing, ()) = tokio::join!(pool.close(ms(1000)), async {
        sleep(ms(300)).await;
        drop(lease);
    });
    assert_eq!((closing, begun.elapsed()), (Ok(()), ms(400)));
    assert!(world.alive.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_pool_leaves_nothing_running() {
    let (pool, world) = pool(|config| config.min_idle = 1);
    drop(pool.acquire(&"a").await.unwrap());
    others().await;
    drop(pool);
    others().await;
    assert_eq!(Arc::strong_count(&world), 1, "the driver, or a task, still holds it");
}

#[test]
fn a_lease_may_be_dropped_outside_of_the_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (pool, lease) = runtime.block_on(async {
        let (pool, _) = pool(|config| config.max_idle = 1);
        let lease = pool.acquire(&"a").await.unwrap();
        (pool, lease)
    });
    lease.discard();
    drop(runtime);
    // What nobody closes any more takes no place either.
    assert_eq!(pool.stats().open, 0);
}

/// Real threads, for the sharing alone: no more than may be, and in the end nothing is missing.
#[test]
fn many_threads_and_few_connections() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    runtime.block_on(async {
        let (pool, world) = pool(|config| {
            config.pool_size = 3;
            config.max_open = 5;
        });
        let users = Arc::new(Semaphore::new(5));
        let tasks = (0..32_usize).map(|number| {
            let (pool, users) = (pool.clone(), Arc::clone(&users));
            tokio::spawn(async move {
                let keys = ["a", "b", "c"];
                for turn in 0..200 {
                    let key = keys[(number + turn) % 3];
                    let mut acquire = Box::pin(pool.acquire(&key));
                    // Every seventh gives up as soon as it has had to wait.
                    let lease: Lease<Toys> = if (number + turn) % 7 == 0 {
                        tokio::select! {
                            biased;
                            lease = &mut acquire => lease.unwrap(),
                            () = tokio::task::yield_now() => continue,
                        }
                    } else {
                        acquire.await.unwrap()
                    };
                    let _one = users.try_acquire().expect("more than max_open are lent");
                    tokio::task::yield_now().await;
                    if turn % 50 == 49 {
                        lease.discard()
                    }
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        pool.close(Duration::from_secs(10)).await.unwrap();
        let stats = pool.stats();
        assert_eq!((stats.open, stats.waiting), (0, 0));
        assert_eq!(stats.created, stats.closed.total());
        assert!(world.alive.lock().unwrap().is_empty());
    });
}
