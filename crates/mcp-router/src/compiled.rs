//! A rule in the shape in which it is matched.

use std::collections::HashMap;

use crate::ask::Ask;
use crate::glob::Glob;
use crate::json::{Found, Unreadable, find};
use crate::pointer::Pointer;
use crate::rule::{Action, Condition, Rule, Scalar};

/// What one call has read of its arguments is kept for so many places: rules tend to look at the same.
const PLACES: usize = 4;

/// Small, and in one piece where it can be: of ten thousand few are in the cache when a call asks for
/// them, and to fetch one is most of what a decision costs.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// Of tools, methods, servers and clients, in this order.
    globs: Box<[Glob]>,
    /// Where each of the four ends.
    ends: [u16; 4],
    denies: bool,
    more: Option<Box<More>>,
}

/// What most rules do not ask for.
#[derive(Debug, Default)]
struct More {
    any: Box<[Box<str>]>,
    all: Box<[Box<str>]>,
    arguments: Box<[(u32, Test)]>,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    OneOf(Box<[Scalar]>),
    Exists(bool),
    Glob(Glob),
    Greater(f64),
    Less(f64),
}

/// The places that rules look at, each once.
#[derive(Debug, Default)]
pub(crate) struct Places {
    pointers: Vec<Pointer>,
    known: HashMap<Pointer, u32>,
}

impl Places {
    fn add(&mut self, pointer: Pointer) -> u32 {
        let next = self.pointers.len() as u32;
        *self.known.entry(pointer).or_insert_with_key(|pointer| {
            self.pointers.push(pointer.clone());
            next
        })
    }
}

impl Compiled {
    pub(crate) fn new(rule: &Rule, places: &mut Places) -> Self {
        let when = &rule.when;
        let (mut globs, mut ends) = (Vec::new(), [0; 4]);
        let lists = [&when.tools, &when.methods, &when.servers, &when.clients];
        for (list, end) in lists.into_iter().zip(&mut ends) {
            globs.extend(list.iter().map(|glob| Glob::new(glob)));
            *end = globs.len() as u16;
        }
        let denies = matches!(rule.then, Action::Deny(_));
        Self { globs: globs.into(), ends, denies, more: More::new(rule, places).map(Box::new) }
    }

    pub(crate) fn tools(&self) -> &[Glob] {
        self.list(0)
    }

    pub(crate) fn methods(&self) -> &[Glob] {
        self.list(1)
    }

    pub(crate) fn servers(&self) -> &[Glob] {
        self.list(2)
    }

    pub(crate) fn clients(&self) -> &[Glob] {
        self.list(3)
    }

    #[inline]
    fn list(&self, at: usize) -> &[Glob] {
        let from = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.globs[from.into()..self.ends[at].into()]
    }

    #[inline]
    pub(crate) fn matches<'a>(&self, ask: &Ask<'a>, read: &mut Read<'a, '_>) -> bool {
        one_of(self.tools(), ask.tool)
            && one_of(self.methods(), Some(ask.method))
            && one_of(self.servers(), ask.server)
            && one_of(self.clients(), ask.client)
            && self.more.as_ref().is_none_or(|more| more.matches(ask, read, self.denies))
    }

    /// Whether every call that `other` matches is matched by this one; `false` where that is not plain
    /// to see.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let lists = (0..4).all(|at| {
            let (these, those) = (self.list(at), other.list(at));
            let is_covered = |that: &Glob| these.iter().any(|this| this.covers(that));
            these.is_empty() || !those.is_empty() && those.iter().all(is_covered)
        });
        // What cannot be read is matched by those that refuse.
        let dodges = |more: &More| !more.arguments.is_empty() && !self.denies && other.denies;
        let nothing = More::default();
        lists
            && self.more.as_deref().is_none_or(|more| {
                !dodges(more) && more.covers(other.more.as_deref().unwrap_or(&nothing))
            })
    }
}

