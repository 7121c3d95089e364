//! What the servers are like, and what happens to them.

/// One of the worlds in which strategies are compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    /// Speeds, in turns.
    pub(crate) speeds: &'static [f64],
    /// How much of what the servers can do is asked of them.
    pub(crate) busy: f64,
    pub(crate) trouble: Trouble,
    /// How many calls are played.
    pub(crate) calls: usize,
}

impl Scene {
    /// Whether servers differ when nothing goes wrong.
    pub(crate) fn is_heterogeneous(&self) -> bool {
        self.speeds.len() > 1
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    None,
    /// The first one has a tenth of its speed.
    Slow,
    /// The first one has a twentieth of its speed every other second.
    Flapping,
    /// The first one fails every call at once.
    Fails,
    /// Each has a quarter of its speed now and then: for a second in the mean, each six.
    Antagonists,
    /// More than twice as many calls in each fifth half second, more than can be served.
    Bursts,
}

const EQUAL: &[f64] = &[1.0];
const UNEQUAL: &[f64] = &[1.0, 0.6, 0.3];

/// All that are played.
pub(crate) const SCENES: &[Scene] = &[
    scene("homogeneous", EQUAL, 0.7, Trouble::None),
    scene("heterogeneous", UNEQUAL, 0.7, Trouble::None),
    scene("heterogeneous busy", UNEQUAL, 0.85, Trouble::None),
    scene("one slow", EQUAL, 0.7, Trouble::Slow),
    scene("one flapping", EQUAL, 0.7, Trouble::Flapping),
    scene("one fails fast", EQUAL, 0.7, Trouble::Fails),
    scene("antagonists", UNEQUAL, 0.6, Trouble::Antagonists),
    scene("bursts", UNEQUAL, 0.6, Trouble::Bursts),
];

const fn scene(name: &'static str, speeds: &'static [f64], busy: f64, trouble: Trouble) -> Scene {
    // What is lost is a number of calls for each balancer, and so a smaller share the longer one
    // plays: twice the others' length, in which what fails is tried again twice.
    let calls = if matches!(trouble, Trouble::Fails) { 400_000 } else { 200_000 };
    Scene { name, speeds, busy, trouble, calls }
}
