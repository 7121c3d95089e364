//! A rule in the shape in which it is matched.

use std::collections::HashMap;

use crate::ask::Ask;
use crate::glob::Glob;
use crate::json::{Found, Unreadable, find};
use crate::pointer::Pointer;
use crate::rule::{Action, Condition, Rule, Scalar};

/// What one call has read of its arguments is kept for so many places: rules tend to look at the same.
const PLACES: usize = 4;

#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) methods: Box<[Glob]>,
    pub(crate) tools: Box<[Glob]>,
    pub(crate) servers: Box<[Glob]>,
    pub(crate) clients: Box<[Glob]>,
    any: Box<[Box<str>]>,
    all: Box<[Box<str>]>,
    arguments: Box<[(u32, Test)]>,
    denies: bool,
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
        let globs = |list: &[String]| list.iter().map(|glob| Glob::new(glob)).collect();
        let texts = |list: &[String]| list.iter().map(|text| text.as_str().into()).collect();
        let when = &rule.when;
        let arguments = when.arguments.iter().filter_map(|argument| {
            Some((places.add(Pointer::parse(&argument.at)?), Test::new(&argument.is)))
        });
        Self {
            methods: globs(&when.methods),
            tools: globs(&when.tools),
            servers: globs(&when.servers),
            clients: globs(&when.clients),
            any: texts(&when.tags.any),
            all: texts(&when.tags.all),
            arguments: arguments.collect(),
            denies: matches!(rule.then, Action::Deny(_)),
        }
    }

    #[inline]
    pub(crate) fn matches<'a>(&self, ask: &Ask<'a>, read: &mut Read<'a, '_>) -> bool {
        one_of(&self.tools, ask.tool)
            && one_of(&self.methods, Some(ask.method))
            && one_of(&self.servers, ask.server)
            && one_of(&self.clients, ask.client)
            && (self.any.is_empty() || self.any.iter().any(|tag| ask.tags.contains(&&**tag)))
            && self.all.iter().all(|tag| ask.tags.contains(&&**tag))
            && self.arguments.iter().all(|(place, test)| match read.at(*place) {
                Ok(found) => test.holds(found.as_ref()),
                // A refusal is not to be dodged by what only a more lenient reader can read.
                Err(Unreadable) => self.denies,
            })
    }

    /// Whether every call that `other` matches is matched by this one; `false` where that is not plain
    /// to see.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let globs = |these: &[Glob], those: &[Glob]| {
            let is_covered = |that: &Glob| these.iter().any(|this| this.covers(that));
            these.is_empty() || !those.is_empty() && those.iter().all(is_covered)
        };
        let any = self.any.is_empty()
            || self.any.iter().any(|tag| other.all.contains(tag))
            || !other.any.is_empty() && other.any.iter().all(|tag| self.any.contains(tag));
        globs(&self.tools, &other.tools)
            && globs(&self.methods, &other.methods)
            && globs(&self.servers, &other.servers)
            && globs(&self.clients, &other.clients)
            && any
            && self.all.iter().all(|tag| other.all.contains(tag))
            && self.arguments.iter().all(|argument| other.arguments.contains(argument))
            // What cannot be read is matched by those that refuse.
            && (self.arguments.is_empty() || self.denies || !other.denies)
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
