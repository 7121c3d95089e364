//! Foretells how long a call will take from how long those before it took.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use crate::hash::{HashedMap, and, hash};
use crate::histogram::Histogram;
use crate::stats::PredictorStats;

const SHARDS: usize = 16;
/// The longest duration that means anything here.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// How a [`Predictor`] remembers.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PredictorConfig {
    /// How many servers and tools of servers are remembered; 2.2 KiB each, taken when it is first seen.
    /// Default: 4,096; 16 to 2^20. Of more the one that was longest not observed is forgotten, of the
    /// sixteenth part of them in which it is.
    pub keys_max: usize,
    /// After how long a response time counts half. Default: 2 min. Longer is steadier, shorter
    /// follows sooner.
    pub half_life: Duration,
    /// How many there have to be, counted that way, for anything to be foretold. Default: 20. A tail
    /// wants more than a median: at 20 what is told for 0.99 is the longest of all.
    pub observations_min: u32,
}

impl Default for PredictorConfig {
    fn default() -> Self {
        Self { keys_max: 4_096, half_life: Duration::from_secs(120), observations_min: 20 }
    }
}

impl PredictorConfig {
    /// Refuses what means nothing.
    ///
    /// # Errors
    ///
    /// [`PredictorConfigError`] names the first field that does.
    pub fn check(&self) -> Result<(), PredictorConfigError> {
        let error = |field, must_be| Err(PredictorConfigError { field, must_be });
        if !(SHARDS..=1 << 20).contains(&self.keys_max) {
            return error("keys_max", "16 to 2^20");
        }
        if !(Duration::from_millis(1)..=LONGEST).contains(&self.half_life) {
            return error("half_life", "a millisecond to 30 days");
        }
        if self.observations_min == 0 {
            return error("observations_min", "at least 1");
        }
        Ok(())
    }
}

/// Why a [`PredictorConfig`] means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {must_be}")]
#[non_exhaustive]
pub struct PredictorConfigError {
    /// The field.
    pub field: &'static str,
    /// What it would have to be.
    pub must_be: &'static str,
}

/// A tool of a server. It is a hash: cheap to make, cheaper to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    server: u64,
    tool: u64,
}

impl Key {
    /// This tool of this server.
    #[must_use]
    pub fn new(server: &str, tool: &str) -> Self {
        let server = and(hash(server), 1);
        Self { server, tool: and(server, hash(tool)) }
    }
}

/// How a deadline is made of a prediction.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Allowance {
    /// Which quantile it starts from. Default: 0.99.
    pub quantile: f64,
    /// How many times that is allowed. Default: 3.
    pub slack: f64,
    /// But never less than this. Default: 1 s.
    pub floor: Duration,
    /// And never more, which is also what is allowed where nothing is known. Default: 60 s.
    pub ceiling: Duration,
}

impl Default for Allowance {
    fn default() -> Self {
        let (floor, ceiling) = (Duration::from_secs(1), Duration::from_secs(60));
        Self { quantile: 0.99, slack: 3.0, floor, ceiling }
    }
}

/// Remembers how long calls took, by server and tool, and foretells how long they will.
///
/// Any number of threads tell it and ask it. To tell waits for nobody: if another thread is writing at
/// the same place the observation is let go, as one of many.
#[derive(Debug)]
pub struct Predictor {
    config: PredictorConfig,
    /// Times are counted from here, in half-lives.
    epoch: Instant,
    shards: Box<[Mutex<Shard>]>,
    /// Of two places to write at, those that were passed over.
    skipped: AtomicU64,
}

#[derive(Debug, Default)]
struct Shard {
    places: HashedMap<usize>,
    /// Of each place the key, and when it was observed, by the count of observations in this shard.
    used: Vec<(u64, u64)>,
    #[expect(
        clippy::vec_box,
        reason = "2 KiB each, which are not to be moved when there are more"
    )]
    histograms: Vec<Box<Histogram>>,
    observations: u64,
    evictions: u64,
}

