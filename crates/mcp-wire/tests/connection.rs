//! One connection and its calls, told as stories on a paused clock.

mod peer;

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use mcp_wire::{CallError, Event, Message, Options, ParseError, Request, Timing};
use tokio::time::{Instant, sleep};

use self::peer::{connect, connected, failure, message, request, result, settle, timing};

#[tokio::test(start_paused = true)]
async fn a_call_goes_out_under_an_id_of_ours_and_its_answer_comes_back() {
    let (connection, _inbox, mut peer) = connected();
    for ours in 1..=3 {
        let mut call = connection.call(request("tools/list"), Timing::default());
        let sent = peer.next().await;
        let params = format!(r#"{{"_meta":{{"progressToken":{ours}}}}}"#);
        assert_eq!((sent.id(), sent.params()), (Some(&*ours.to_string()), Some(&*params)));
        peer.result(&ours.to_string(), r#"{"n": 1.0}"#).await;
        assert_eq!(result(&mut call).await, r#"{"n": 1.0}"#);
        assert_eq!(connection.stats().in_flight, 0);
    }
    assert_eq!(connection.stats().received, 3);
}

#[tokio::test(start_paused = true)]
async fn meta_goes_where_there_is_room() {
    let (connection, _inbox, mut peer) = connected();
    for (members, sent) in [
        ("", r#"{"params":{"_meta":{"k":1}},"jsonrpc":"2.0","id":ID,"method":"m"}"#),
        (r#","params":{}"#, r#""params":{"_meta":{"k":1}}}"#),
        (r#","params":{ "a":0}"#, r#""params":{"_meta":{"k":1}, "a":0}}"#),
        (r#","params":{"_meta":{ } }"#, r#""params":{"_meta":{"k":1 } }}"#),
        (r#","params":{"_meta":{"b":0}}"#, r#""params":{"_meta":{"k":1,"b":0}}}"#),
    ] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m"{members}}}"#);
        let whole = Message::parse(text, &Options::default().limits).expect("legal");
        let mut request = Request::read(whole).expect("legal");
        request.add_meta("\"k\":1");
        drop(connection.call(request, Timing::default()));
        let got = peer.next().await;
        let sent = sent.replace("ID", got.id().expect("a request"));
        assert!(got.as_str().ends_with(&sent), "{got:?}");
        assert_eq!(peer.next().await.method(), "notifications/cancelled");
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_answer_is_given_up_and_told() {
    let (connection, _inbox, mut peer) = connected();
    let begun = Instant::now();
    let mut call = connection.call(request("tools/call"), timing(60, 600));
    let sent = peer.next().await;
    assert_eq!(failure(&mut call).await, CallError::Timeout { after: Duration::from_secs(60) });
    assert_eq!(begun.elapsed(), Duration::from_secs(60));

    let cancelled = peer.next().await;
    assert_eq!((sent.id(), cancelled.method()), (Some("1"), "notifications/cancelled"));
    let params = r#"{"requestId":1,"reason":"the caller has gone"}"#;
    assert_eq!(cancelled.params(), Some(params));
    assert_eq!(connection.stats().in_flight, 0);

    // The answer comes after all: it finds nobody, and its id is not used again.
    peer.result("1", "{}").await;
    let mut next = connection.call(request("tools/call"), timing(60, 600));
    assert_eq!(peer.next().await.id(), Some("2"));
    peer.result("1", r#"{"late":true}"#).await;
    peer.result("2", "{}").await;
    assert_eq!(result(&mut next).await, "{}");
    assert_eq!(connection.stats().stray, 2);
    drop(call);
    assert!(peer.hears_nothing().await);
}

#[tokio::test(start_paused = true)]
async fn progress_puts_the_deadline_off_up_to_the_cap() {
    let (connection, _inbox, mut peer) = connected();
    let begun = Instant::now();
    let mut call = connection.call(request("tools/call"), timing(60, 150));
    let reports = async {
        for seconds in [50, 50, 40] {
            sleep(Duration::from_secs(seconds)).await;
            peer.progress("1", seconds).await;
        }
    };
    let hears = async {
        for seconds in [50, 50, 40] {
            let expected = format!(r#"{{"progressToken":"t","progress":{seconds}}}"#);
            assert_eq!(message(&mut call).await.params(), Some(&*expected));
        }
        failure(&mut call).await
    };
    let ((), error) = tokio::join!(reports, hears);
    assert_eq!(error, CallError::Timeout { after: Duration::from_secs(150) });
    assert_eq!(begun.elapsed(), Duration::from_secs(150));
}

#[tokio::test(start_paused = true)]
async fn only_progress_puts_the_deadline_off() {
    let mut options = Options::default();
    options.exclusive = true;
    let (connection, _inbox, mut peer) = connect(&options);
    let begun = Instant::now();
    let mut call = connection.call(request("tools/call"), timing(60, 600));
    sleep(Duration::from_secs(50)).await;
    peer.notify("notifications/message", r#"{"data":"still here"}"#).await;
    assert_eq!(message(&mut call).await.method(), "notifications/message");
    failure(&mut call).await;
    assert_eq!(begun.elapsed(), Duration::from_secs(60));
}

/// The caller always has something to read, and is told all the same.
#[tokio::test(start_paused = true)]
async fn a_peer_that_never_stops_talking_is_given_up_too() {
    for (progress, seconds) in [(false, 60), (true, 150)] {
        let mut options = Options::default();
        options.exclusive = true;
        let (connection, _inbox, mut peer) = connect(&options);
        let begun = Instant::now();
        let mut call = connection.call(request("tools/call"), timing(60, 150));
        let talks = async {
            loop {
                match progress {
                    true => peer.progress("1", 1).await,
                    false => peer.notify("notifications/message", "{}").await,
                }
                sleep(Duration::from_millis(100)).await;
            }
        };
        let reads = async {
            while call.next().await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::select! {
            () = talks => {}
            () = reads => {}
        }
        let spent = begun.elapsed().as_secs();
        assert!((seconds..=seconds + 1).contains(&spent), "{spent} s");
    }
}

#[tokio::test(start_paused = true)]
async fn the_cap_holds_without_progress_too_and_no_deadline_is_too_far() {
    let (connection, _inbox, mut peer) = connected();
    let mut short = connection.call(request("tools/call"), timing(60, 5));
    assert_eq!(failure(&mut short).await, CallError::Timeout { after: Duration::from_secs(5) });
    let mut endless = connection.call(request("tools/call"), timing(u64::MAX, u64::MAX));
    peer.progress("2", 1).await;
    message(&mut endless).await;
    peer.result("2", "{}").await;
    assert_eq!(result(&mut endless).await, "{}");
}

#[tokio::test(start_paused = true)]
async fn patience_ends_once_and_the_call_goes_on() {
    let (connection, _inbox, mut peer) = connected();
    let begun = Instant::now();
    let mut call = connection.call(request("tools/call"), timing(60, 600));
    let patience = Duration::from_secs(2);
    let quiet = poll_fn(|context| call.poll_within(patience, context)).await;
    assert!(quiet.is_none() && begun.elapsed() == patience);
    let again = async { poll_fn(|context| call.poll_within(patience, context)).await };
    let answers = async {
        sleep(Duration::from_secs(30)).await;
        peer.result("1", "{}").await;
    };
    let (event, ()) = tokio::join!(again, answers);
    assert!(matches!(event, Some(Ok(Event::Reply(_)))));
}

/// A call that was put aside while a person answered is given its time, and its patience, again.
#[tokio::test(start_paused = true)]
async fn a_renewed_call_is_not_late_for_the_time_before() {
    let (connection, _inbox, mut peer) = connected();
    let mut call = connection.call(request("tools/call"), timing(60, 150));
    let patience = Duration::from_secs(2);
    let quiet = poll_fn(|context| call.poll_within(patience, context)).await;
    assert!(quiet.is_none());
    peer.progress("1", 1).await;
    sleep(Duration::from_secs(1_000)).await;

    call.renew(timing(60, 150));
    let renewed = Instant::now();
    message(&mut call).await;
    let quiet = poll_fn(|context| call.poll_within(patience, context)).await;
    assert!(quiet.is_none() && renewed.elapsed() == patience);
    assert_eq!(failure(&mut call).await, CallError::Timeout { after: Duration::from_secs(60) });
    assert_eq!(renewed.elapsed(), Duration::from_secs(60));

    call.renew(timing(60, 150));
    assert!(matches!(failure(&mut call).await, CallError::Protocol { .. }), "it is over");
}

#[tokio::test(start_paused = true)]
async fn every_report_is_heard_in_order_before_the_answer() {
    let (connection, _inbox, mut peer) = connected();
    let mut call = connection.call(request("tools/call"), Timing::default());
    peer.next().await;
    for n in 0..200 {
        peer.progress("1", n).await;
    }
    peer.result("1", "{}").await;
    for n in 0..200 {
        let expected = format!(r#"{{"progressToken":"t","progress":{n}}}"#);
        assert_eq!(message(&mut call).await.params(), Some(&*expected));
    }
    assert_eq!(result(&mut call).await, "{}");
    // Progress after the answer belongs to nobody.
    peer.progress("1", 200).await;
    settle().await;
    assert_eq!(connection.stats().stray, 1);
}

#[tokio::test(start_paused = true)]
async fn progress_that_nobody_asked_for_is_dropped() {
    let (connection, _inbox, mut peer) = connected();
    let plain = Request::read(Message::request("1", "tools/call", "{}")).expect("legal");
    let mut call = connection.call(plain, Timing::default());
    assert_eq!(peer.next().await.params(), Some("{}"));
    for token in ["1", "\"1\"", "1.0", "2", "null", "[1]", "9007199254740993"] {
        peer.progress(token, 1).await;
    }
    peer.notify("notifications/progress", "[]").await;
    peer.notify("notifications/progress", r#"{"progressToken":1,"progressToken":1}"#).await;
    peer.result("1", "{}").await;
    assert_eq!(result(&mut call).await, "{}");
    assert_eq!(connection.stats().stray, 7);
}

#[tokio::test(start_paused = true)]
async fn whoever_drops_a_call_cancels_it_unless_it_is_over() {
    let (connection, _inbox, mut peer) = connected();
    let dropped = connection.call(request("tools/call"), Timing::default());
    assert_eq!(peer.next().await.id(), Some("1"));
    drop(dropped);
    assert!(peer.next().await.params().is_some_and(|params| params.contains(r#""requestId":1"#)));

    // The one request that must not be cancelled.
    drop(connection.call(request("initialize"), Timing::default()));
    assert_eq!(peer.next().await.method(), "initialize");
    assert!(peer.hears_nothing().await);

    // Answered and read; answered and not read.
    let mut read = connection.call(request("tools/call"), Timing::default());
    let unread = connection.call(request("tools/call"), Timing::default());
    for id in ["3", "4"] {
        assert_eq!(peer.next().await.id(), Some(id));
        peer.result(id, "{}").await;
    }
    result(&mut read).await;
    settle().await;
    drop((read, unread));
    assert!(peer.hears_nothing().await);
    assert_eq!((connection.stats().in_flight, connection.stats().stray), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_when_a_wait_is_given_up() {
    let (connection, _inbox, mut peer) = connected();
    let mut call = connection.call(request("tools/call"), Timing::default());
    for n in 0..20 {
        let pending = poll_fn(|context| Poll::Ready(call.poll_next(context).is_pending())).await;
        assert!(pending);
        tokio::select! {
            biased;
            event = call.next() => panic!("{event:?} before it was sent"),
            () = settle() => {}
        }
        peer.progress("1", n).await;
        settle().await;
        assert!(message(&mut call).await.as_str().contains(&format!("\"progress\":{n}")));
    }
}

#[tokio::test(start_paused = true)]
async fn reading_on_after_the_end_is_an_error_and_no_wait() {
    let (connection, _inbox, mut peer) = connected();
    let mut late = connection.call(request("tools/call"), timing(1, 1));
    assert!(matches!(failure(&mut late).await, CallError::Timeout { .. }));
    assert!(matches!(failure(&mut late).await, CallError::Protocol { .. }));
    peer.hang_up().await;
    let mut ended = connection.call(request("tools/call"), timing(1, 1));
    assert!(matches!(failure(&mut ended).await, CallError::Closed { .. }));
    assert!(matches!(failure(&mut ended).await, CallError::Closed { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_subscription_is_heard_under_the_callers_own_id() {
    let (connection, _inbox, mut peer) = connected();
    let listen = Message::request("\"mine\"", "subscriptions/listen", "{}");
    let mut listen = connection.call(Request::read(listen).expect("legal"), Timing::default());
    assert_eq!(peer.next().await.id(), Some("1"));
    let tagged = |id: &str| {
        format!(r#"{{"a":1.0,"_meta":{{"io.modelcontextprotocol/subscriptionId":{id},"b":2}}}}"#)
    };
    for id in ["1", "\"1\"", "2"] {
        peer.notify("notifications/tools/list_changed", &tagged(id)).await;
    }
    assert_eq!(message(&mut listen).await.params(), Some(&*tagged("\"mine\"")));
    settle().await;
    assert_eq!(connection.stats().stray, 2);
}

#[tokio::test(start_paused = true)]
async fn what_the_server_asks_comes_to_the_inbox_and_its_answer_goes_back() {
    let (connection, mut inbox, mut peer) = connected();
    let _call = connection.call(request("tools/call"), Timing::default());
    peer.next().await;
    // An id that one of our own calls has as well: the two directions are apart.
    let asks = r#"{"jsonrpc":"2.0","id":1,"method":"roots/list","x":1e400}"#;
    peer.line(asks).await;
    assert_eq!(inbox.next().await.expect("open").as_str(), asks);
    let answer = Message::result("1", r#"{"roots":[]}"#);
    connection.send(answer.bytes().clone()).await.expect("sent");
    assert_eq!(peer.next().await.as_str(), answer.as_str());
    assert_eq!(connection.stats().in_flight, 1);
}

/// Fault 5: whoever waits for an answer that cannot be read is told at once.
#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_read_fails_its_caller_at_once() {
    let (connection, _inbox, mut peer) = connected();
    let begun = Instant::now();
    for (answer, error) in [
        (r#"{"jsonrpc":"1.0","id":ID,"result":{}}"#, ParseError::Version),
        (r#"{"jsonrpc":"2.0","id":ID,"result":{},"error":{}}"#, ParseError::Shape),
        (r#"{"jsonrpc":"2.0","id":ID,"result":"\ud83d"}"#, ParseError::LoneSurrogate),
        (r#" {"jsonrpc":"2.0","id":ID}"#, ParseError::Shape),
    ] {
        let mut call = connection.call(request("tools/call"), Timing::default());
        let sent = peer.next().await;
        peer.line(answer.replace("ID", sent.id().expect("a request"))).await;
        assert_eq!(failure(&mut call).await, CallError::Unreadable(error));
    }
    let mut bytes = connection.call(request("tools/call"), Timing::default());
    peer.next().await;
    peer.write(b"{\"jsonrpc\":\"2.0\",\"id\":5,\"result\":\"\xff\"}\n").await;
    assert_eq!(failure(&mut bytes).await, CallError::Unreadable(ParseError::NotUtf8));
    let mut deep = connection.call(request("tools/call"), Timing::default());
    peer.next().await;
    let (open, close) = ("[".repeat(200), "]".repeat(200));
    peer.result("6", &format!("{open}{close}")).await;
    let too_deep = CallError::Unreadable(ParseError::TooDeep { limit: 128 });
    assert_eq!(failure(&mut deep).await, too_deep);
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!((connection.stats().malformed, connection.stats().in_flight), (6, 0));
}

/// What only looks like an unreadable answer says nothing about a call.
#[tokio::test(start_paused = true)]
async fn what_is_no_answer_fails_nobody() {
    let (connection, _inbox, mut peer) = connected();
    let mut call = connection.call(request("tools/call"), Timing::default());
    peer.next().await;
    for line in [
        // A request of the server's own, which counts from one as well.
        r#"{"jsonrpc":"2.0","id":1,"method":"roots/list","params":null}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"roots/list"}"#,
        r#"{"jsonrpc":"2.0","id":1,"id":1,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":"1"}"#,
        r#"{"jsonrpc":"2.0","id":1.0}"#,
        r#"{"jsonrpc":"2.0","id":1"#,
        r#"[{"jsonrpc":"2.0","id":1,"result":{}}]"#,
        r#"["2.0",1,null,null,{}]"#,
        "[1]",
        "1",
    ] {
        peer.line(line).await;
    }
    peer.result("1", "{}").await;
    assert_eq!(result(&mut call).await, "{}");
    assert_eq!(connection.stats().malformed, 10);
}

#[tokio::test(start_paused = true)]
async fn a_log_message_goes_with_the_only_call_that_wants_any() {
    let (connection, mut inbox, mut peer) = connected();
    let call = |meta: &str| {
        let params = format!(r#"{{"_meta":{{{meta}}}}}"#);
        let request = Request::read(Message::request("1", "tools/call", &params)).expect("legal");
        connection.call(request, Timing::default())
    };
    const LOG: &str = "notifications/message";
    let log = |text: &str| format!(r#"{{"level":"info","data":"{text}"}}"#);
    const WANTED: &str = r#""io.modelcontextprotocol/logLevel":"info""#;
    let _silent = call("");
    let mut wants = call(WANTED);
    let (_, sent) = (peer.next().await, peer.next().await);
    peer.notify(LOG, &log("its own")).await;
    let Ok(Event::Message(own)) = wants.next().await else { panic!() };
    assert!(own.as_str().contains("its own"));

    let mut other = call(WANTED);
    peer.next().await;
    peer.notify(LOG, &log("whose?")).await;
    assert!(inbox.next().await.expect("a message").as_str().contains("whose?"));
    peer.result(sent.id().expect("a request"), "{}").await;
    assert!(matches!(wants.next().await, Ok(Event::Reply(_))));
    peer.notify(LOG, &log("the other's")).await;
    let Ok(Event::Message(own)) = other.next().await else { panic!() };
    assert!(own.as_str().contains("the other's"));
}
