//! The notes, within bounds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::demo::arguments::Misuse;

/// What the notes can grow to: with these bounds, 64 MB.
pub(super) const NOTES_MAX: usize = 1000;
pub(super) const TEXT_BYTES_MAX: usize = 64 << 10;
pub(super) const KEY_CHARS_MAX: usize = 128;

/// Notes by key. A note's text is shared, so that nothing slow happens under the lock.
#[derive(Debug, Default)]
pub(super) struct Store {
    notes: Mutex<BTreeMap<String, Arc<str>>>,
}

impl Store {
    /// Writes a note; whether it is a new one.
    pub(super) fn write(&self, key: &str, text: &str) -> Result<bool, Misuse> {
        check(key, text)?;
        let mut notes = self.lock();
        if notes.len() >= NOTES_MAX && !notes.contains_key(key) {
            let why = format!("The notebook is full: it has {NOTES_MAX} notes, remove one first.");
            return Err(Misuse(why));
        }
        Ok(notes.insert(key.to_owned(), text.into()).is_none())
    }

    pub(super) fn read(&self, key: &str) -> Option<Arc<str>> {
        self.lock().get(key).cloned()
    }

    /// Removes a note; whether it was there.
    pub(super) fn remove(&self, key: &str) -> bool {
        self.lock().remove(key).is_some()
    }

    /// All notes as they are now, by key.
    pub(super) fn all(&self) -> Vec<(String, Arc<str>)> {
        self.lock().iter().map(|(key, text)| (key.clone(), Arc::clone(text))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<str>>> {
        // No foreign code runs under the lock, so a poisoned map is still a consistent one.
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a note may have this key and text.
pub(super) fn check(key: &str, text: &str) -> Result<(), Misuse> {
    let chars = key.chars().count();
    if !(1..=KEY_CHARS_MAX).contains(&chars) || key.contains(char::is_control) {
        let why =
            format!("A key must have 1 to {KEY_CHARS_MAX} characters and no control characters.");
        return Err(Misuse(why));
    }
    if text.len() > TEXT_BYTES_MAX {
        let got = text.len();
        let why = format!("A note may have {TEXT_BYTES_MAX} bytes, this one has {got}: split it.");
        return Err(Misuse(why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_notes_within_bounds() {
        let store = Store::default();
        for n in 0..NOTES_MAX {
            assert_eq!(store.write(&n.to_string(), "x"), Ok(true));
        }
        assert!(store.write("one more", "x").unwrap_err().0.contains("full"));
        assert_eq!(store.write("7", "other"), Ok(false));
        assert!(store.remove("8") && !store.remove("8"));
        assert_eq!(store.write("one more", "x"), Ok(true));
        assert_eq!(store.read("7").as_deref(), Some("other"));
        assert_eq!(store.all().len(), NOTES_MAX);
    }

    #[test]
    fn refuses_keys_and_texts_that_are_none() {
        let store = Store::default();
        for key in ["", "a\nb", &"k".repeat(129)] {
            assert!(store.write(key, "x").unwrap_err().0.starts_with("A key must"));
        }
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        assert!(store.write("k", &long).unwrap_err().0.contains("65537"));
        assert!(store.all().is_empty());
    }
}