impl Predictor {
    /// Knows nothing yet.
    ///
    /// # Errors
    ///
    /// [`PredictorConfigError`] if the configuration means nothing.
    pub fn new(config: PredictorConfig, now: Instant) -> Result<Self, PredictorConfigError> {
        config.check()?;
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Ok(Self { config, epoch: now, shards, skipped: AtomicU64::new(0) })
    }

    /// A call of this tool took so long.
    pub fn observe(&self, key: Key, took: Duration, now: Instant) {
        let now = self.half_lives(now);
        let most = self.config.keys_max / SHARDS;
        for key in [key.tool, key.server] {
            match self.shard(key).try_lock() {
                Ok(mut shard) => shard.histogram(key, most, now).observe(took, now),
                Err(TryLockError::Poisoned(poisoned)) => {
                    poisoned.into_inner().histogram(key, most, now).observe(took, now);
                }
                Err(TryLockError::WouldBlock) => {
                    self.skipped.fetch_add(1, Relaxed);
                }
            }
        }
    }

    /// A time that this share of the calls of this tool will not exceed, of the tools of its server if
    /// too little is known of the tool; `None` if too little is known of both.
    ///
    /// It is within 1/32 of what a response time of that rank was, between 1 µs and 73 min.
    #[must_use]
    pub fn quantile(&self, key: Key, share: f64, now: Instant) -> Option<Duration> {
        let now = self.half_lives(now);
        [key.tool, key.server].into_iter().find_map(|key| {
            let shard = lock(self.shard(key));
            let histogram = &shard.histograms[*shard.places.get(&key)?];
            let is_enough = histogram.count(now) >= f64::from(self.config.observations_min);
            is_enough.then(|| histogram.quantile(share)).flatten()
        })
    }

    /// How long to wait for a call of this tool before it is given up.
    #[must_use]
    pub fn deadline(&self, key: Key, allowance: &Allowance, now: Instant) -> Duration {
        let Allowance { quantile, slack, floor, ceiling } = *allowance;
        let Some(usual) = self.quantile(key, quantile, now) else { return ceiling };
        let allowed = Duration::try_from_secs_f64(usual.as_secs_f64() * slack);
        allowed.map_or(ceiling, |allowed| allowed.max(floor).min(ceiling))
    }

    /// What is remembered, and what was not.
    #[must_use]
    pub fn stats(&self) -> PredictorStats {
        let skipped = self.skipped.load(Relaxed);
        let mut stats = PredictorStats { skipped, ..PredictorStats::default() };
        for shard in &self.shards {
            let shard = lock(shard);
            stats.writes += shard.observations;
            stats.keys += shard.used.len();
            stats.evictions += shard.evictions;
        }
        stats
    }

    fn shard(&self, key: u64) -> &Mutex<Shard> {
        // Other bits than those that the map goes by.
        &self.shards[(key >> 40) as usize % SHARDS]
    }

    fn half_lives(&self, now: Instant) -> f64 {
        let since = now.saturating_duration_since(self.epoch);
        since.as_secs_f64() / self.config.half_life.as_secs_f64()
    }
}

impl Shard {
    fn histogram(&mut self, key: u64, most: usize, now: f64) -> &mut Histogram {
        self.observations += 1;
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None => self.place(key, most, now),
        };
        self.used[place].1 = self.observations;
        &mut self.histograms[place]
    }

    #[cold]
    fn place(&mut self, key: u64, most: usize, now: f64) -> usize {
        let mut place = self.used.len();
        if place < most {
            self.used.push((key, 0));
            self.histograms.push(Box::new(Histogram::new(now)));
        } else {
            let all = self.used.iter().enumerate();
            place = all.min_by_key(|(_, (_, used))| *used).map_or(0, |(place, _)| place);
            self.places.remove(&self.used[place].0);
            self.used[place].0 = key;
            *self.histograms[place] = Histogram::new(now);
            self.evictions += 1;
        }
        self.places.insert(key, place);
        place
    }
}

/// What one thread left half done is one observation at most, so that its panic is not another's.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
