//! Which of several ways serves best, where the answer may change: a discounted bandit.
//!
//! Garivier and Moulines, "On Upper-Confidence Bound Policies for Switching Bandit Problems", 2011;
//! the costs are normalised by the least of them, because nobody knows their range beforehand.

/// How much of what was learnt is left after each round.
const KEPT: f64 = 0.95;
/// How much an arm that is little known is favoured.
const CURIOSITY: f64 = 0.15;

/// The choice among `N` arms. Lower costs are better.
#[derive(Clone, Debug)]
pub(crate) struct Bandit<const N: usize> {
    costs: [f64; N],
    rounds: [f64; N],
}

impl<const N: usize> Bandit<N> {
    pub(crate) const fn new() -> Self {
        Self { costs: [0.0; N], rounds: [0.0; N] }
    }

    /// A round was played with this arm, and its calls cost so much in the mean.
    pub(crate) fn played(&mut self, arm: usize, cost: f64) {
        for of in 0..N {
            self.costs[of] *= KEPT;
            self.rounds[of] *= KEPT;
        }
        if let (Some(sum), Some(rounds)) = (self.costs.get_mut(arm), self.rounds.get_mut(arm)) {
            *sum += cost.max(0.0);
            *rounds += 1.0;
        }
    }

    /// The arm to play next.
    pub(crate) fn next(&self) -> usize {
        let played = |arm: &usize| self.rounds[*arm] > 1e-3;
        if let Some(new) = (0..N).find(|arm| !played(arm)) {
            return new;
        }
        let mean = |arm: usize| self.costs[arm] / self.rounds[arm];
        let least = (0..N).map(mean).fold(f64::INFINITY, f64::min).max(1e-12);
        let all = self.rounds.iter().sum::<f64>().max(1.0);
        let hope = |arm: &usize| {
            mean(*arm) / least - CURIOSITY * ((1.0 + all.ln()) / self.rounds[*arm]).sqrt()
        };
        (0..N).min_by(|a, b| hope(a).total_cmp(&hope(b))).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often each arm was played while the costs were these.
    fn play(bandit: &mut Bandit<3>, costs: [f64; 3], rounds: usize) -> [usize; 3] {
        let mut counts = [0; 3];
        for _ in 0..rounds {
            let arm = bandit.next();
            counts[arm] += 1;
            bandit.played(arm, costs[arm]);
        }
        counts
    }

    #[test]
    fn the_best_is_played_most_and_the_others_now_and_then() {
        let mut bandit = Bandit::new();
        let counts = play(&mut bandit, [0.030, 0.010, 0.020], 1_000);
        assert!(counts[1] > 800, "{counts:?}");
        assert!(counts[0] > 5 && counts[2] > 5, "{counts:?}");
    }

    #[test]
    fn what_has_become_better_is_found() {
        let mut bandit = Bandit::new();
        play(&mut bandit, [0.030, 0.010, 0.020], 500);
        let counts = play(&mut bandit, [0.005, 0.010, 0.020], 500);
        assert!(counts[0] > 350, "{counts:?}");
    }
}
