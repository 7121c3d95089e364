//! The bad frames: what is written around a good answer.

use serde_json::Value;

use super::answers::WRONG;
use super::{Args, answers};

/// Each item is one write.
pub(super) type Writes = Vec<Vec<u8>>;

/// What comes before the answer to a `tools/call` with this `id`.
pub(super) fn before(args: &Args, id: &str) -> Writes {
    let mut writes = Writes::new();
    // A well-formed answer to this very call, were it not for what is done to its bytes.
    let answer = |bad: &str| response(id, &wrong(bad));
    if args.bad_utf8 {
        let mut frame = answer("utf8?").into_bytes();
        if let Some(at) = frame.iter().position(|byte| *byte == b'?') {
            frame[at] = 0xff;
        }
        writes.push(line(frame));
    }
    if args.bom {
        writes.push(line([b"\xef\xbb\xbf", answer("bom").as_bytes()].concat()));
    }
    if args.nul {
        writes.push(line(answer("nul").replace("nul", "nul\0").into_bytes()));
    }
    if args.crlf {
        let notification = r#"{"jsonrpc":"2.0","method":"notifications/x-crlf"}"#;
        writes.push(format!("\r\n{notification}\r\n\r\n").into_bytes());
    }
    if args.lone_surrogate {
        writes.push(line(answer("SURROGATE").replace("SURROGATE", r"\ud83d").into_bytes()));
    }
    if args.unknown_ids {
        writes.extend(
            unknown_ids(id)
                .into_iter()
                .map(|id| line(response(&id, &wrong("unknown id")).into_bytes())),
        );
    }
    writes
}

/// What comes after the answer to a `tools/call` with this `id`.
pub(super) fn after(args: &Args, id: &str) -> Writes {
    let again = || line(response(id, &wrong("duplicate")).into_bytes());
    if args.duplicate_answers { vec![again(), again()] } else { Writes::new() }
}

/// Ids that look like `id` and are none that anybody waits for.
fn unknown_ids(id: &str) -> Vec<String> {
    let mut ids: Vec<String> =
        ["987654321987", "9007199254740993", "-1", "null", r#""nobody""#, "{}", "[1]", "true"]
            .map(String::from)
            .into();
    match serde_json::from_str(id) {
        Ok(Value::String(text)) => {
            ids.push(Value::from(format!("{text} ")).to_string());
            // A number where a string was sent.
            ids.extend(text.parse::<i64>().ok().map(|number| number.to_string()));
        }
        _ => ids.extend([format!(r#""{id}""#), format!("{id}.0"), format!("{id}.5")]),
    }
    ids
}

pub(super) fn response(id: &str, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

pub(super) fn error(id: &str, error: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)
}

fn wrong(why: &str) -> String {
    answers::text(&format!("{WRONG}: {why}"), false)
}

pub(super) fn line(mut frame: Vec<u8>) -> Vec<u8> {
    frame.push(b'\n');
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_unknown_id_is_the_id() {
        for id in ["7", r#""7""#, r#""a""#] {
            assert!(!unknown_ids(id).contains(&id.to_owned()), "{id}");
        }
        assert!(unknown_ids("7").contains(&r#""7""#.to_owned()));
        assert!(unknown_ids(r#""7""#).contains(&"7".to_owned()));
    }

    #[test]
    fn the_bad_frames_are_bad() {
        let args = Args { bad_utf8: true, bom: true, nul: true, ..Args::default() };
        for frame in before(&args, "1") {
            assert!(serde_json::from_slice::<Value>(&frame).is_err(), "{frame:?}");
        }
        let half = Args { lone_surrogate: true, ..Args::default() };
        assert!(serde_json::from_slice::<Value>(&before(&half, "1")[0]).is_err());
    }
}
