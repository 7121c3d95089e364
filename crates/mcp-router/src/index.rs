//! Finds the first rule that holds without looking at all of them.
//!
//! It is a tuple space search (Srinivasan, Suri and Varghese, SIGCOMM 1999; Open vSwitch classifies
//! packets this way). Rules that name the same kinds of things exactly have the same shape, and those
//! of a shape are in one hash table by the names. A call is looked up once in each table. There are few
//! shapes however many rules there are: at most 8 × 34.

use std::collections::{BTreeMap, BTreeSet};

use crate::ask::Ask;
use crate::compiled::Compiled;
use crate::glob::Glob;
use crate::hash::{HashedMap, and, hash};

/// Of a glob so much of what it begins with is looked up, and no more.
const PREFIX_MAX: usize = 32;
/// A rule that would have more places than this in a table does without the longest of its lists.
const PLACES_MAX: usize = 64;
const START: u64 = 0x5bd1_e995;

/// What rules of one table name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Shape {
    tool: Tool,
    method: bool,
    server: bool,
    client: bool,
}

/// How the rules of a table name tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tool {
    Any,
    /// By the first bytes, of which there are so many.
    Prefix(usize),
    Exact,
}

#[derive(Debug)]
struct Table {
    shape: Shape,
    /// The first rule in it.
    first: u32,
    spans: HashedMap<Span>,
    rules: Box<[u32]>,
}

/// The rules with the same names.
#[derive(Clone, Copy, Debug)]
enum Span {
    /// The one that there is: nothing else need be fetched.
    One([u32; 1]),
    /// Where in `rules` they begin and end.
    Many(u32, u32),
}

#[derive(Debug)]
pub(crate) struct Index {
    /// Those with the earliest rules come first.
    tables: Box<[Table]>,
    keys: Filter,
    prefix_max: usize,
}

/// Says of most keys that are in no table that they are in none, out of so little memory that it stays
/// in the cache: most tables hold nothing for a call, and to find that out there is slow.
#[derive(Debug)]
struct Filter(Box<[u64]>);

/// The hashes of a call's names, `None` for a name that is not there.
struct Names {
    method: Option<u64>,
    tool: Option<u64>,
    server: Option<u64>,
    client: Option<u64>,
    prefixes: Prefixes,
}

/// The hashes of what a tool's name begins with, by length.
struct Prefixes {
    hashes: [u64; PREFIX_MAX + 1],
    longest: usize,
}

impl Index {
    pub(crate) fn new(rules: &[Compiled]) -> Self {
        let mut tables: BTreeMap<Shape, BTreeMap<u64, BTreeSet<u32>>> = BTreeMap::new();
        for (index, rule) in rules.iter().enumerate() {
            for (shape, key) in places(rule) {
                tables.entry(shape).or_default().entry(key).or_default().insert(index as u32);
            }
        }
        let mut tables: Box<[_]> =
            tables.into_iter().map(|(shape, places)| Table::new(shape, &places)).collect();
        tables.sort_by_key(|table| table.first);
        let prefix_max = tables.iter().filter_map(|table| match table.shape.tool {
            Tool::Prefix(length) => Some(length),
            Tool::Any | Tool::Exact => None,
        });
        let prefix_max = prefix_max.max().unwrap_or(0);
        let keys = Filter::new(tables.iter().flat_map(|table| table.spans.keys().copied()));
        Self { tables, keys, prefix_max }
    }

    /// The first rule of those that may hold, for which `holds` says that it does.
    #[inline]
    pub(crate) fn first(&self, ask: &Ask<'_>, holds: impl FnMut(u32) -> bool) -> Option<u32> {
        let name = |text: Option<&str>| text.map(hash);
        let tool = ask.tool.unwrap_or_default();
        let names = Names {
            method: Some(hash(ask.method)),
            tool: name(ask.tool),
            server: name(ask.server),
            client: name(ask.client),
            prefixes: Prefixes::of(tool, self.prefix_max),
        };
        self.look_up(&names, u32::MAX, holds)
    }

    /// The first rule before this one that may cover it, for which `covers` says that it does.
    pub(crate) fn before(
        &self,
        (index, rule): (u32, &Compiled),
        covers: impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        // Whatever covers the rule covers the first of each of its lists.
        let name = |globs: &[Glob]| globs.first().and_then(Glob::exact).map(hash);
        let tool = rule.tools().first().map_or("", Glob::prefix);
        let names = Names {
            method: name(rule.methods()),
            tool: name(rule.tools()),
            server: name(rule.servers()),
            client: name(rule.clients()),
            prefixes: Prefixes::of(tool, self.prefix_max),
        };
        self.look_up(&names, index, covers)
    }

    #[inline]
    fn look_up(&self, names: &Names, end: u32, mut holds: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut best = end;
        for table in &self.tables {
            if table.first >= best {
                break;
            }
            let found = table.at(names, &self.keys).iter().take_while(|rule| **rule < best);
            if let Some(rule) = found.copied().find(|rule| holds(*rule)) {
                best = rule;
            }
        }
        (best != end).then_some(best)
    }
}

