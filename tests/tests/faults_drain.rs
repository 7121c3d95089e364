//! The end of a manager: what is in flight finishes, what is new is told to go elsewhere, nothing is
//! left; and the next life of it on the same sockets, of which no client notices anything.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "faults_drain/handover.rs"]
mod handover;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use system_tests::census::{Marker, VARIABLE};
use system_tests::face::Face;
use system_tests::gateway::Gateway;
use system_tests::raw::{self, Client, Era, Socket};
use system_tests::servers::{fleet, fleet_with, misbehave, with_env};
use system_tests::wait::{PATIENCE, pause, see, timed};

const LEGACY: Era = Era::Legacy("2025-11-25");
/// A call that is in flight when the signal comes.
const SLOW: &str = r#"{"ms":3000}"#;
const STEPS: &str = r#"{"count":6,"ms":500}"#;

fn ready(gateway: &Gateway) -> u16 {
    raw::get(&format!("{}/readyz", gateway.admin()), &[]).map_or(0, |reply| reply.status)
}

fn exit_code(gateway: &Gateway) -> Option<i32> {
    gateway.process().wait(PATIENCE).and_then(|status| status.code())
}

#[test]
fn fault_38_calls_in_flight_finish_and_new_ones_are_refused() {
    let marker = Marker::new("drain");
    let config =
        fleet([("a", with_env(misbehave(&[]), VARIABLE, marker.text())), ("b", misbehave(&[]))]);
    let gateway = Gateway::settled(&config);
    assert_eq!(ready(&gateway), 200);
    let stateless = Client::connect(gateway.url(), Era::Modern).unwrap();
    let session = Client::connect(gateway.url(), LEGACY).unwrap();
    // Streams that would never end by themselves.
    let mut listening = session.listen().unwrap();
    let (_, mut subscribed) = stateless
        .open("subscriptions/listen", r#"{"notifications":{"toolsListChanged":true}}"#, "")
        .unwrap();
    let mut socket = Socket::initialized(gateway.url(), "{}").unwrap();
    let mut idle = Socket::initialized(gateway.url(), "{}").unwrap();
    socket.begin_call(LEGACY, "7", "a__slow", SLOW).unwrap();
    let (progress, mut streamed) = session
        .open(
            "tools/call",
            &format!(r#"{{"name":"a__steps","arguments":{STEPS}}}"#),
            r#""progressToken":1"#,
        )
        .unwrap();
    assert!(streamed.message().unwrap().unwrap().contains("notifications/progress"));
    std::thread::scope(|scope| {
        let call = |client| {
            let client: &Client = client;
            scope.spawn(move || client.call("a__slow", SLOW).unwrap())
        };
        let calls = [call(&stateless), call(&session)];
        // Both are at the server before the signal is sent.
        pause(Duration::from_millis(700));
        gateway.process().signal(Signal::TERM);
        // At once, but a signal takes a moment to arrive.
        see(Duration::from_secs(1), || ready(&gateway), |status| *status == 503);
        let refused = stateless.call("a__echo", r#"{"message":"new"}"#).unwrap();
        assert_eq!(refused.status, 503, "{refused:?}");
        assert!(refused.error().contains("STOPPING"), "{refused:?}");
        assert!(Socket::connect(gateway.url()).is_err(), "no new conversation is begun");
        let told = socket.ask("8", "ping", "{}").unwrap();
        assert!(told.error().contains("STOPPING"), "{told:?}");
        assert!(gateway.status()["ready"] == json!(false));
        // What has no end of its own has ended, and does not hold anything up.
        while listening.message().unwrap().is_some() {}
        while subscribed.message().unwrap().is_some() {}
        assert_eq!(idle.closed().map(|(code, _)| code), Some(1001));
        for call in calls {
            let answer = call.join().unwrap();
            assert!(answer.result().contains("Slept 3000 ms"), "{answer:?}");
        }
        let answer = socket.answer("7").unwrap();
        assert!(answer.result().contains("Slept 3000 ms"), "{answer:?}");
        let answer = raw::until_answer(streamed, &progress).unwrap();
        assert!(answer.result().contains("Took 6 steps"), "{answer:?}");
        let (code, time) = timed(|| exit_code(&gateway));
        assert_eq!(code, Some(0));
        assert!(time < Duration::from_secs(5), "nothing was left to wait for: {time:?}");
    });
    assert_eq!(marker.processes(), [].into());
}

#[test]
fn fault_38_calls_on_stdio_finish_too() {
    let marker = Marker::new("drain-stdio");
    let config =
        fleet([("a", with_env(misbehave(&[]), VARIABLE, marker.text())), ("b", misbehave(&[]))]);
    let face = Face::initialized(&config, "{}");
    face.ask("1", "tools/list", "{}");
    face.send(&format!(
        r#"{{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{{"name":"a__steps","arguments":{STEPS},"_meta":{{"progressToken":1}}}}}}"#
    ));
    face.line(|line| line.contains("notifications/progress"));
    face.process().signal(Signal::TERM);
    // The signal may arrive a moment later than what is sent behind it.
    let mut id = 10;
    let mut ping = || {
        id += 1;
        face.ask(&id.to_string(), "ping", "{}")
    };
    see(PATIENCE, &mut ping, |answer| answer.contains("STOPPING"));
    let answer = face.answer("2");
    assert!(answer.contains("Took 6 steps"), "{answer}");
    let status = face.process().wait(PATIENCE);
    assert_eq!(status.and_then(|status| status.code()), Some(0), "{status:?}");
    assert_eq!(marker.processes(), [].into());
}

#[test]
fn fault_38_the_drain_has_an_end() {
    let marker = Marker::new("drain-end");
    let server = with_env(misbehave(&["--hang-on-call"]), VARIABLE, marker.text());
    let config =
        fleet_with(json!({ "drainTimeout": "1s" }), [("a", server), ("b", misbehave(&[]))]);
    let gateway = Gateway::settled(&config);
    let client = Client::connect(gateway.url(), Era::Modern).unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Cut off, or told: not answered.
            let ended = client.call("a__echo", "{}");
            assert!(ended.is_err() || ended.is_ok_and(|answer| !answer.error().is_empty()));
            over.store(true, Ordering::SeqCst);
        });
        pause(Duration::from_millis(700));
        assert!(!over.load(Ordering::SeqCst), "the call hangs");
        gateway.process().signal(Signal::TERM);
        let (code, time) = timed(|| exit_code(&gateway));
        assert_eq!(code, Some(0));
        assert!(time > Duration::from_millis(900) && time < Duration::from_secs(7), "{time:?}");
    });
    assert_eq!(marker.processes(), [].into());
}
