//! What a decision costs.

use std::hint::black_box;
use std::time::Instant;

use mcp_router::{Action, Argument, Ask, Condition, Config, Router, Rule, Scalar};

use crate::random::Random;
use crate::scan::{Scan, globset};
use crate::{medians, verdict};

const MANY: usize = 10_000;
const ROUNDS: usize = 21;
const CALLS: usize = 4_096;
/// A scan of ten thousand rules takes long.
const SCANNED: usize = 64;
const COMMON_NS: f64 = 1_000.0;
const OF_SCAN: f64 = 100.0;
const OF_TEN: f64 = 10.0;

struct Call {
    tool: String,
    server: String,
    client: String,
    arguments: String,
}

impl Call {
    fn ask(&self) -> Ask<'_> {
        let mut ask = Ask::new("tools/call");
        ask.tool = Some(&self.tool);
        ask.server = Some(&self.server);
        ask.client = Some(&self.client);
        ask.arguments = &self.arguments;
        ask
    }
}

pub(crate) fn run(verdicts: &mut Vec<String>) {
    println!("a decision, ns");
    let ten = beside_scan("10 rules", common, 10);
    let many = beside_scan("10,000 rules", common, MANY);
    verdicts.push(verdict("router/common-10000-ns", many[0], "<=", COMMON_NS));
    verdicts.push(verdict("router/common-10000-of-10", many[0] / ten[0], "<=", OF_TEN));
    verdicts.push(verdict("router/common-scan-of-ours", many[1] / many[0], ">=", OF_SCAN));
    globs();
    beside_scan("worst: 10,000 values of one argument of one tool", same_tool, MANY);
    beside_scan("worst: 10,000 globs that begin with `*`", suffixes, MANY);
    beside_scan("worst: 10,000 rules of 256 shapes", shapes, MANY);
    let rules = common(MANY).0;
    let start = Instant::now();
    let router = router(rules);
    let built = start.elapsed();
    let warnings = router.warnings().len();
    let warned = start.elapsed() - built;
    println!("  10,000 rules are built in {built:.1?}; {warnings} warnings in {warned:.1?}");
}

fn router(rules: Vec<Rule>) -> Router {
    Router::new(rules, Config::default()).expect("rules")
}

/// What a decision costs, and what a scan.
fn beside_scan(name: &str, scene: fn(usize) -> (Vec<Rule>, Vec<Call>), count: usize) -> [f64; 2] {
    let (rules, calls) = scene(count);
    let scan = Scan::new(&rules);
    let router = router(rules);
    let asks: Vec<_> = calls.iter().map(Call::ask).collect();
    for ask in &asks[..SCANNED] {
        assert_eq!(router.route(ask).rule, scan.first(ask), "{ask:?}");
    }
    let few = if count < 100 { &asks[..] } else { &asks[..SCANNED] };
    let mut decide = |ask: &Ask<'_>| router.route(ask).rule;
    let mut colds = Vec::new();
    let mut ours = || {
        // The scan was here before, and left nothing of ours in the cache.
        colds.push(time(&asks, &mut decide));
        time(&asks, &mut decide)
    };
    let turns: [&mut dyn FnMut() -> f64; 2] = [&mut ours, &mut || warm(few, |ask| scan.first(ask))];
    let [ours, scanned] = medians(ROUNDS, turns);
    colds.sort_by(f64::total_cmp);
    let cold = colds[ROUNDS / 2];
    println!("  {name:<50} {ours:>9.1}   cold {cold:>9.1}   scan {scanned:>10.1}");
    [ours, scanned]
}

/// Only globs of tools, beside `globset`.
fn globs() {
    let mut random = Random::new(3);
    let rules: Vec<_> =
        (0..MANY).map(|at| rule(at, |rule| rule.when.tools = tool_glob(at))).collect();
    let set = globset(&rules);
    let router = router(rules);
    let call = |_| call(random.below(MANY), 0, 0);
    let calls: Vec<_> = (0..CALLS).map(call).collect();
    let asks: Vec<_> = calls.iter().map(Call::ask).collect();
    let mut found = Vec::new();
    let mut first = |ask: &Ask<'_>| {
        set.matches_into(ask.tool.unwrap_or_default(), &mut found);
        found.iter().min().copied()
    };
    for ask in &asks[..SCANNED] {
        assert_eq!(router.route(ask).rule, first(ask), "{ask:?}");
    }
    let mut decide = |ask: &Ask<'_>| router.route(ask).rule;
    let turns: [&mut dyn FnMut() -> f64; 2] =
        [&mut || warm(&asks, &mut decide), &mut || warm(&asks, &mut first)];
    let [ours, theirs] = medians(ROUNDS, turns);
    println!(
        "  {:<50} {ours:>9.1}   globset {theirs:>9.1}",
        "10,000 globs of tools and nothing else"
    );
}