impl Filter {
    /// Sixteen to thirty-two bits for each key.
    fn new(keys: impl Iterator<Item = u64> + Clone) -> Self {
        let words = (keys.clone().count() / 4 + 1).next_power_of_two();
        let mut made = Self(vec![0; words].into());
        for key in keys {
            let (word, bit) = made.place(key);
            made.0[word] |= bit;
        }
        made
    }

    #[inline]
    fn may_have(&self, key: u64) -> bool {
        let (word, bit) = self.place(key);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    #[inline]
    fn place(&self, key: u64) -> (usize, u64) {
        ((key >> 6) as usize & (self.0.len() - 1), 1 << (key & 63))
    }
}

impl Table {
    fn new(shape: Shape, places: &BTreeMap<u64, BTreeSet<u32>>) -> Self {
        let mut spans = HashedMap::default();
        let mut rules = Vec::new();
        for (key, here) in places {
            let span = match here.first() {
                Some(one) if here.len() == 1 => Span::One([*one]),
                _ => Span::Many(rules.len() as u32, (rules.len() + here.len()) as u32),
            };
            spans.insert(*key, span);
            if let Span::Many(..) = span {
                rules.extend(here);
            }
        }
        let first = places.values().flatten().min().copied().unwrap_or(u32::MAX);
        Self { shape, first, spans, rules: rules.into() }
    }

    #[inline]
    fn at(&self, names: &Names, keys: &Filter) -> &[u32] {
        let key = self.shape.key(names).filter(|key| keys.may_have(*key));
        match key.and_then(|key| self.spans.get(&key)) {
            None => &[],
            Some(Span::One(one)) => one,
            Some(Span::Many(from, to)) => {
                self.rules.get(*from as usize..*to as usize).unwrap_or_default()
            }
        }
    }
}

impl Shape {
    #[inline]
    fn key(self, names: &Names) -> Option<u64> {
        let mut key = match self.tool {
            Tool::Any => START,
            Tool::Exact => and(START, names.tool?),
            Tool::Prefix(length) => and(START, names.prefixes.get(length)?),
        };
        for (is_named, name) in
            [(self.method, names.method), (self.server, names.server), (self.client, names.client)]
        {
            if is_named {
                key = and(key, name?);
            }
        }
        Some(key)
    }
}

impl Prefixes {
    #[inline]
    fn of(tool: &str, most: usize) -> Self {
        let mut all = Self { hashes: [0; PREFIX_MAX + 1], longest: 0 };
        for byte in tool.bytes().take(most.min(PREFIX_MAX)) {
            all.hashes[all.longest + 1] = prefix_hash(all.hashes[all.longest], byte);
            all.longest += 1;
        }
        all
    }

    #[inline]
    fn get(&self, length: usize) -> Option<u64> {
        (length <= self.longest).then(|| self.hashes[length])
    }
}

#[inline]
const fn prefix_hash(before: u64, byte: u8) -> u64 {
    (before ^ byte as u64 ^ 0x100).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

/// Every table in which a rule is, and its key there.
fn places(rule: &Compiled) -> Vec<(Shape, u64)> {
    let mut tools: BTreeSet<_> = rule.tools().iter().map(tool_key).collect();
    if tools.is_empty() || tools.contains(&(Tool::Any, START)) {
        tools = [(Tool::Any, START)].into();
    }
    let mut others = [exact(rule.methods()), exact(rule.servers()), exact(rule.clients())];
    loop {
        let count = |list: &Option<Vec<u64>>| list.as_ref().map_or(1, Vec::len);
        let all = others.iter().map(count).fold(tools.len(), usize::saturating_mul);
        let longest = others.iter_mut().max_by_key(|list| count(list));
        match longest {
            Some(longest) if all > PLACES_MAX && count(longest) > 1 => *longest = None,
            _ => break,
        }
    }
    let [method, server, client] = [0, 1, 2].map(|at| others[at].is_some());
    let mut keys: Vec<_> = tools
        .into_iter()
        .map(|(tool, key)| (Shape { tool, method, server, client }, key))
        .collect();
    for names in others.into_iter().flatten() {
        let with = |(shape, key): &(Shape, u64)| {
            let (shape, key) = (*shape, *key);
            names.iter().map(move |name| (shape, and(key, *name))).collect::<Vec<_>>()
        };
        keys = keys.iter().flat_map(with).collect();
    }
    keys
}

fn tool_key(glob: &Glob) -> (Tool, u64) {
    if let Some(text) = glob.exact() {
        return (Tool::Exact, and(START, hash(text)));
    }
    let prefix = glob.prefix().as_bytes();
    let prefix = &prefix[..prefix.len().min(PREFIX_MAX)];
    if prefix.is_empty() {
        return (Tool::Any, START);
    }
    let key = prefix.iter().fold(0, |before, byte| prefix_hash(before, *byte));
    (Tool::Prefix(prefix.len()), and(START, key))
}

/// The names, if there are any and all are exact.
fn exact(globs: &[Glob]) -> Option<Vec<u64>> {
    let names: Option<Vec<_>> = globs.iter().map(|glob| glob.exact().map(hash)).collect();
    names.filter(|names| !names.is_empty())
}
