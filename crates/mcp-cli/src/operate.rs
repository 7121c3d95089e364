//! The commands that change the fleet of a running manager.

use http::Method;
use serde_json::{Map, Value, json};

use crate::args::{Add, Circuit, CircuitState, Failover, OneReplica, Reload, Rm, Scale, Several};
use crate::exit::{Error, Exit};
use crate::operator::Operator;
use crate::output::{complain, line, printable};
use crate::source::escaped;

/// `restart`, `start` and `stop`: one report for all of them.
pub(crate) async fn several(action: &str, args: &Several, json: bool) -> Result<Exit, Error> {
    let operator = Operator::of(&args.to)?;
    let mut ask = json!({ "action": action });
    if !args.all {
        ask["servers"] = json!(args.servers);
    }
    let report = operator.ask(Method::POST, "/bulk", &ask.to_string()).await?;
    if json {
        line(&report.to_string());
    } else {
        for result in report["results"].as_array().into_iter().flatten() {
            let name = printable(result["name"].as_str().unwrap_or_default());
            match result["error"]["message"].as_str() {
                None => _ = line(&format!("  {name:<20} {action}: done")),
                Some(why) => _ = line(&format!("  {name:<20} {action}: {}", printable(why))),
            }
        }
    }
    let failed = report["failed"].as_u64().unwrap_or_default();
    if failed == 0 {
        return Ok(Exit::Ok);
    }
    let unknown = report["results"].as_array().is_some_and(|results| {
        results.iter().any(|result| result["error"]["code"] == "SERVER_NOT_FOUND")
    });
    Ok(if unknown { Exit::Tool } else { Exit::Unreachable })
}

pub(crate) async fn scale(args: &Scale, json: bool) -> Result<Exit, Error> {
    let path = format!("/servers/{}/scale", escaped(&args.server));
    let body = json!({ "replicas": args.replicas }).to_string();
    let answer = Operator::of(&args.to)?.ask(Method::POST, &path, &body).await?;
    let text = format!("{} has {} replicas", printable(&args.server), args.replicas);
    Ok(say(&answer, &text, json))
}

/// `drain`, `eject` and `restore`.
pub(crate) async fn replica(
    action: &str,
    one: &OneReplica,
    body: &str,
    json: bool,
) -> Result<Exit, Error> {
    let (server, number) = (escaped(&one.server), one.replica);
    let path = format!("/servers/{server}/replicas/{number}/{action}");
    let answer = Operator::of(&one.to)?.ask(Method::POST, &path, body).await?;
    let name = printable(&one.server);
    let text = match action {
        "drain" if answer["drained"] == true => format!("replica {number} of {name} is drained"),
        "drain" => {
            let left = &answer["in_flight"];
            format!("replica {number} of {name} gets no calls, and has {left} in flight still")
        }
        "eject" => {
            let seconds = &answer["ejected_seconds"];
            format!("replica {number} of {name} gets no calls for {seconds} s")
        }
        _ => format!("replica {number} of {name} gets calls again"),
    };
    Ok(say(&answer, &text, json))
}

pub(crate) async fn failover(args: &Failover, json: bool) -> Result<Exit, Error> {
    let what = if args.back { "failback" } else { "failover" };
    let path = format!("/servers/{}/{what}", escaped(&args.server));
    let body = args.to.map(|to| json!({ "to": to }).to_string()).unwrap_or_default();
    let answer = Operator::of(&args.to_whom)?.ask(Method::POST, &path, &body).await?;
    let active = answer["active"].as_array().into_iter().flatten();
    let active: Vec<String> = active.map(Value::to_string).collect();
    let text = format!("of {}, replicas {} serve", printable(&args.server), active.join(", "));
    Ok(say(&answer, &text, json))
}

