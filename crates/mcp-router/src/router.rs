//! Rules that are asked, and what they answered so far.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::Config;
use crate::ask::{Ask, Decision, Verdict};
use crate::check::{RuleError, check};
use crate::compiled::{Compiled, Places, Read};
use crate::hash::{hash, mix};
use crate::index::Index;
use crate::rule::{Action, Rule, Share};
use crate::stats::{RuleStats, Stats};

/// Pairs of rules that are compared for warnings; what is left then is not looked at. Some 100 ms.
const PAIRS_MAX: usize = 2_000_000;
/// So that who is mirrored does not depend on where a split sends it.
const MIRROR: u64 = 0x6d69_7272_6f72;

/// Rules, and an index over them.
///
/// It does not change. Other rules are another router: [`Router::changed`] makes one that goes on
/// counting where this one stopped.
#[derive(Debug)]
pub struct Router {
    config: Config,
    rules: Box<[Rule]>,
    compiled: Box<[Compiled]>,
    counts: Box<[Arc<AtomicU64>]>,
    places: Places,
    index: Index,
    totals: Arc<Totals>,
}

#[derive(Debug, Default)]
struct Totals {
    unmatched: AtomicU64,
    denied: AtomicU64,
    mirrored: AtomicU64,
}

/// A rule that can never decide anything, because an earlier one holds whenever it does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warning {
    /// The rule that never decides.
    pub rule: usize,
    /// Its name.
    pub name: String,
    /// The rule that always decides before it.
    pub covered_by: usize,
    /// That one's name.
    pub covered_by_name: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, name, covered_by, covered_by_name } = self;
        write!(
            formatter,
            "rule {rule} (`{name}`) never decides: rule {covered_by} (`{covered_by_name}`) holds \
             whenever it does; put it before that one, or leave it out"
        )
    }
}

impl Router {
    /// Rules in the order in which they are asked.
    ///
    /// # Errors
    ///
    /// [`RuleError`] names the first rule that means nothing, or exceeds what `config` allows.
    pub fn new(rules: Vec<Rule>, config: Config) -> Result<Self, RuleError> {
        Self::build(rules, config, Arc::default(), &HashMap::new())
    }

    /// Other rules with the same bounds. Those of a name that is known go on counting, and so do the
    /// totals, also for decisions that are still made with this router.
    ///
    /// # Errors
    ///
    /// As [`Router::new`].
    pub fn changed(&self, rules: Vec<Rule>) -> Result<Self, RuleError> {
        let names = self.rules.iter().map(|rule| &*rule.name);
        let counts = names.zip(self.counts.iter()).collect();
        Self::build(rules, self.config.clone(), Arc::clone(&self.totals), &counts)
    }

    fn build(
        rules: Vec<Rule>,
        config: Config,
        totals: Arc<Totals>,
        known: &HashMap<&str, &Arc<AtomicU64>>,
    ) -> Result<Self, RuleError> {
        check(&rules, &config)?;
        let mut places = Places::default();
        let compiled: Box<[_]> =
            rules.iter().map(|rule| Compiled::new(rule, &mut places)).collect();
        let index = Index::new(&compiled);
        let count =
            |rule: &Rule| known.get(&*rule.name).map_or_else(Arc::default, |c| Arc::clone(c));
        let counts = rules.iter().map(count).collect();
        Ok(Self { config, rules: rules.into(), compiled, places, index, counts, totals })
    }

    /// What becomes of this call: what the first rule says that holds.
    ///
    /// Nothing is locked, and nothing is allocated but by arguments that have to be read and that nest
    /// or are escaped. Arguments that are no JSON satisfy no condition, except those of a rule that
    /// denies: of these they satisfy every one.
    #[must_use]
    pub fn route(&self, ask: &Ask<'_>) -> Decision<'_> {
        let mut read = Read::new(ask.arguments, &self.places);
        let holds = |rule: u32| {
            let rule = self.compiled.get(rule as usize);
            rule.is_some_and(|rule| rule.matches(ask, &mut read))
        };
        let Some(index) = self.index.first(ask, holds) else {
            self.totals.unmatched.fetch_add(1, Relaxed);
            return Decision::NONE;
        };
        let index = index as usize;
        self.counts[index].fetch_add(1, Relaxed);
        self.decide(index, ask.key)
    }

    fn decide(&self, index: usize, key: u64) -> Decision<'_> {
        let rule = &self.rules[index];
        let verdict = match &rule.then {
            Action::Pass => Verdict::Pass,
            Action::Route(server) => Verdict::Route(server),
            Action::Split(shares) => share(shares, mix(key ^ hash(&rule.name))),
            Action::Deny(reason) => {
                self.totals.denied.fetch_add(1, Relaxed);
                let verdict = Verdict::Deny(reason);
                return Decision { rule: Some(index), verdict, ..Decision::NONE };
            }
        };
        let mirror = rule.mirror.as_ref().filter(|mirror| {
            // 53 bits are what a double holds: a share of 1 is above all of them.
            let chance = (mix(key ^ MIRROR) >> 11) as f64 / (1_u64 << 53) as f64;
            chance < mirror.share
        });
        if mirror.is_some() {
            self.totals.mirrored.fetch_add(1, Relaxed);
        }
        Decision {
            rule: Some(index),
            verdict,
            mirror: mirror.map(|mirror| &*mirror.server),
            priority: rule.priority,
            fallback: rule.fallback.as_deref(),
        }
    }

    /// The rules, in their order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Rules that can never decide, as far as that is plain to see. It takes a while: for when rules
    /// are loaded.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let mut pairs = 0;
        let mut warnings = Vec::new();
        for (index, rule) in self.compiled.iter().enumerate() {
            let covers = |before: u32| {
                pairs += 1;
                pairs <= PAIRS_MAX && self.compiled[before as usize].covers(rule)
            };
            if let Some(before) = self.index.before((index as u32, rule), covers) {
                let covered_by = before as usize;
                let name = |index: usize| self.rules[index].name.clone();
                warnings.push(Warning {
                    rule: index,
                    name: name(index),
                    covered_by,
                    covered_by_name: name(covered_by),
                });
            }
        }
        warnings
    }

    /// What was decided so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let rule = |(rule, count): (&Rule, &Arc<AtomicU64>)| RuleStats {
            name: rule.name.clone(),
            matches: count.load(Relaxed),
        };
        Stats {
            rules: self.rules.iter().zip(&self.counts).map(rule).collect(),
            unmatched: self.totals.unmatched.load(Relaxed),
            denied: self.totals.denied.load(Relaxed),
            mirrored: self.totals.mirrored.load(Relaxed),
        }
    }
}

/// Weights are checked to be more than nothing.
fn share(shares: &[Share], random: u64) -> Verdict<'_> {
    let all: u64 = shares.iter().map(|share| u64::from(share.weight)).sum();
    let mut at = ((u128::from(random) * u128::from(all)) >> 64) as u64;
    for share in shares {
        let weight = u64::from(share.weight);
        if at < weight {
            return Verdict::Route(&share.server);
        }
        at -= weight;
    }
    Verdict::Pass
}