/// After the same calls were decided once.
fn warm(asks: &[Ask<'_>], mut decide: impl FnMut(&Ask<'_>) -> Option<usize>) -> f64 {
    time(asks, &mut decide);
    time(asks, decide)
}

fn time(asks: &[Ask<'_>], mut decide: impl FnMut(&Ask<'_>) -> Option<usize>) -> f64 {
    let start = Instant::now();
    for ask in asks {
        black_box(decide(black_box(ask)));
    }
    start.elapsed().as_secs_f64() * 1e9 / asks.len() as f64
}

fn rule(at: usize, change: impl FnOnce(&mut Rule)) -> Rule {
    let mut rule = Rule::new(format!("rule-{at}"));
    rule.then = Action::Route(format!("server-{}", at % 100));
    change(&mut rule);
    rule
}

fn call(tool: usize, server: usize, client: usize) -> Call {
    Call {
        tool: format!("tool_{tool}_run"),
        server: format!("server-{server}"),
        client: format!("client-{client}"),
        arguments: format!(
            r#"{{"query":"select something from somewhere","limit":100,"options":{{"deep":true,"tags":["a","b"]}},"tenant":"tenant-{client}"}}"#
        ),
    }
}

fn tool(at: usize) -> Vec<String> {
    vec![format!("tool_{at}_run")]
}

fn tool_glob(at: usize) -> Vec<String> {
    vec![format!("tool_{at}_*")]
}

fn tenant(at: usize) -> Vec<Argument> {
    let is = Condition::Equals(Scalar::Text(format!("tenant-{at}")));
    vec![Argument::new("/tenant", is)]
}

/// Rule `at` has server and client `at % 100`, so that a call can be made to fit it.
fn common(count: usize) -> (Vec<Rule>, Vec<Call>) {
    let one = |at: usize| {
        rule(at, |rule| {
            let when = &mut rule.when;
            match at % 10 {
                0..4 => {
                    (when.tools, when.servers) = (tool(at), vec![format!("server-{}", at % 100)])
                }
                4 | 5 => {
                    (when.tools, when.clients) = (tool(at), vec![format!("client-{}", at % 100)])
                }
                6 | 7 => when.tools = tool_glob(at),
                8 => {
                    when.methods = vec!["resources/read".into()];
                    when.servers = vec![format!("server-{at}")];
                }
                _ => (when.tools, when.arguments) = (tool(at), tenant(at % 100)),
            }
        })
    };
    let rules = (0..count).map(one).collect();
    let mut random = Random::new(1);
    // Beyond the last rule there is none that holds.
    let mut call = || {
        let at = random.below(count + count / 10);
        call(at, at % 100, at % 100)
    };
    (rules, (0..CALLS).map(|_| call()).collect())
}

fn same_tool(count: usize) -> (Vec<Rule>, Vec<Call>) {
    let one = |at| rule(at, |rule| (rule.when.tools, rule.when.arguments) = (tool(0), tenant(at)));
    let mut random = Random::new(2);
    let calls = (0..CALLS).map(|_| call(0, 0, random.below(count))).collect();
    ((0..count).map(one).collect(), calls)
}

fn suffixes(count: usize) -> (Vec<Rule>, Vec<Call>) {
    let one = |at| rule(at, |rule| rule.when.tools = vec![format!("*_{at}_run")]);
    let mut random = Random::new(2);
    let calls = (0..CALLS).map(|_| call(random.below(count), 0, 0)).collect();
    ((0..count).map(one).collect(), calls)
}

/// Every length of prefix with and without each other name; the last rule holds always.
fn shapes(count: usize) -> (Vec<Rule>, Vec<Call>) {
    let one = |at: usize| {
        rule(at, |rule| {
            if at == count - 1 {
                return;
            }
            let length = 1 + at % 32;
            let name = format!("{at:x>length$}");
            rule.when.tools = vec![format!("{}*", &name[..length])];
            let when = &mut rule.when;
            for (bit, list) in
                [&mut when.methods, &mut when.servers, &mut when.clients].into_iter().enumerate()
            {
                if at >> (5 + bit) & 1 == 1 {
                    list.push(format!("other-{at}"));
                }
            }
        })
    };
    let calls = (0..CALLS).map(|_| call(0, 0, 0)).collect();
    ((0..count).map(one).collect(), calls)
}
