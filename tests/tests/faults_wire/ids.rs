//! Ids of calls: taken twice, equal in many sessions, and answered after the end.

use std::thread;

use serde_json::json;
use system_tests::face::Face;
use system_tests::gateway::Gateway;
use system_tests::misbehave::WRONG;
use system_tests::raw::{Client, Era, until_answer};
use system_tests::servers::{fleet, logging, managed, misbehave};
use system_tests::wait::{PATIENCE, see};

use crate::{ERAS, LEGACY, beside, code, reached};

#[test]
fn fault_10_an_id_in_flight_cannot_be_taken_twice() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let config = fleet([("bad", logging(&log, &[])), ("fine", misbehave(&[]))]);
    let gateway = Gateway::settled(&config);
    let client = Client::connect(gateway.url(), LEGACY).unwrap();
    let slow = r#"{"ms":1500}"#;
    thread::scope(|scope| {
        let first = scope.spawn(|| client.call_as("7", "bad__slow", slow).unwrap());
        see(PATIENCE, || reached(&log, "1500").len(), |count| *count == 1);
        let second = client.call_as("7", "bad__echo", r#"{"message":"again"}"#).unwrap();
        assert_eq!(code(&second), "DUPLICATE_ID", "{second:?}");
        assert_eq!(second.value()["error"]["code"], -32600, "{second:?}");
        // The same id is somebody else's in another session, and means nothing without one.
        for era in ERAS {
            let other = Client::connect(gateway.url(), era).unwrap();
            let answer = other.call_as("7", "bad__echo", r#"{"message":"mine"}"#).unwrap();
            assert!(answer.result().contains("Echo: mine"), "{era:?}: {answer:?}");
        }
        assert!(first.join().unwrap().result().contains("Slept 1500 ms"));
    });
    assert!(reached(&log, "again").is_empty(), "the second one was not sent");
    let free = client.call_as("7", "bad__echo", r#"{"message":"free"}"#).unwrap();
    assert!(free.result().contains("Echo: free"), "{free:?}");
    drop(gateway);

    let face = Face::initialized(&config, "{}");
    let call = |tool: &str, arguments: &str| {
        let params = format!(r#"{{"name":"{tool}","arguments":{arguments}}}"#);
        face.send(&format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{params}}}"#
        ));
    };
    call("bad__slow", slow);
    see(PATIENCE, || reached(&log, "1500").len(), |count| *count == 2);
    call("bad__echo", r#"{"message":"again"}"#);
    assert!(face.answer("7").contains("DUPLICATE_ID"));
    face.line(|line| line.contains("Slept 1500 ms"));
}

#[test]
fn fault_10_equal_ids_of_many_clients_never_meet() {
    let gateway = Gateway::settled(&beside(&[]));
    let clients: Vec<Client> =
        (0..6).map(|index| Client::connect(gateway.url(), ERAS[index % 2]).unwrap()).collect();
    thread::scope(|scope| {
        for (index, client) in clients.iter().enumerate() {
            scope.spawn(move || {
                for id in 0..40 {
                    let text = format!("client {index} call {id}");
                    let arguments = format!(r#"{{"message":"{text}"}}"#);
                    let answer = client.call_as(&id.to_string(), "bad__echo", &arguments).unwrap();
                    let expected = format!(r#""Echo: {text}""#);
                    assert!(answer.result().contains(&expected), "{answer:?}");
                }
            });
        }
    });
}

#[test]
fn fault_11_an_answer_after_the_end_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let bad = managed(logging(&log, &["--late-after-cancel"]), json!({ "callTimeout": "3s" }));
    let gateway = Gateway::settled(&fleet([("bad", bad), ("fine", misbehave(&[]))]));
    let slow = r#"{"name":"bad__slow","arguments":{"ms":600000}}"#;
    let mut asked = 0;
    for era in ERAS {
        let client = Client::connect(gateway.url(), era).unwrap();
        let pid = client.call("bad__pid", "{}").unwrap().result().to_owned();
        // Once cancelled by its client, once by its deadline.
        for cancel in [true, false] {
            asked += 1;
            thread::scope(|scope| {
                let cancelling = scope.spawn(|| {
                    see(PATIENCE, || reached(&log, "600000").len(), |count| *count >= asked);
                    if cancel && era == LEGACY {
                        client.notify("notifications/cancelled", r#"{"requestId":"x"}"#).unwrap();
                    }
                });
                if cancel && era == Era::Modern {
                    // Closing the connection is how a stateless client cancels.
                    let socket = client.begin_as(r#""x""#, "tools/call", slow).unwrap();
                    cancelling.join().unwrap();
                    drop(socket);
                    return;
                }
                let reply = client.open_as(r#""x""#, "tools/call", slow, "").unwrap();
                let answer = until_answer(reply, r#""x""#).unwrap();
                match cancel {
                    true => assert_eq!(answer.message, "", "{era:?}: {answer:?}"),
                    false => assert_eq!(code(&answer), "TIMEOUT", "{era:?}: {answer:?}"),
                }
            });
            see(PATIENCE, || reached(&log, "notifications/cancelled").len(), |n| *n >= asked);
            // The late answer is on its way or here; the same id may be used again at once.
            for _ in 0..5 {
                let answer =
                    client.call_as(r#""x""#, "bad__echo", r#"{"message":"next"}"#).unwrap();
                assert!(answer.result().contains("Echo: next"), "{era:?}: {answer:?}");
                assert!(!format!("{answer:?}").contains(WRONG), "{answer:?}");
            }
            assert_eq!(client.call("bad__pid", "{}").unwrap().result(), pid);
        }
    }
}
