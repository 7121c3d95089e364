//! What is known of the response times of an endpoint, in seconds.

use crate::gauge::Gauge;

/// Finagle's default for peak EWMA, in nanoseconds: 10 s.
const PEAK_DECAY: f32 = 10e9;
/// How much is believed of a slope before it is measured: a call more makes the answer later by this
/// share of the response time, and that counts as this much variance of calls in flight.
const SLOPE: f32 = 0.25;
const SLOPE_WEIGHT: f32 = 1.0;

/// Exponentially weighted. All are 0 before the first measurement.
#[derive(Debug)]
pub(crate) struct Response {
    /// The mean.
    mean: Gauge,
    /// The mean of what a call takes by itself.
    alone: Gauge,
    /// Rises at once, and falls with time.
    peak: Gauge,
    /// Calls that were in flight before the measured ones: their mean, their variance, and their
    /// covariance with the response times.
    ahead: Gauge,
    variance: Gauge,
    covariance: Gauge,
}

impl Default for Response {
    fn default() -> Self {
        let zero = || Gauge::new(0.0);
        Self {
            mean: zero(),
            alone: zero(),
            peak: zero(),
            ahead: zero(),
            variance: zero(),
            covariance: zero(),
        }
    }
}

impl Response {
    /// A call took so long, that found so many ahead of it, `idle` nanoseconds after the last one.
    pub(crate) fn sample(&self, seconds: f32, ahead: f32, share: f32, idle: u64) {
        // Between two servers: of one that does everything at once nobody waits, and of one that does
        // one thing at a time a call waits for all that are ahead. What it takes by itself is in the
        // first case all of its time, in the second that time divided by the calls; in between lies
        // the root.
        let alone = seconds / (ahead + 1.0).sqrt();
        let mean = self.mean.get();
        if mean == 0.0 {
            self.mean.set(seconds);
            self.alone.set(alone);
            self.peak.set(seconds);
            self.ahead.set(ahead);
            return;
        }
        self.alone.approach(alone, share);
        self.mean.approach(seconds, share);
        let off = ahead - self.ahead.get();
        self.ahead.approach(ahead, share);
        let kept = 1.0 - share;
        self.variance.set(kept * (self.variance.get() + share * off * off));
        self.covariance.set(kept * (self.covariance.get() + share * off * (seconds - mean)));
        let fade = (-(idle as f32) / PEAK_DECAY).exp();
        let peak = self.peak.get() * fade + seconds * (1.0 - fade);
        self.peak.set(peak.max(seconds));
    }

    /// The mean response time.
    pub(crate) fn mean(&self) -> f32 {
        self.mean.get()
    }

    /// What a call takes by itself.
    pub(crate) fn alone(&self) -> f32 {
        self.alone.get()
    }

    /// Peak EWMA.
    pub(crate) fn peak(&self) -> f32 {
        self.peak.get()
    }

    /// The response time of a call that finds so many ahead of it, by linear regression.
    pub(crate) fn forecast(&self, ahead: f32) -> f32 {
        let mean = self.mean.get();
        let (variance, covariance) = (self.variance.get(), self.covariance.get());
        let slope = (covariance + SLOPE * mean * SLOPE_WEIGHT) / (variance + SLOPE_WEIGHT);
        // Nobody is answered sooner because others wait.
        let forecast = mean + slope.max(0.0) * (ahead - self.ahead.get());
        forecast.max(mean / 8.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found() {
        let response = Response::default();
        for turn in 0..4_000 {
            let ahead = (turn * 7 % 13) as f32;
            response.sample(0.010 + 0.002 * ahead, ahead, 0.05, 1_000_000);
        }
        for ahead in [0.0, 6.0, 20.0] {
            let off = response.forecast(ahead) / (0.010 + 0.002 * ahead);
            assert!((0.85..1.15).contains(&off), "{ahead}: {off}");
        }
    }

    #[test]
    fn a_peak_rises_at_once_and_falls_with_time() {
        let response = Response::default();
        response.sample(0.010, 0.0, 0.1, 0);
        response.sample(1.0, 0.0, 0.1, 0);
        assert_eq!(response.peak(), 1.0);
        response.sample(0.010, 0.0, 0.1, 10_000_000_000);
        assert!((0.3..0.5).contains(&response.peak()), "{}", response.peak());
        assert!(response.mean() < 0.2);
    }
}
