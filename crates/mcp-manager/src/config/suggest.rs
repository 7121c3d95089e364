//! "Did you mean", and how a name from a file is shown.

use strsim::osa_distance;

/// The candidate that `key` was probably meant to be: equal but for its case, or at most two edits
/// away (one edit for names of three letters or fewer, where two edits make any name of any other).
pub(super) fn nearest(key: &str, candidates: &[&'static str]) -> Option<&'static str> {
    let wanted = key.to_lowercase();
    let near = candidates.iter().filter_map(|candidate| {
        // Also keeps a key of a megabyte from being compared at the cost of its square.
        if wanted.len().abs_diff(candidate.len()) > 4 {
            return None;
        }
        let distance = osa_distance(&wanted, &candidate.to_lowercase());
        let limit = if candidate.len() <= 3 { 1 } else { 2 };
        (distance <= limit).then_some((distance, *candidate))
    });
    near.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// A name as it appears in a message: in backquotes, on one line, and not endless.
pub(super) fn quote(name: &str) -> String {
    const SHOWN_MAX: usize = 64;
    let mut shown = String::from("`");
    for (index, c) in name.chars().enumerate() {
        if index == SHOWN_MAX {
            shown.push('…');
            break;
        }
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown.push('`');
    shown
}

/// `a`, `b` and `c`
pub(super) fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => quote(only),
        [first @ .., last] => {
            let first: Vec<_> = first.iter().map(|name| quote(name)).collect();
            format!("{} and {}", first.join(", "), quote(last))
        }
    }
}