pub(crate) async fn circuit(args: &Circuit, json: bool) -> Result<Exit, Error> {
    let state = match args.state {
        CircuitState::Open => "open",
        CircuitState::Closed => "closed",
        CircuitState::Auto => "auto",
    };
    let mut ask = json!({ "state": state });
    if let Some(tool) = &args.tool {
        ask["tool"] = json!(tool);
    }
    let path = format!("/servers/{}/circuit", escaped(&args.server));
    let answer = Operator::of(&args.to)?.ask(Method::POST, &path, &ask.to_string()).await?;
    let of = args.tool.as_deref().map_or_else(String::new, |tool| format!(", tool {tool:?}"));
    let text = format!("the circuit of {}{} is {state}", printable(&args.server), printable(&of));
    Ok(say(&answer, &text, json))
}

pub(crate) async fn add(args: &Add, json: bool) -> Result<Exit, Error> {
    let body = json!({ "mcpServers": { &args.name: entry(args)? } }).to_string();
    let answer = Operator::of(&args.to)?.ask(Method::POST, "/servers", &body).await?;
    if !json {
        complain("it is there until the manager ends: write it into the file to keep it");
    }
    Ok(say(&answer, &format!("{} is added", printable(&args.name)), json))
}

/// The entry of a configuration file that the words of the command line stand for.
fn entry(args: &Add) -> Result<Value, Error> {
    let Some(url) = &args.url else {
        let (command, rest) =
            args.command.split_first().ok_or_else(|| Error::usage("a command is missing"))?;
        let mut entry = json!({ "command": command, "args": rest });
        if !args.env.is_empty() {
            entry["env"] = pairs(&args.env, '=', "KEY=VALUE")?.into();
        }
        return Ok(entry);
    };
    let mut entry = json!({ "url": url });
    if !args.header.is_empty() {
        entry["headers"] = pairs(&args.header, ':', "NAME: VALUE")?.into();
    }
    Ok(entry)
}

fn pairs(words: &[String], between: char, shape: &str) -> Result<Map<String, Value>, Error> {
    let pair = |word: &String| {
        let split = word.split_once(between).filter(|(name, _)| !name.trim().is_empty());
        // The value may be a secret, so it is not repeated.
        let wrong = || Error::usage(format!("expected {shape}"));
        let (name, value) = split.ok_or_else(wrong)?;
        let value = if between == ':' { value.trim() } else { value };
        Ok((name.to_owned(), Value::from(value)))
    };
    words.iter().map(pair).collect()
}

pub(crate) async fn remove(args: &Rm, json: bool) -> Result<Exit, Error> {
    let path = format!("/servers/{}", escaped(&args.server));
    let answer = Operator::of(&args.to)?.ask(Method::DELETE, &path, "").await?;
    Ok(say(&answer, &format!("{} is removed", printable(&args.server)), json))
}

pub(crate) async fn reload(args: &Reload, json: bool) -> Result<Exit, Error> {
    let answer = Operator::of(&args.to)?.ask(Method::POST, "/-/reload", "").await?;
    let names = |what: &str| {
        let all = answer[what].as_array().into_iter().flatten();
        all.filter_map(|name| name.as_str().map(printable)).collect::<Vec<_>>().join(", ")
    };
    let told = ["added", "changed", "removed", "needs_restart"];
    let told =
        told.into_iter().map(|what| (what, names(what))).filter(|(_, names)| !names.is_empty());
    let told: Vec<String> =
        told.map(|(what, names)| format!("{}: {names}", what.replace('_', " "))).collect();
    let text = if told.is_empty() { "nothing has changed".to_owned() } else { told.join("; ") };
    let failed = answer["failed"].as_array().map_or(0, Vec::len);
    for failure in answer["failed"].as_array().into_iter().flatten() {
        let (name, why) = (&failure["name"], &failure["error"]["message"]);
        let (name, why) = (name.as_str().unwrap_or_default(), why.as_str().unwrap_or_default());
        complain(&format!("{}: {}", printable(name), printable(why)));
    }
    say(&answer, &text, json);
    Ok(if failed == 0 { Exit::Ok } else { Exit::Unreachable })
}

fn say(answer: &Value, text: &str, json: bool) -> Exit {
    if json {
        line(&answer.to_string())
    } else {
        line(text)
    };
    Exit::Ok
}
