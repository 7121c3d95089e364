//! What is no message, and what each refusal is called: one line an input.

use std::time::Duration;

use mcp_wire::{Draft, Kind, Limits, Message, ParseError, Request, code};

fn parse(bytes: impl AsRef<[u8]>) -> Result<Message, ParseError> {
    Message::parse(bytes.as_ref().to_vec(), &Limits::default())
}

/// The name of a [`ParseError`], without what it carries.
fn name(error: &ParseError) -> String {
    let shown = format!("{error:?}");
    shown.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}

/// What comes in, the name of the refusal, and its code.
const REFUSED: &[(&[u8], &str, i64)] = &[
    // Bytes that are no JSON text.
    (b"", "Syntax", code::PARSE_ERROR),
    (b"   ", "Syntax", code::PARSE_ERROR),
    (b"\xff\xfe", "NotUtf8", code::PARSE_ERROR),
    (b"{\"jsonrpc\":\"2.0\",\"method\":\"a\xc3\"}", "NotUtf8", code::PARSE_ERROR),
    (b"{\"jsonrpc\":\"2.0\",\"method\":\"\xed\xa0\x80\"}", "NotUtf8", code::PARSE_ERROR),
    (b"\xef\xbb\xbf{\"jsonrpc\":\"2.0\",\"method\":\"m\"}", "Syntax", code::PARSE_ERROR),
    (b"{\"jsonrpc\":\"2.0\",\"method\":\"m\"}\0", "Syntax", code::PARSE_ERROR),
    (b"{\"jsonrpc\":\"2.0\",\"method\":\"m\0\"}", "Syntax", code::PARSE_ERROR),
    (b"{\"jsonrpc\":\"2.0\",\"method\":\"a\r\nb\"}", "Syntax", code::PARSE_ERROR),
    (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"a\":\"x\ny\"}}", "Syntax", code::PARSE_ERROR),
    (b"\xc2\xa0{\"jsonrpc\":\"2.0\",\"method\":\"m\"}", "Syntax", code::PARSE_ERROR),
    (b"{\"jsonrpc\":\"2.0\",\"method\":\"m\"", "Syntax", code::PARSE_ERROR),
    (b"{\"jsonrpc\":\"2.0\",\"method\":\"m\"} {}", "Syntax", code::PARSE_ERROR),
    (b"{\"jsonrpc\":\"2.0\",\"method\":\"m\",}", "Syntax", code::PARSE_ERROR),
    (br#"{"jsonrpc":"2.0","id":01,"method":"m"}"#, "Syntax", code::PARSE_ERROR),
    (br#"{"jsonrpc":"2.0","id":NaN,"method":"m"}"#, "Syntax", code::PARSE_ERROR),
    (br#"{"jsonrpc":"2.0","id":1,"result":{"a":+1}}"#, "Syntax", code::PARSE_ERROR),
    (br#"{"jsonrpc":"2.0","id":1,"result":"\u12"}"#, "Syntax", code::PARSE_ERROR),
    // Escapes that are no Unicode, wherever they stand.
    (br#"{"jsonrpc":"2.0","method":"\ud83d"}"#, "LoneSurrogate", code::PARSE_ERROR),
    (br#"{"jsonrpc":"2.0","id":"\uDC00","method":"m"}"#, "LoneSurrogate", code::PARSE_ERROR),
    (br#"{"jsonrpc":"2.0","id":1,"result":["\ud83d\u0041"]}"#, "LoneSurrogate", -32700),
    (br#"{"jsonrpc":"2.0","id":1,"result":{"\udbff":1}}"#, "LoneSurrogate", -32700),
    // JSON, but no object. What is no array either is noise as likely as JSON.
    (b"1", "Syntax", code::PARSE_ERROR),
    (b"null", "Syntax", code::PARSE_ERROR),
    (br#""text""#, "Syntax", code::PARSE_ERROR),
    (b"[1", "Syntax", code::PARSE_ERROR),
    (b"[]", "Batch", code::INVALID_REQUEST),
    (br#"[{"jsonrpc":"2.0","method":"m"}]"#, "Batch", code::INVALID_REQUEST),
    (br#" ["2.0",1,"ping"]"#, "Batch", code::INVALID_REQUEST),
    (br#"["2.0",1,"tools/call",{"name":"x"}]"#, "Batch", code::INVALID_REQUEST),
    // What others may take for a member of ours.
    (br#"{"jsonrpc":"2.0","id":1,"method":"a","Method":"b"}"#, "LookAlike", -32600),
    (br#"{"jsonrpc":"2.0","id":1,"I\u0044":2,"method":"a"}"#, "LookAlike", -32600),
    // Duplicates, however they are written.
    (br#"{"jsonrpc":"2.0","id":1,"id":2,"method":"m"}"#, "Duplicate", code::INVALID_REQUEST),
    (br#"{"jsonrpc":"2.0","id":1,"\u0069d":2,"method":"m"}"#, "Duplicate", -32600),
    (br#"{"jsonrpc":"2.0","id":1,"method":"a","metho\u0064":"b"}"#, "Duplicate", -32600),
    (br#"{"jsonrpc":"2.0","id":1,"result":{},"result":{}}"#, "Duplicate", code::INVALID_REQUEST),
    (br#"{"jsonrpc":"2.0","method":"m","params":{},"params":[]}"#, "Duplicate", -32600),
    (br#"{"jsonrpc":"2.0","jsonrpc":"2.0","method":"m"}"#, "Duplicate", code::INVALID_REQUEST),
    // The version.
    (br#"{"id":1,"method":"m"}"#, "Version", code::INVALID_REQUEST),
    (br#"{"jsonrpc":null,"id":1,"method":"m"}"#, "Version", code::INVALID_REQUEST),
    (br#"{"jsonrpc":2.0,"id":1,"method":"m"}"#, "Version", code::INVALID_REQUEST),
    (br#"{"jsonrpc":"1.0","id":1,"method":"m"}"#, "Version", code::INVALID_REQUEST),
    (br#"{"JSONRPC":"2.0","id":1,"method":"m"}"#, "LookAlike", code::INVALID_REQUEST),
    // What it is.
    (br#"{"jsonrpc":"2.0"}"#, "Shape", code::INVALID_REQUEST),
    (br#"{"jsonrpc":"2.0","id":1}"#, "Shape", code::INVALID_REQUEST),
    (br#"{"jsonrpc":"2.0","id":1,"Method":"m"}"#, "LookAlike", code::INVALID_REQUEST),
    (br#"{"jsonrpc":"2.0","id":1,"__proto__":{"method":"m"}}"#, "Shape", code::INVALID_REQUEST),
    (br#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#, "Shape", code::INVALID_REQUEST),
    (br#"{"jsonrpc":"2.0","id":1,"method":"m","result":{}}"#, "Shape", code::INVALID_REQUEST),
    (br#"{"jsonrpc":"2.0","method":"m","error":{}}"#, "Shape", code::INVALID_REQUEST),
    (br#"{"jsonrpc":"2.0","result":{}}"#, "Shape", code::INVALID_REQUEST),
    // Ids.
    (br#"{"jsonrpc":"2.0","id":null,"method":"m"}"#, "Id", code::INVALID_REQUEST),
    (br#"{"jsonrpc":"2.0","id":null,"result":{}}"#, "Id", code::INVALID_REQUEST),
    (br#"{"jsonrpc":"2.0","id":true,"method":"m"}"#, "Id", code::INVALID_REQUEST),
    (br#"{"jsonrpc":"2.0","id":{"$":1},"method":"m"}"#, "Id", code::INVALID_REQUEST),
    (br#"{"jsonrpc":"2.0","id":[1],"result":{}}"#, "Id", code::INVALID_REQUEST),
    (br#"{"jsonrpc":"2.0","id":false,"error":{}}"#, "Id", code::INVALID_REQUEST),
    // Method and params.
    (br#"{"jsonrpc":"2.0","id":1,"method":7}"#, "Method", code::INVALID_REQUEST),
    (br#"{"jsonrpc":"2.0","method":null}"#, "Method", code::INVALID_REQUEST),
    (br#"{"jsonrpc":"2.0","method":["m"]}"#, "Method", code::INVALID_REQUEST),
    (br#"{"jsonrpc":"2.0","method":"m","params":null}"#, "Params", code::INVALID_REQUEST),
    (br#"{"jsonrpc":"2.0","method":"m","params":"x"}"#, "Params", code::INVALID_REQUEST),
    (br#"{"jsonrpc":"2.0","id":1,"method":"m","params":1}"#, "Params", code::INVALID_REQUEST),
];

#[test]
fn what_is_refused_and_as_what() {
    for (bytes, refusal, code) in REFUSED {
        let shown = String::from_utf8_lossy(bytes);
        let error = parse(bytes).map(|message| message.kind()).expect_err(&shown);
        assert_eq!((name(&error).as_str(), error.code()), (*refusal, *code), "{shown}");
    }
}

#[test]
fn what_is_understood_and_as_what() {
    let table: &[(&str, Kind, Option<&str>, &str)] = &[
        (r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#, Kind::Request, Some("1"), "m"),
        (r#"{"method":"m","id":"1","jsonrpc":"2.0"}"#, Kind::Request, Some("\"1\""), "m"),
        (r#"{"jsonrpc":"2.0","id":"","method":""}"#, Kind::Request, Some("\"\""), ""),
        (r#"{"jsonrpc":"2.0","id":1,"method":"\u006d/x"}"#, Kind::Request, Some("1"), "m/x"),
        (r#"{"jsonrpc":"2.0","method":"m","params":[]}"#, Kind::Notification, None, "m"),
        (r#"{"jsonrpc":"2.0","id":0,"result":null}"#, Kind::Result, Some("0"), ""),
        (r#"{"jsonrpc":"2.0","id":-1,"error":{}}"#, Kind::Error, Some("-1"), ""),
        (r#"{"jsonrpc":"2.0","id":null,"error":null}"#, Kind::Error, Some("null"), ""),
        (r#"{"jsonrpc":"2.0","error":{"code":1e99}}"#, Kind::Error, None, ""),
        // Names that only look like members.
        (r#"{"jsonrpc":"2.0","method":"m","Meth":7,"__proto__":0}"#, Kind::Notification, None, "m"),
    ];
    for (text, kind, id, method) in table {
        let message = parse(text).expect(text);
        assert_eq!((message.kind(), message.id(), message.method()), (*kind, *id, *method));
        assert_eq!(message.as_str(), *text);
    }
}

#[test]
fn ids_are_kept_as_they_are_written() {
    for id in [
        "1",
        "1.0",
        "-7",
        "0.5",
        "1e400",
        "-1E-400",
        "9007199254740993",
        "18446744073709551616",
        "123456789012345678901234567890.12345678901234567890",
        r#""1""#,
        r#""\u0031""#,
        r#""Grüße 日本 \ud83d\ude00""#,
    ] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#);
        let message = parse(&text).expect(&text);
        assert_eq!(message.id(), Some(id));
        let renamed = parse(message.with_id("1")).expect(&text);
        assert_eq!(renamed.id(), Some("1"));
        assert_eq!(renamed.with_id(id), text);
    }
}

#[test]
fn an_error_without_an_id_can_be_given_one() {
    let message = parse(r#"{"jsonrpc":"2.0","error":{"code":1}}"#).expect("legal");
    assert_eq!(message.with_id("\"a\""), r#"{"id":"a","jsonrpc":"2.0","error":{"code":1}}"#);
    let message = parse(r#"{"jsonrpc":"2.0","id":null,"error":{}}"#).expect("legal");
    assert_eq!(message.with_id("7"), r#"{"jsonrpc":"2.0","id":7,"error":{}}"#);
}

#[test]
fn line_breaks_between_tokens_become_spaces() {
    let message = parse("\r\n{\n\"jsonrpc\":\"2.0\",\r\n\t\"method\":\"a\\nb\"}\n").expect("legal");
    assert_eq!(message.as_str(), "  { \"jsonrpc\":\"2.0\",  \t\"method\":\"a\\nb\"} ");
    assert_eq!(message.method(), "a\nb");
}

#[test]
fn a_message_without_line_breaks_is_not_copied() {
    let bytes = bytes::Bytes::from(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    let message = Message::parse(bytes.clone(), &Limits::default()).expect("legal");
    assert_eq!(message.bytes().as_ptr(), bytes.as_ptr());
}

#[test]
fn size_and_depth_are_bounded() {
    let mut limits = Limits::default();
    let padded = |size: usize| {
        let frame = r#"{"jsonrpc":"2.0","method":"","x":""}"#;
        frame.replace(r#""""#, &format!(r#""{}""#, "x".repeat((size - frame.len()) / 2)))
    };
    limits.frame_bytes = 1_000;
    let exact = padded(1_000);
    assert_eq!(exact.len(), 1_000);
    assert!(Message::parse(exact.clone(), &limits).is_ok());
    let error = Message::parse(exact + " ", &limits).expect_err("one byte over");
    assert_eq!((error.code(), error), (-32600, ParseError::TooLarge { limit: 1_000 }));

    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
        format!(r#"{{"jsonrpc":"2.0","id":1,"result":{open}{close}}}"#)
    };
    assert!(parse(nested(128)).is_ok());
    let error = parse(nested(129)).expect_err("one level over");
    assert_eq!((error.code(), error), (-32600, ParseError::TooDeep { limit: 128 }));
}

/// A thread's stack is small, and so is the time: neither may depend on how deep a text nests.
#[test]
fn nothing_recurses_over_the_depth_of_a_text() {
    let run = || {
        let depth = 100_000;
        let limits = Limits::default();
        let refused = |text: String| Message::parse(text, &limits).expect_err("too deep");
        let (arrays, objects) = ("[".repeat(depth), r#"{"a":"#.repeat(depth));
        let (closed, object_ends) = ("]".repeat(depth), "}".repeat(depth));
        for deep in [
            format!(r#"{{"jsonrpc":"2.0","id":1,"result":{arrays}{closed}}}"#),
            format!(r#"{{"jsonrpc":"2.0","method":"m","params":{objects}0{object_ends}}}"#),
            format!(r#"{{"jsonrpc":"2.0","method":"m","unknown":{arrays}{closed}}}"#),
        ] {
            assert_eq!(refused(deep), ParseError::TooDeep { limit: 128 });
        }
        for deep in [arrays.clone() + &closed, arrays] {
            assert_eq!(name(&refused(deep)), "Syntax");
        }
        assert_eq!(refused(objects), ParseError::TooDeep { limit: 128 });
    };
    let (done, waits) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new().stack_size(256 << 10).spawn(move || {
        run();
        let _ = done.send(());
    });
    waits.recv_timeout(Duration::from_secs(20)).expect("quick, and not through the stack");
    thread.expect("a thread").join().expect("no panic");
}

#[test]
fn replacements_that_cannot_be_made_change_nothing() {
    let message = parse(r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#).expect("legal");
    let id = message.id().and_then(|id| message.range_of(id)).expect("there");
    let mut draft = Draft::new(message.clone());
    draft.replace(id.clone(), "2");
    draft.replace(id.clone(), "3");
    draft.replace(id.start..id.end + 1, "4");
    #[expect(clippy::reversed_empty_ranges, reason = "nonsense is what is tried")]
    draft.replace(30..20, "5");
    draft.replace(1_000..2_000, "6");
    draft.insert(&(1_000..2_000), "\"a\":7");
    draft.insert(&id, "\"a\":8");
    assert_eq!(draft.finish(), r#"{"jsonrpc":"2.0","id":2,"method":"m"}"#);

    let mut nonsense = Draft::new(message.clone());
    nonsense.replace(id, "[");
    assert_eq!(nonsense.into_message().as_str(), message.as_str());
    assert_eq!(message.range_of("m from elsewhere"), None);
}

#[test]
fn a_request_is_changed_again_after_it_was_changed() {
    let read = |params: &str| {
        Request::read(Message::request("1", "tools/call", params)).expect("params are an object")
    };
    let mut request = read(r#"{"name":"s__a","state":1.0,"_meta":{"progressToken":"t"}}"#);
    request.rename("a");
    request.add_meta("\"k\":1");
    request.set_version("v");
    let mut again = request.settled().expect("nothing stands twice");
    again.set_params(&[("answers", r#"{"q":2e0}"#), ("state", "\"s\"")]);
    assert_eq!((again.name(), again.version()), (Some("a"), Some("v")));
    assert_eq!(
        again.settled().expect("nothing stands twice").message().params(),
        Some(r#"{"answers":{"q":2e0},"name":"a","state":"s","_meta":{"k":1,"progressToken":"t"}}"#),
    );

    let mut empty = read("{}");
    empty.add_meta("\"k\":1");
    let mut empty = empty.settled().expect("nothing stands twice");
    empty.set_params(&[("state", "2")]);
    let empty = empty.settled().expect("nothing stands twice");
    assert_eq!(empty.message().params(), Some(r#"{"state":2,"_meta":{"k":1}}"#));

    let bare = Message::parse(r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#, &Limits::default());
    let mut bare = Request::read(bare.expect("legal")).expect("no params");
    bare.set_params(&[]);
    bare.set_params(&[("state", "2")]);
    let bare = bare.settled().expect("nothing stands twice");
    assert_eq!(bare.message().params(), Some(r#"{"state":2}"#));

    let mut twice = read(r#"{"_meta":{"k":1}}"#);
    twice.add_meta("\"k\":2");
    assert!(twice.settled().is_err());
}
