//! What people and programs read: data on stdout, talk on stderr. A reader that leaves is no error.

use std::io::{IsTerminal as _, Write as _};

use mcp_wire::quoted;

use crate::exit::Error;

/// One line of data. Whether somebody still reads.
pub(crate) fn line(text: &str) -> bool {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).is_ok()
}

/// One line of talk.
pub(crate) fn complain(text: &str) {
    // There is nobody left to tell.
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// A failed command's last words.
pub(crate) fn report(error: &Error, json: bool) {
    if json {
        let (code, message) = (error.code, quoted(&error.message));
        complain(&format!(r#"{{"error":{{"code":"{code}","message":{message}}}}}"#));
    } else {
        // A server's last words may be in it.
        complain(&format!("error: {}", printable(&error.message)));
    }
}

/// Whether stderr is a terminal that wants colours (`NO_COLOR`, `TERM=dumb`).
pub(crate) fn colours() -> bool {
    // A build machine's logs may show colours; a terminal that says that it cannot, cannot.
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let wanted = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    wanted && !dumb && std::io::stderr().is_terminal()
}

/// `text` without what a terminal would obey: a server's words are data.
pub(crate) fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}
