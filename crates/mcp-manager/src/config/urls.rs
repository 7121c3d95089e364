//! Reads where a server is: one URL or address, or several of the same kind.

use std::collections::HashMap;

use jsonc_parser::ast::{ObjectProp, StringLit};
use jsonc_parser::common::Ranged;

use super::copies::REPLICAS_MAX;
use super::decode::{invalid, string, strings};
use super::entry::Entry;
use super::keys;
use super::problem::ProblemKind;
use super::template::Mask;
use super::text::Text;
use super::value::{Complaint, Values};

/// How often a server is there, as far as its entry says.
pub(super) fn count(entry: &Entry<'_, '_>) -> usize {
    let list = entry.get("urls").and_then(|property| property.value.as_array());
    list.map_or(1, |list| list.elements.len().max(1))
}

/// The first place, and the others. `tcp` counts only where `takes_tcp`.
pub(super) fn read(
    entry: &Entry<'_, '_>,
    takes_tcp: bool,
    values: &mut Values<'_, '_, '_>,
    fix: &str,
    mask: Mask,
    complain: impl Fn(&str) -> Option<Complaint>,
) -> Option<(Text, Vec<Text>)> {
    if let Some(list) = entry.get("urls") {
        return several(&strings("urls", &list.value, values.report), list, values, mask, complain);
    }
    let tcp = entry.get("tcp").filter(|_| takes_tcp);
    let property = tcp.or_else(|| keys::URL.iter().find_map(|key| entry.get(key)))?;
    let key = property.name.as_str();
    let lit = string(key, &property.value, fix, values.report)?;
    Some((values.text(key, lit, mask, complain), Vec::new()))
}

fn several(
    lits: &[&StringLit<'_>],
    list: &ObjectProp<'_>,
    values: &mut Values<'_, '_, '_>,
    mask: Mask,
    complain: impl Fn(&str) -> Option<Complaint>,
) -> Option<(Text, Vec<Text>)> {
    let at = list.value.start();
    if lits.len() as u64 > REPLICAS_MAX {
        let what = format!("names {} URLs", lits.len());
        let fix = format!("write at most {REPLICAS_MAX}");
        invalid("urls", at, what, &fix, values.report);
        return None;
    }
    let mut first_at = HashMap::new();
    let mut texts = Vec::with_capacity(lits.len());
    for (index, lit) in lits.iter().enumerate() {
        let key = format!("urls[{index}]");
        // Not the URL: it may hold a key.
        if let Some(first) = first_at.insert(&*lit.value, index) {
            let what = format!("`{key}` is the same as `urls[{first}]`");
            let fix = "remove one of them";
            values.report.problem(lit.start(), ProblemKind::Duplicate, what, fix);
        }
        texts.push(values.text(&key, lit, mask, &complain));
    }
    let mut texts = texts.into_iter();
    let Some(first) = texts.next() else {
        if list.value.as_array().is_some_and(|list| list.elements.is_empty()) {
            invalid("urls", at, "names no URL", "name at least one", values.report);
        }
        return None;
    };
    Some((first, texts.collect()))
}
