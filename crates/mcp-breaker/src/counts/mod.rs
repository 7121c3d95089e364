//! How calls ended, counted by many threads at once without a lock.

mod calls;
mod cell;
mod lane;
mod time;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::{Tally, Window};
use calls::LastCalls;
use lane::{LANES, Lane, Place};
use time::Buckets;

/// How a call ended that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Good,
    Slow,
    Failed,
    FailedSlow,
}

pub(crate) const CLASSES: usize = 4;

/// A number for each class.
pub(crate) type Sums = [u64; CLASSES];

impl Class {
    pub(crate) fn failed(self) -> bool {
        matches!(self, Self::Failed | Self::FailedSlow)
    }
}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "the large one is the usual one, and nothing moves it"
)]
enum Recent {
    Time(Buckets),
    Calls(LastCalls),
}

/// The calls of the window, and all calls ever.
///
/// What is kept of all calls is what the window has forgotten. So one number is written for a call
/// that succeeds, and the others when it falls out of the window.
#[derive(Debug)]
pub(crate) struct Counts {
    recent: Recent,
    past: Past,
    lanes: Box<[Lane; LANES]>,
}

/// All calls that are not in the window any more, or never were.
#[derive(Debug, Default)]
pub(crate) struct Past([AtomicU64; CLASSES]);

impl Past {
    pub(crate) fn add(&self, class: usize, calls: u64) {
        self.0[class].fetch_add(calls, Relaxed);
    }
}

/// What has been counted, at one moment.
pub(crate) struct Reading {
    pub(crate) window: Sums,
    pub(crate) ever: Sums,
}

impl Reading {
    pub(crate) fn tally(&self, failures_in_row: u32) -> Tally {
        let count = |classes: &[Class]| {
            let sum: u64 = classes.iter().map(|class| self.window[*class as usize]).sum();
            sum.min(crate::cause::COUNT_MAX) as u32
        };
        Tally {
            calls: count(&[Class::Good, Class::Slow, Class::Failed, Class::FailedSlow]),
            failures: count(&[Class::Failed, Class::FailedSlow]),
            slow: count(&[Class::Slow, Class::FailedSlow]),
            failures_in_row,
        }
    }

    pub(crate) fn successes(&self) -> u64 {
        self.ever[Class::Good as usize] + self.ever[Class::Slow as usize]
    }

    pub(crate) fn failures(&self) -> u64 {
        self.ever[Class::Failed as usize] + self.ever[Class::FailedSlow as usize]
    }

    pub(crate) fn slow(&self) -> u64 {
        self.ever[Class::Slow as usize] + self.ever[Class::FailedSlow as usize]
    }
}

impl Counts {
    pub(crate) fn new(window: Window) -> Self {
        let recent = match window {
            Window::Time(time) => Recent::Time(Buckets::new(time)),
            Window::Calls(calls) => Recent::Calls(LastCalls::new(calls)),
        };
        Self { recent, past: Past::default(), lanes: Box::default() }
    }

    /// Counts a call that ended well at this time, in nanoseconds.
    #[inline]
    pub(crate) fn add_good(&self, at: u64) {
        let place = Place::here();
        let lane = &self.lanes[place.lane];
        if place.own
            && let Recent::Time(buckets) = &self.recent
            && buckets.add_good(at, lane)
        {
            lane.succeeded(at);
        } else {
            self.add_at(Class::Good, at, place);
        }
    }

    /// Counts any call.
    pub(crate) fn add(&self, class: Class, at: u64) {
        self.add_at(class, at, Place::here());
    }

    #[inline(never)]
    fn add_at(&self, class: Class, at: u64, place: Place) {
        let lane = &self.lanes[place.lane];
        if !class.failed() {
            lane.succeeded(at);
        }
        match &self.recent {
            Recent::Time(buckets) => buckets.add(class, at, lane, place.own, &self.past),
            Recent::Calls(calls) => calls.add(class, &self.past),
        }
    }

    /// Counts a call that is not for the window.
    pub(crate) fn add_aside(&self, class: Class, at: u64) {
        if !class.failed() {
            self.lanes[Place::here().lane].succeeded(at);
        }
        self.past.add(class as usize, 1);
    }

    #[inline]
    pub(crate) fn reject(&self) {
        let place = Place::here();
        self.lanes[place.lane].rejected(place.own);
    }

    pub(crate) fn rejections(&self) -> u64 {
        self.lanes.iter().map(Lane::rejections).sum()
    }

    pub(crate) fn last_success(&self) -> u64 {
        self.lanes.iter().map(Lane::last_success).max().unwrap_or_default()
    }

    pub(crate) fn read(&self, at: u64) -> Reading {
        let mut reading = match &self.recent {
            Recent::Time(buckets) => buckets.read(at, &*self.lanes),
            Recent::Calls(calls) => calls.read(),
        };
        for (ever, past) in reading.ever.iter_mut().zip(&self.past.0) {
            *ever += past.load(Relaxed);
        }
        reading
    }

    /// Forgets the window. A call that another thread is just counting may stay in it.
    pub(crate) fn clear(&self) {
        match &self.recent {
            Recent::Time(buckets) => buckets.clear(),
            Recent::Calls(calls) => calls.clear(&self.past),
        }
    }
}
