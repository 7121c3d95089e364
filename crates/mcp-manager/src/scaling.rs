//! How many replicas a server is to have, from how much it has to do. Told the time and the load, it
//! says how many; it does nothing itself.

use std::time::{Duration, Instant};

use crate::config::Scaling;

/// The number of replicas grows as soon as this part of the cool-down has passed: calls wait for
/// what is missing, and nobody waits for what is too many to go.
const UP_PART: u32 = 10;

/// Decides how many replicas there are to be.
#[derive(Debug, Default)]
pub(crate) struct Scaler {
    /// When their number was last changed.
    changed: Option<Instant>,
    /// Since when fewer would have done, and how many at the most that was since then.
    slack: Option<(Instant, usize)>,
}

impl Scaler {
    /// How many there are to be, if not `count`. `load`: the calls that are in flight or wait.
    ///
    /// Up: as many as the load needs, at most once a tenth of the cool-down. Down: as many as were
    /// needed at the most over a whole cool-down without a change.
    pub(crate) fn decide(
        &mut self,
        scaling: &Scaling,
        load: usize,
        count: usize,
        now: Instant,
    ) -> Option<usize> {
        let (least, most) = (scaling.replicas_min.max(1), scaling.replicas_max.max(1));
        let most = most.max(least);
        let needed = load.div_ceil(scaling.target.max(1)).clamp(least, most);
        if needed >= count {
            self.slack = None;
            let grows = needed > count && self.rested(scaling.cooldown / UP_PART, now);
            return grows.then(|| self.change(needed, now));
        }
        let (since, peak) = self.slack.unwrap_or((now, needed));
        let peak = peak.max(needed);
        self.slack = Some((since, peak));
        // More than there may be are not waited for.
        let over = now.saturating_duration_since(since) >= scaling.cooldown
            && self.rested(scaling.cooldown, now);
        (over || count > most).then(|| self.change(if over { peak } else { most }, now))
    }

    /// Somebody else has changed their number.
    pub(crate) fn changed(&mut self, now: Instant) {
        self.changed = Some(now);
        self.slack = None;
    }

    fn change(&mut self, to: usize, now: Instant) -> usize {
        self.changed(now);
        to
    }

    fn rested(&self, pause: Duration, now: Instant) -> bool {
        self.changed.is_none_or(|changed| now.saturating_duration_since(changed) >= pause)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn scaling(least: usize, most: usize) -> Scaling {
        let mut scaling = Scaling::default();
        (scaling.replicas_min, scaling.replicas_max) = (least, most);
        scaling
    }

    /// The start of each story; the core is told the time.
    fn start() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    /// Each line: after so many seconds, with this load, there are so many from then on.
    fn story(scaling: &Scaling, lines: &[(u64, usize, usize)]) {
        let (mut scaler, begin, mut count) = (Scaler::default(), start(), scaling.replicas);
        for (line, (at, load, expected)) in lines.iter().enumerate() {
            let now = begin + Duration::from_secs(*at);
            count = scaler.decide(scaling, *load, count, now).unwrap_or(count);
            assert_eq!(count, *expected, "line {line}: at {at} s, load {load}");
        }
    }

    #[test]
    fn it_grows_with_the_load_and_shrinks_after_the_cool_down() {
        let lines = [
            (0, 0, 1),
            (1, 4, 1),
            (2, 5, 2),
            // A tenth of the cool-down has to pass.
            (3, 100, 2),
            (8, 100, 4),
            (20, 0, 4),
            (50, 12, 4),
            (79, 0, 4),
            // The most that was needed meanwhile is kept,
            (80, 0, 3),
            // and the next cool-down begins.
            (81, 0, 3),
            (140, 0, 3),
            (141, 0, 1),
        ];
        story(&scaling(1, 4), &lines);
    }

    #[test]
    fn a_load_that_comes_back_begins_the_cool_down_anew() {
        let lines = [(0, 8, 2), (10, 0, 2), (69, 5, 2), (70, 0, 2), (129, 0, 2), (130, 0, 1)];
        story(&scaling(1, 4), &lines);
    }

    #[test]
    fn there_are_never_too_few_or_too_many() {
        story(&scaling(3, 5), &[(0, 0, 3), (10, 1000, 5), (11, 0, 5), (71, 0, 3)]);
        let mut scaler = Scaler::default();
        assert_eq!(scaler.decide(&scaling(1, 2), 99, 5, start()), Some(2));
    }

    proptest! {
        #[test]
        fn bounds_hold_and_nothing_flaps(
            (least, most) in (1_usize..6, 0_usize..6).prop_map(|(least, more)| (least, least + more)),
            steps in vec((0_u64..30_000, 0_usize..60), 1..80),
        ) {
            let scaling = scaling(least, most);
            let (mut scaler, mut now, mut count) = (Scaler::default(), start(), least);
            let mut last: Option<Instant> = None;
            for (pause, load) in steps {
                now += Duration::from_millis(pause);
                let Some(next) = scaler.decide(&scaling, load, count, now) else { continue };
                prop_assert!((least..=most).contains(&next) && next != count);
                let pause = if next > count { scaling.cooldown / 10 } else { scaling.cooldown };
                if let Some(last) = last {
                    prop_assert!(now - last >= pause, "{count} -> {next} after {:?}", now - last);
                }
                (last, count) = (Some(now), next);
            }
            // Liveness: what the load needs is there a cool-down after it has come, and what it
            // does not need is gone two later.
            for load in [most * scaling.target, 0] {
                let needed = load.div_ceil(scaling.target).clamp(least, most);
                for _ in 0..4 {
                    now += scaling.cooldown;
                    count = scaler.decide(&scaling, load, count, now).unwrap_or(count);
                }
                prop_assert_eq!(count, needed);
            }
        }
    }
}
