//! What holds for every message: it is passed on as it was written, or refused.

mod json;
mod peer;

use std::borrow::Cow;
use std::collections::HashSet;

use mcp_wire::{Draft, Kind, Limits, LineReader, Members, Message, Request, Timing};
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::runtime::{Builder, Runtime};

use self::json::{array_or_object, frame, id, string, value, whole};

/// What a parser may stumble over.
const JSON_BYTES: &[u8] = b"{}[]\",:\\01eE+-.u\r\n \0";

fn parse(text: &str) -> Message {
    Message::parse(text.to_owned(), &Limits::default()).expect(text)
}

fn on_one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime")
}

proptest! {
    #[test]
    fn a_message_is_kept_as_it_was_written(text in whole()) {
        let message = parse(&text);
        prop_assert_eq!(message.as_str(), on_one_line(&text));
        // What was on the way once can go on as it is.
        let again = Message::parse(message.bytes().clone(), &Limits::default());
        let again = again.expect(&text);
        prop_assert_eq!(again.as_str(), message.as_str());
        prop_assert_eq!((again.kind(), again.id()), (message.kind(), message.id()));
    }

    #[test]
    fn another_id_and_back_is_the_same(text in whole(), other in id()) {
        let message = parse(&text);
        let Some(own) = message.id().map(str::to_owned) else { return Ok(()) };
        let renamed = Message::parse(message.with_id(&other), &Limits::default()).expect(&text);
        prop_assert_eq!(renamed.id(), Some(&*other));
        prop_assert_eq!(renamed.with_id(&own), on_one_line(&text));
    }

    #[test]
    fn replacing_one_part_keeps_every_other_byte(text in whole(), with in array_or_object()) {
        let message = parse(&text);
        let body = message.params().or(message.result_json()).or(message.error_json());
        let Some(body) = body else { return Ok(()) };
        let part = message.range_of(body).expect("it is from there");
        let one_line = on_one_line(&text);
        let (before, after) = (&one_line[..part.start], &one_line[part.end..]);
        let with = on_one_line(&with);

        let mut draft = Draft::new(message.clone());
        draft.replace(part.clone(), with.clone());
        prop_assert_eq!(draft.clone().finish(), format!("{before}{with}{after}"));
        let changed = draft.into_message();
        let body = changed.params().or(changed.result_json()).or(changed.error_json());
        prop_assert_eq!((changed.kind(), body), (message.kind(), Some(&*with)));
    }

    #[test]
    fn a_request_is_passed_on_with_nothing_changed_but_what_must_be(
        parts in (id(), string(), id(), [frame(), frame(), frame()]),
        renamed in any::<Option<String>>(),
        adds in any::<bool>(),
    ) {
        let (id, name, token, [top, params, meta]) = parts;
        let render = |id: &str, name: &str, token: &str, added: &str| {
            let meta = meta.render(added, &[("progressToken", token)]);
            let params = params.render("", &[("_meta", &meta), ("name", name)]);
            let own = [("method", "\"tools/call\""), ("id", id), ("params", &params)];
            top.render("", &[&own[..], &[("jsonrpc", "\"2.0\"")]].concat())
        };
        let text = render(&id, &name, &token, "");
        let mut request = Request::read(parse(&text)).expect(&text);
        let named: String = serde_json::from_str(&name).expect("a string");
        prop_assert_eq!(request.name(), Some(&*named));

        let (mut new_name, mut added) = (name.clone(), "");
        if let Some(renamed) = &renamed {
            request.rename(renamed);
            if *renamed != named {
                new_name = mcp_wire::quoted(renamed);
            }
        }
        if adds {
            added = "\"added\":[1]";
            request.add_meta(added);
        }
        let sent = runtime().block_on(async {
            let (connection, _inbox, mut peer) = peer::connected();
            let _call = connection.call(request, Timing::default());
            peer.next().await
        });
        prop_assert_eq!(sent.as_str(), on_one_line(&render("1", &new_name, "1", added)));
    }

    #[test]
    fn members_are_found_in_order_and_as_they_were_written(
        members in prop::collection::vec((string(), value()), 0..24), space in "[ \t]{0,2}",
    ) {
        let all = members.iter().map(|(key, value)| format!("{key}{space}:{space}{value}"));
        let all: Vec<_> = all.collect();
        let text = on_one_line(&format!("{space}{{{}}}{space}", all.join(",")));
        let plain = |key: &str| serde_json::from_str::<String>(key).expect("a string");
        let names: HashSet<_> = members.iter().map(|(key, _)| plain(key)).collect();
        let found = Members::of(&text);
        prop_assert_eq!(found.is_ok(), names.len() == members.len());
        if let Ok(found) = found {
            let written: Vec<_> =
                members.iter().map(|(key, value)| (plain(key), on_one_line(value))).collect();
            let found: Vec<_> =
                found.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            prop_assert_eq!(found, written);
        }
    }

    /// Whatever is let through means to a common parser what it means to us.
    #[test]
    fn what_is_damaged_is_refused_or_means_the_same_to_others(
        text in whole(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..4),
    ) {
        let mut bytes = text.into_bytes();
        for (at, byte, how) in damage {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, JSON_BYTES[usize::from(byte) % JSON_BYTES.len()]),
                _ => _ = bytes.remove(at),
            }
            prop_assume!(!bytes.is_empty());
        }
        let Ok(message) = Message::parse(bytes.clone(), &Limits::default()) else { return Ok(()) };
        let read: serde_json::Value = match serde_json::from_slice(&bytes) {
            Ok(read) => read,
            // Legal, and more than this parser's numbers can hold.
            Err(error) if error.to_string().starts_with("number out of range") => return Ok(()),
            Err(error) => panic!("we took this for JSON: {error}"),
        };
        prop_assert_eq!(read.get("jsonrpc").and_then(|version| version.as_str()), Some("2.0"));
        prop_assert_eq!(read.get("id").is_some(), message.id().is_some());
        let method = read.get("method").and_then(|method| method.as_str());
        let asks = matches!(message.kind(), Kind::Request | Kind::Notification);
        prop_assert_eq!(method, asks.then(|| message.method()));
        prop_assert!(!message.bytes().contains(&b'\n') && !message.bytes().contains(&b'\r'));
    }

    #[test]
    fn lines_do_not_depend_on_how_the_bytes_are_cut(
        lines in prop::collection::vec("[a-z]{0,40}", 0..20),
        ends in prop::sample::select(vec!["\n", "\r\n", "\r\n \n"]),
        cuts in prop::collection::vec(1..50_usize, 1..40),
    ) {
        let stream = lines.join(ends).into_bytes();
        let (mut rest, mut cut_stream): (_, Box<dyn AsyncRead + Unpin>) =
            (stream.as_slice(), Box::new(tokio::io::empty()));
        for cut in cuts {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            (rest, cut_stream) = (after, Box::new(cut_stream.chain(piece)));
        }
        let mut reader = LineReader::new(cut_stream.chain(rest), 40);
        let read = runtime().block_on(async {
            let mut read = Vec::new();
            while let Some(line) = reader.next().await.expect("within the limit") {
                read.push(String::from_utf8_lossy(&line).into_owned());
            }
            read
        });
        let lines: Vec<_> = lines.into_iter().filter(|line| !line.is_empty()).collect();
        prop_assert_eq!(read, lines);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in ".*") {
        for bytes in [bytes, text.clone().into_bytes()] {
            let _ = Message::parse(bytes, &Limits::default());
        }
        let _ = Members::of(&text);
        let _ = mcp_wire::elements(&text);
        let _ = mcp_wire::unquoted(&text);
        let quoted = mcp_wire::quoted(&text);
        let unquoted = mcp_wire::unquoted(&quoted).map(Cow::into_owned);
        prop_assert_eq!(unquoted, Some(text));
    }
}
