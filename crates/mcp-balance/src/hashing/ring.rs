//! A ring of points, more of them for a heavier endpoint (Karger et al., STOC 1997; libketama).

use super::hash_key;
use crate::scan::mixed;

/// Points of an endpoint of weight 1.
const POINTS: u32 = 160;
/// And of one at most.
const POINTS_MAX: u32 = 16_384;

/// A key belongs to the first point behind it.
#[derive(Debug)]
pub(crate) struct Ring {
    points: Box<[u64]>,
    /// The endpoints of the points.
    places: Box<[u16]>,
}

impl Ring {
    pub(crate) fn new(endpoints: &[(&str, u32)]) -> Self {
        let mut points = Vec::new();
        for (index, (id, weight)) in endpoints.iter().enumerate() {
            let id = hash_key(id);
            // The number depends on nothing but the endpoint's own weight: no other's points move.
            let count = weight.saturating_mul(POINTS).min(POINTS_MAX);
            let point = |number: u32| (mixed(id ^ mixed(u64::from(number))), index as u16);
            points.extend((0..count).map(point));
        }
        points.sort_unstable();
        let (points, places): (Vec<_>, Vec<_>) = points.into_iter().unzip();
        Self { points: points.into(), places: places.into() }
    }

    pub(super) fn places(&self) -> &[u16] {
        &self.places
    }

    pub(super) fn place(&self, key: u64) -> usize {
        self.points.partition_point(|point| *point < key)
    }
}
