//! A server that dies under its clients' calls: what is repeated, what is not, what they are told.

mod scripted;

use std::time::Duration;

use mcp_wire::{Event, Message};
use tokio::time::{Instant, timeout};

use self::scripted::{Life, Stage, end, message};

const ANSWER: &str = r#"{"content":[]}"#;

#[tokio::test(start_paused = true)]
async fn a_safe_call_is_sent_again_to_the_next_life() {
    let (stage, mut life) = Stage::open().await;
    for (method, params) in [
        ("tools/call", r#"{"name":"read"}"#),
        ("resources/read", r#"{"uri":"a"}"#),
        ("resources/list", "{}"),
        ("tasks/get", r#"{"taskId":"t"}"#),
    ] {
        let mut call = stage.call("\"c\"", method, params).await.unwrap();
        life.expect(method).await;
        drop(life);
        let (answer, next) = tokio::join!(end(&mut call), async {
            let mut next = stage.life().await;
            next.shake_hands().await;
            let id = next.expect(method).await;
            next.result(&id, ANSWER).await;
            next
        });
        assert_eq!(answer, Ok(ANSWER.to_owned()), "{method}");
        life = next;
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_do_harm_twice_is_not_sent_again_and_its_client_knows() {
    for (method, params, why) in [
        ("tools/call", r#"{"name":"pay"}"#, "idempotentHint"),
        ("tools/call", r#"{"name":"unheard-of"}"#, "idempotentHint"),
        ("tools/call", r#"{"name":"read","task":{}}"#, "starts a task"),
        ("tools/call", r#"{"name":"read","requestState":"s"}"#, "client's answers"),
        ("prompts/get", r#"{"name":"p","inputResponses":{}}"#, "client's answers"),
        ("tasks/cancel", r#"{"taskId":"t"}"#, "may change something"),
        ("x/unknown", "{}", "may change something"),
    ] {
        let (stage, mut life) = Stage::open().await;
        let mut call = stage.call("\"c\"", method, params).await.unwrap();
        life.expect(method).await;
        drop(life);
        let (code, text) = end(&mut call).await.unwrap_err();
        assert_eq!(code, "SERVER_UNAVAILABLE", "{text}");
        assert!(text.contains("may have been carried out") && text.contains(why), "{text}");
        assert!(!stage.is_started_again().await, "{method}: nobody needs it yet");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_never_left_is_sent_whatever_it_does() {
    let (stage, life) = Stage::open().await;
    drop(life);
    // Before anybody has noticed: the pipe is closed, and the connection still stands.
    let mut call = stage.tool("pay").await;
    let (answer, mut next) = tokio::join!(end(&mut call), async {
        let mut next = stage.life().await;
        next.shake_hands().await;
        let id = next.expect("tools/call").await;
        next.result(&id, ANSWER).await;
        next
    });
    assert_eq!(answer, Ok(ANSWER.to_owned()));
    drop(call);
    assert!(timeout(Duration::from_secs(9), next.try_next()).await.is_err(), "once, no cancel");
}

#[tokio::test(start_paused = true)]
async fn a_call_is_repeated_once() {
    let (stage, mut life) = Stage::open().await;
    let mut call = stage.tool("read").await;
    life.expect("tools/call").await;
    drop(life);
    let (outcome, ()) = tokio::join!(end(&mut call), async {
        let mut next = stage.life().await;
        next.shake_hands().await;
        next.expect("tools/call").await;
    });
    let (code, text) = outcome.unwrap_err();
    assert_eq!(code, "SERVER_UNAVAILABLE");
    assert!(text.contains("repeated already"), "{text}");
    assert!(!stage.is_started_again().await);
}

#[tokio::test(start_paused = true)]
async fn a_question_is_withdrawn_and_its_call_not_repeated() {
    let (stage, mut life) = Stage::open().await;
    let mut call = stage.tool("read").await;
    life.expect("tools/call").await;
    life.line(r#"{"jsonrpc":"2.0","id":"theirs","method":"elicitation/create","params":{}}"#).await;
    let question = message(&mut call).await;
    assert_eq!(question.method(), "elicitation/create");
    drop(life);
    let (_, text) = end(&mut call).await.unwrap_err();
    assert!(text.contains("client was asked"), "{text}");
    let told = timeout(Duration::from_secs(9), stage.client.next_message()).await.unwrap();
    assert_eq!(told.method(), "notifications/cancelled");
    let named = format!(r#""requestId":{}"#, question.id().unwrap());
    assert!(told.as_str().contains(&named), "{}", told.as_str());
}

#[tokio::test(start_paused = true)]
async fn progress_goes_on_from_where_it_had_been() {
    let (stage, mut life) = Stage::open().await;
    let mut call = stage.tool("read").await;
    let id = life.expect("tools/call").await;
    let progress = |token: &str, n: f64| {
        let params = format!(r#"{{"progressToken":{token},"progress":{n}}}"#);
        Message::notification("notifications/progress", &params)
    };
    for n in [1.0, 2.5] {
        life.line(progress(&id, n).as_str()).await;
        assert!(message(&mut call).await.as_str().contains(&format!("\"progress\":{n}")));
    }
    drop(life);
    let (third, _next) = tokio::join!(message(&mut call), async {
        let mut next = stage.life().await;
        next.shake_hands().await;
        let id = next.expect("tools/call").await;
        for n in [1.0, 2.0, 2.5, 3.0] {
            next.line(progress(&id, n).as_str()).await;
        }
        next.result(&id, ANSWER).await;
        next
    });
    assert!(third.as_str().contains(r#""progressToken":"p","progress":3"#), "{}", third.as_str());
    assert_eq!(end(&mut call).await, Ok(ANSWER.to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_its_client_cancels_meanwhile_is_not_sent() {
    let (stage, mut life) = Stage::open().await;
    let mut call = stage.tool("read").await;
    life.expect("tools/call").await;
    drop(life);
    let (outcome, mut next) = tokio::join!(end(&mut call), async {
        let mut next = stage.life().await;
        let cancel = Message::notification("notifications/cancelled", r#"{"requestId":"c"}"#);
        stage.client.receive(cancel).await;
        next.shake_hands().await;
        next
    });
    assert_eq!(outcome.unwrap_err().0, "CANCELLED");
    assert!(timeout(Duration::from_secs(9), next.try_next()).await.is_err());
}

/// A start may take longer than a face waits before it says that it is still there.
#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_slow_start_hears_of_it_once() {
    let (stage, mut life) = Stage::open().await;
    let mut call = stage.tool("read").await;
    life.expect("tools/call").await;
    drop(life);
    let (outcomes, ()) = tokio::join!(
        async {
            let patience = Duration::from_secs(10);
            (call.next_within(patience).await, call.next_within(patience).await)
        },
        async {
            let mut next = stage.life().await;
            tokio::time::sleep(Duration::from_secs(20)).await;
            next.shake_hands().await;
            let id = next.expect("tools/call").await;
            next.result(&id, ANSWER).await;
        }
    );
    assert!(matches!(outcomes, (None, Some(Ok(Event::Reply(_))))), "{outcomes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_repeated_call_gets_no_more_time_in_all() {
    let (stage, mut life) = Stage::open().await;
    let mut call = stage.tool("read").await;
    let begun = Instant::now();
    let limit = Duration::from_secs(600);
    // It reports something all the time, in both lives, and never comes to an end.
    let report = async |life: &mut Life, id: &str, until: Duration| {
        while begun.elapsed() < until {
            tokio::time::sleep(Duration::from_secs(30)).await;
            let params =
                format!(r#"{{"progressToken":{id},"progress":{}}}"#, begun.elapsed().as_secs());
            life.line(Message::notification("notifications/progress", &params).as_str()).await;
        }
    };
    let server = async {
        let id = life.expect("tools/call").await;
        report(&mut life, &id, limit / 2).await;
        drop(life);
        let mut next = stage.life().await;
        next.shake_hands().await;
        let id = next.expect("tools/call").await;
        report(&mut next, &id, limit * 2).await;
    };
    let failure = async {
        loop {
            match call.next().await {
                Ok(Event::Message(_)) => {}
                other => break (other, begun.elapsed()),
            }
        }
    };
    let ((outcome, after), ()) = tokio::join!(failure, server);
    assert_eq!((outcome.unwrap_err().code(), after), ("TIMEOUT", limit));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_dies_of_every_call_is_started_once_a_second() {
    let (stage, life) = Stage::open().await;
    let begun = Instant::now();
    drop(life);
    for _ in 0..10 {
        let (outcome, ()) =
            tokio::join!(async { end(&mut stage.tool("pay").await).await }, async {
                let mut next = stage.life().await;
                next.shake_hands().await;
                next.expect("tools/call").await;
            });
        assert_eq!(outcome.unwrap_err().0, "SERVER_UNAVAILABLE");
    }
    assert!(begun.elapsed() >= Duration::from_secs(9), "{:?}", begun.elapsed());
}

/// A list is put together from servers, of which one dies in that moment.
#[tokio::test(start_paused = true)]
async fn a_merged_list_is_read_again_from_a_server_that_died_under_it() {
    let stage = Stage::among_others().await;
    let (list, _next) = tokio::join!(
        async { end(&mut stage.call("1", "tools/list", "{}").await.unwrap()).await.unwrap() },
        async {
            let mut first = stage.life().await;
            first.shake_hands().await;
            first.expect("tools/list").await;
            drop(first);
            let mut next = stage.life().await;
            next.shake_hands().await;
            let id = next.expect("tools/list").await;
            next.result(&id, r#"{"tools":[{"name":"x"}]}"#).await;
            next
        }
    );
    assert_eq!(list, r#"{"tools":[{"name":"it__x"}]}"#);
}

/// What a client subscribed to, and its log level, are said before any call of it goes out; and it
/// need not call for that.
#[tokio::test(start_paused = true)]
async fn a_session_is_renewed_with_what_its_client_had_said() {
    let (stage, mut life) = Stage::open().await;
    for (method, params) in
        [("logging/setLevel", r#"{"level":"error"}"#), ("resources/subscribe", r#"{"uri":"x:a"}"#)]
    {
        let mut call = stage.call("1", method, params).await.unwrap();
        let id = life.expect(method).await;
        life.result(&id, "{}").await;
        end(&mut call).await.unwrap();
    }
    drop(life);
    let mut next = stage.life().await;
    next.shake_hands().await;
    let (call, ()) = tokio::join!(stage.tool("pay"), async {
        for (method, params) in [
            ("logging/setLevel", r#"{"level":"error"}"#),
            ("resources/subscribe", r#"{"uri":"x:a"}"#),
        ] {
            let message = next.next().await;
            assert_eq!((message.method(), message.params()), (method, Some(params)));
            next.result(message.id().unwrap(), "{}").await;
        }
        next.expect("tools/call").await;
    });
    drop(call);
    let told = stage.client.next_message().await;
    assert_eq!(told.as_str().matches(r#""uri":"x:a""#).count(), 1, "{}", told.as_str());
    assert_eq!(told.method(), "notifications/resources/updated");
    assert_eq!(stage.client.next_message().await.method(), "notifications/tools/list_changed");
}

/// A server that stays away is looked for less and less often, and not for ever.
#[tokio::test(start_paused = true)]
async fn a_session_that_is_missed_is_looked_for_with_growing_pauses() {
    let (stage, mut life) = Stage::open().await;
    let mut call = stage.call("1", "resources/subscribe", r#"{"uri":"x:a"}"#).await.unwrap();
    let id = life.expect("resources/subscribe").await;
    life.result(&id, "{}").await;
    end(&mut call).await.unwrap();
    drop(life);
    let begun = Instant::now();
    let mut starts = Vec::new();
    while let Ok(life) = timeout(Duration::from_secs(300), stage.life()).await {
        starts.push(begun.elapsed().as_secs());
        drop(life);
    }
    assert_eq!(starts[..7], [1, 2, 4, 8, 16, 32, 62], "{starts:?}");
    assert_eq!(starts.len(), 12, "{starts:?}");
}

/// So is one that comes back and dies each time; until it has lived for long.
#[tokio::test(start_paused = true)]
async fn a_session_that_dies_young_is_opened_with_growing_pauses() {
    let (stage, mut life) = Stage::open().await;
    let mut call = stage.call("1", "logging/setLevel", r#"{"level":"error"}"#).await.unwrap();
    let id = life.expect("logging/setLevel").await;
    life.result(&id, "{}").await;
    end(&mut call).await.unwrap();
    let renewed = async || {
        let mut next = stage.life().await;
        let opened = Instant::now();
        next.shake_hands().await;
        let id = next.expect("logging/setLevel").await;
        next.result(&id, "{}").await;
        (next, opened)
    };
    for expected in [1, 1, 2, 4, 8, 16, 30, 30] {
        let died = Instant::now();
        drop(life);
        let (next, opened) = renewed().await;
        assert_eq!((opened - died).as_secs(), expected);
        life = next;
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    let died = Instant::now();
    drop(life);
    assert_eq!(renewed().await.1 - died, Duration::ZERO);
}
