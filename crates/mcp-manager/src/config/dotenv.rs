//! `envFile`: lines of `KEY=VALUE`.

/// A line that is not understood; its text is not kept, since it may be a secret.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadLine {
    /// Counted from 1.
    pub(super) line: usize,
}

/// Reads `KEY=VALUE` lines, in order.
///
/// Blank lines and lines that begin with `#` are skipped, as is the word `export`. A value in
/// single quotes is taken as it is; in double quotes, `\n`, `\r`, `\t`, `\"` and `\\` are escapes;
/// without quotes it ends at ` #` and is trimmed. Nothing is expanded, and no value spans lines.
pub(super) fn parse(text: &str) -> Result<Vec<(String, String)>, BadLine> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut variables = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        variables.push(assignment(line).ok_or(BadLine { line: index + 1 })?);
    }
    Ok(variables)
}

fn assignment(line: &str) -> Option<(String, String)> {
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (key, value) = line.split_once('=')?;
    let key = key.trim();
    if key.is_empty() || key.contains(char::is_whitespace) || key.contains('\0') {
        return None;
    }
    let value = value.trim_start();
    let value = match value.chars().next() {
        Some('\'') => {
            let (value, rest) = value[1..].split_once('\'')?;
            ends(rest).then(|| value.to_owned())?
        }
        Some('"') => double_quoted(&value[1..])?,
        Some('#') | None => String::new(),
        Some(_) => value.split(" #").next().unwrap_or(value).trim_end().to_owned(),
    };
    (!value.contains('\0')).then(|| (key.to_owned(), value))
}

fn double_quoted(text: &str) -> Option<String> {
    let mut value = String::new();
    let mut letters = text.chars();
    loop {
        match letters.next()? {
            '"' => return ends(letters.as_str()).then_some(value),
            '\\' => match letters.next()? {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                c @ ('"' | '\\') => value.push(c),
                c => value.extend(['\\', c]),
            },
            c => value.push(c),
        }
    }
}

/// Behind a closing quote there is nothing, or a comment.
fn ends(rest: &str) -> bool {
    let rest = rest.trim_start();
    rest.is_empty() || rest.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads() {
        let table = [
            ("A=1", "1"),
            ("export A=1", "1"),
            ("  A = 1 two  # three", "1 two"),
            ("A=a#b", "a#b"),
            ("A=", ""),
            ("A= # none", ""),
            ("A=x=y", "x=y"),
            ("A='a # \\n $B' # c", "a # \\n $B"),
            (r#"A="a\n\"b\\ \$c""#, "a\n\"b\\ \\$c"),
            ("A=${B}", "${B}"),
            ("\u{feff}# c\r\n\r\nA=1\r\n", "1"),
        ];
        for (text, value) in table {
            let expected = vec![("A".to_owned(), value.to_owned())];
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn names_the_line_it_cannot_read() {
        for text in ["A=1\nB", "A=1\n=2", "A=1\nB C=2", "A=1\nB='2", "A=1\nB=\"2", "A=1\nB='2'x"] {
            assert_eq!(parse(text), Err(BadLine { line: 2 }), "{text}");
        }
    }
}