impl More {
    fn new(rule: &Rule, places: &mut Places) -> Option<Self> {
        let texts = |list: &[String]| list.iter().map(|text| text.as_str().into()).collect();
        let when = &rule.when;
        let arguments = when.arguments.iter().filter_map(|argument| {
            Some((places.add(Pointer::parse(&argument.at)?), Test::new(&argument.is)))
        });
        let more = Self {
            any: texts(&when.tags.any),
            all: texts(&when.tags.all),
            arguments: arguments.collect(),
        };
        let asks = !(more.any.is_empty() && more.all.is_empty() && more.arguments.is_empty());
        asks.then_some(more)
    }

    fn matches<'a>(&self, ask: &Ask<'a>, read: &mut Read<'a, '_>, denies: bool) -> bool {
        (self.any.is_empty() || self.any.iter().any(|tag| ask.tags.contains(&&**tag)))
            && self.all.iter().all(|tag| ask.tags.contains(&&**tag))
            && self.arguments.iter().all(|(place, test)| match read.at(*place) {
                Ok(found) => test.holds(found.as_ref()),
                // A refusal is not to be dodged by what only a more lenient reader can read.
                Err(Unreadable) => denies,
            })
    }

    fn covers(&self, other: &Self) -> bool {
        let any = self.any.is_empty()
            || self.any.iter().any(|tag| other.all.contains(tag))
            || !other.any.is_empty() && other.any.iter().all(|tag| self.any.contains(tag));
        any && self.all.iter().all(|tag| other.all.contains(tag))
            && self.arguments.iter().all(|argument| other.arguments.contains(argument))
    }
}

#[inline]
fn one_of(globs: &[Glob], name: Option<&str>) -> bool {
    globs.is_empty() || name.is_some_and(|name| globs.iter().any(|glob| glob.matches(name)))
}

impl Test {
    fn new(condition: &Condition) -> Self {
        match condition {
            Condition::Equals(value) => Self::OneOf([value.clone()].into()),
            Condition::OneOf(values) => Self::OneOf(values.clone().into()),
            Condition::Exists(exists) => Self::Exists(*exists),
            Condition::Glob(glob) => Self::Glob(Glob::new(glob)),
            Condition::Greater(number) => Self::Greater(*number),
            Condition::Less(number) => Self::Less(*number),
        }
    }

    fn holds(&self, found: Option<&Found<'_>>) -> bool {
        match (self, found) {
            (Self::Exists(exists), found) => *exists == found.is_some(),
            (Self::OneOf(values), Some(found)) => values.iter().any(|value| is(value, found)),
            (Self::Glob(glob), Some(Found::Text(text))) => glob.matches(text),
            (Self::Greater(than), Some(Found::Number(number))) => number > than,
            (Self::Less(than), Some(Found::Number(number))) => number < than,
            _ => false,
        }
    }
}

fn is(value: &Scalar, found: &Found<'_>) -> bool {
    match (value, found) {
        (Scalar::Null, Found::Null) => true,
        (Scalar::Bool(value), Found::Bool(found)) => value == found,
        (Scalar::Number(value), Found::Number(found)) => value == found,
        (Scalar::Text(value), Found::Text(found)) => value == found,
        _ => false,
    }
}

type Answer<'a> = Result<Option<Found<'a>>, Unreadable>;

/// What was read of the arguments of one call.
#[derive(Debug)]
pub(crate) struct Read<'a, 'p> {
    text: &'a str,
    places: &'p Places,
    kept: [Option<(u32, Answer<'a>)>; PLACES],
    next: usize,
}

impl<'a, 'p> Read<'a, 'p> {
    pub(crate) fn new(text: &'a str, places: &'p Places) -> Self {
        Self { text, places, kept: [const { None }; PLACES], next: 0 }
    }

    fn at(&mut self, place: u32) -> &Answer<'a> {
        let known = self.kept.iter().flatten().position(|(kept, _)| *kept == place);
        // Those that are filled come first.
        let slot = known.unwrap_or_else(|| {
            let slot = self.next;
            self.next = (slot + 1) % PLACES;
            self.kept[slot] = None;
            slot
        });
        let pointers = &self.places.pointers;
        let text = self.text;
        let read = || pointers.get(place as usize).map_or(Ok(None), |pointer| find(text, pointer));
        let (_, answer) = self.kept[slot].get_or_insert_with(|| (place, read()));
        answer
    }
}
