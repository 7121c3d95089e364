//! How a server is opened in either era, and every way in which it can refuse.

mod peer;

use std::time::Duration;

use mcp_wire::{
    CallError, Connection, HandshakeError, LEGACY_VERSIONS, MODERN_VERSION, Message, discover,
    initialize, stateless_meta,
};
use tokio::time::Instant;

use self::peer::{Peer, connected};

const LIMIT: Duration = Duration::from_secs(5);

/// Answers the next request: with this result, or with this error if that begins with `!`.
async fn answer(peer: &mut Peer, answer: &str) -> Message {
    let sent = peer.next().await;
    let member = if answer.starts_with('!') { "error" } else { "result" };
    let (id, body) = (sent.id().expect("a request"), answer.trim_start_matches('!'));
    peer.line(format!(r#"{{"jsonrpc":"2.0","id":{id},"{member}":{body}}}"#)).await;
    sent
}

async fn opens(connection: &Connection) -> Result<String, HandshakeError> {
    let opened = initialize(connection, r#"{"protocolVersion":"x","own":1.0}"#, LIMIT).await?;
    assert!(opened.answer.as_str().contains(&opened.version));
    Ok(opened.version)
}

async fn discovers(connection: &Connection) -> Result<Message, HandshakeError> {
    discover(connection, r#"{"name":"me","version":"1"}"#, LIMIT).await.map(|found| found.answer)
}

#[tokio::test(start_paused = true)]
async fn a_session_is_opened_in_every_version_that_we_speak() {
    for version in LEGACY_VERSIONS {
        let (connection, _inbox, mut peer) = connected();
        let result = format!(r#"{{"x":[1e400],"protocolVersion":"{version}"}}"#);
        let (opened, sent) = tokio::join!(opens(&connection), answer(&mut peer, &result));
        assert_eq!(opened.expect("opened"), *version);
        assert_eq!(sent.method(), "initialize");
        assert_eq!(sent.params(), Some(r#"{"protocolVersion":"x","own":1.0}"#));
        let next = peer.next().await;
        assert_eq!((next.method(), next.id()), ("notifications/initialized", None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_not_opened_as_it_must_be_is_none() {
    let incomplete = |member| HandshakeError::Incomplete { member };
    let theirs = |theirs: &str| HandshakeError::Version { theirs: theirs.to_owned() };
    let error = r#"{"code":-32602,"message":"no","data":[1.0]}"#;
    for (result, expected) in [
        (format!("!{error}").as_str(), HandshakeError::Refused { error: error.to_owned() }),
        (r#"{"protocolVersion":"2026-07-28"}"#, theirs("2026-07-28")),
        (r#"{"protocolVersion":"1999-01-01"}"#, theirs("1999-01-01")),
        (r#"{"protocolVersion":""}"#, theirs("")),
        (r#"{"protocolVersion":20250618}"#, incomplete("protocolVersion")),
        ("{}", incomplete("protocolVersion")),
        (r#"{"protocolVersion":"a","protocolVersion":"b"}"#, incomplete("result")),
        ("[]", incomplete("result")),
        ("null", incomplete("result")),
    ] {
        let (connection, _inbox, mut peer) = connected();
        let (opened, _) = tokio::join!(opens(&connection), answer(&mut peer, result));
        assert_eq!(opened.expect_err(result), expected);
        assert!(peer.hears_nothing().await, "there is no session to speak of");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stateless_server_is_discovered() {
    let (connection, _inbox, mut peer) = connected();
    let result = r#"{"supportedVersions":["2027-01-01", "2026-07-28"],"capabilities":{}}"#;
    let (found, sent) = tokio::join!(discovers(&connection), answer(&mut peer, result));
    assert_eq!(found.expect("discovered").result_json(), Some(result));
    let meta = stateless_meta(MODERN_VERSION, "{}", Some(r#"{"name":"me","version":"1"}"#));
    assert_eq!(sent.method(), "server/discover");
    assert_eq!(sent.params(), Some(&*format!(r#"{{"_meta":{{{meta}}}}}"#)));
    assert!(peer.hears_nothing().await);
}

#[tokio::test(start_paused = true)]
async fn a_server_of_another_era_is_told_apart() {
    let incomplete = HandshakeError::Incomplete { member: "supportedVersions" };
    let theirs = |theirs: &str| HandshakeError::Version { theirs: theirs.to_owned() };
    let error = r#"{"code":-32601,"message":"unknown method"}"#;
    for (result, expected) in [
        (format!("!{error}").as_str(), HandshakeError::Refused { error: error.to_owned() }),
        (r#"{"supportedVersions":["2025-11-25"]}"#, theirs(r#"["2025-11-25"]"#)),
        (r#"{"supportedVersions":[]}"#, theirs("[]")),
        (r#"{"supportedVersions":"2026-07-28"}"#, theirs(r#""2026-07-28""#)),
        (r#"{"protocolVersion":"2025-11-25"}"#, incomplete.clone()),
        ("{}", incomplete.clone()),
        ("7", incomplete),
    ] {
        let (connection, _inbox, mut peer) = connected();
        let (found, _) = tokio::join!(discovers(&connection), answer(&mut peer, result));
        assert_eq!(found.expect_err(result), expected);
    }
}

/// Fault 3, as far as a connection can know.
#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up() {
    let (connection, _inbox, mut peer) = connected();
    let begun = Instant::now();
    let late = HandshakeError::Call(CallError::Timeout { after: LIMIT });
    assert_eq!(opens(&connection).await.expect_err("late"), late);
    assert_eq!(begun.elapsed(), LIMIT);
    assert_eq!(peer.next().await.method(), "initialize");
    // That one must not be cancelled; the other may.
    assert!(peer.hears_nothing().await);
    assert_eq!(discovers(&connection).await.expect_err("late"), late);
    assert_eq!(peer.next().await.method(), "server/discover");
    assert_eq!(peer.next().await.method(), "notifications/cancelled");

    drop(peer);
    let gone = opens(&connection).await.expect_err("gone");
    assert!(matches!(gone, HandshakeError::Call(CallError::Unsent { .. })), "{gone:?}");
}

#[tokio::test(start_paused = true)]
async fn parameters_that_are_no_object_are_refused_before_anything_is_sent() {
    let (connection, _inbox, mut peer) = connected();
    let refused = initialize(&connection, "[]", LIMIT).await.expect_err("no object");
    assert_eq!(refused, HandshakeError::Incomplete { member: "params" });
    assert!(peer.hears_nothing().await);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_our_version_and_names_it_is_asked_once_more() {
    let refusal = |code: i64, supported: &str| {
        format!(r#"!{{"code":{code},"message":"no","data":{{"supported":{supported}}}}}"#)
    };
    let ours = format!("[\"2099-01-01\",\"{MODERN_VERSION}\"]");
    let found = format!(r#"{{"supportedVersions":{ours}}}"#);
    for (first, second, opens) in [
        (refusal(-32022, &ours), Some(&found), true),
        (refusal(-32022, &ours), Some(&refusal(-32022, &ours)), false),
        (refusal(-32022, r#"["2099-01-01"]"#), None, false),
        (refusal(-32022, "7"), None, false),
        (refusal(-32601, &ours), None, false),
    ] {
        let (connection, _inbox, mut peer) = connected();
        let answers = async {
            let sent = answer(&mut peer, &first).await;
            if let Some(second) = second {
                let again = answer(&mut peer, second).await;
                assert_eq!((again.method(), again.params()), (sent.method(), sent.params()));
                assert_ne!(again.id(), sent.id());
            }
        };
        let (discovered, ()) = tokio::join!(discovers(&connection), answers);
        assert_eq!(discovered.is_ok(), opens, "{first} {second:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_is_never_asked_for_in_the_stateless_version() {
    for (asked, sent) in [(MODERN_VERSION, "2025-11-25"), ("2024-11-05", "2024-11-05")] {
        let (connection, _inbox, mut peer) = connected();
        let params =
            |version: &str| format!(r#"{{"a":1.0,"protocolVersion":"{version}","b":{{}}}}"#);
        let (asked, result) = (params(asked), params(sent));
        let opening = initialize(&connection, &asked, LIMIT);
        let (opened, request) = tokio::join!(opening, answer(&mut peer, &result));
        assert_eq!(opened.expect("opened").version, sent);
        assert_eq!(request.params(), Some(&*params(sent)));
    }
}
