//! Importing many notes in one call.

use mcp_wire::serve::Call;
use serde_json::Value;

use super::{Notebook, store};
use crate::demo::arguments::{Arguments, Misuse};
use crate::demo::tool::{Outcome, Output};

pub(super) const LINES_MAX: usize = 1000;

impl Notebook {
    /// Writes a note per line, and reports progress after each. Nothing is written unless every
    /// line is one.
    pub(super) async fn import(&self, arguments: &Arguments, call: &Call) -> Outcome {
        let notes = read(arguments.list("lines")?)?;
        let total = notes.len() as f64;
        for (index, (key, text)) in notes.iter().enumerate() {
            let written = self.write(key, text);
            let written = written.map_err(|Misuse(why)| {
                Misuse(format!("The first {index} lines are imported. Then: {why}"))
            })?;
            call.progress((index + 1) as f64, Some(total), Some(&written)).await;
            // Other calls get their turn, and a cancelled import ends here.
            tokio::task::yield_now().await;
        }
        Ok(Output::Text(format!("Imported {} notes.", notes.len())))
    }
}

/// Keys and texts of the lines.
fn read(lines: &[Value]) -> Result<Vec<(&str, &str)>, Misuse> {
    if !(1..=LINES_MAX).contains(&lines.len()) {
        return Err(Misuse(format!("`lines` must have 1 to {LINES_MAX} lines.")));
    }
    lines.iter().enumerate().map(|(index, line)| note(line, index + 1)).collect()
}

/// Key and text of one line; `number` is for a message about it.
fn note(line: &Value, number: usize) -> Result<(&str, &str), Misuse> {
    let wrong = |why: &str| Misuse(format!("Nothing is imported. Line {number}: {why}"));
    let parts = line.as_str().and_then(|line| line.split_once(':'));
    let Some((key, text)) = parts else {
        return Err(wrong("It must be a string of the form `key: text`."));
    };
    let (key, text) = (key.trim(), text.trim());
    store::check(key, text).map_err(|Misuse(why)| wrong(&why))?;
    Ok((key, text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_line_is_a_note_or_none_is() {
        let lines = [json!("a: one"), json!("b:two: three ")];
        assert_eq!(read(&lines), Ok(vec![("a", "one"), ("b", "two: three")]));
        for wrong in [json!("no colon"), json!(1), json!(": no key")] {
            let Err(Misuse(why)) = read(&[json!("a: one"), wrong]) else { panic!() };
            assert!(why.starts_with("Nothing is imported. Line 2: "), "{why}");
        }
        assert!(read(&[]).is_err() && read(&vec![json!("a: b"); 1001]).is_err());
    }
}
